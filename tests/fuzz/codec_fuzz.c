/* Codings: what decodes encodes back to the same value, and base64 and hexadecimal to
 * the same text. The first byte of the input selects the coding. */
#include "lib/base/check.h"
#include "lib/mail/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf plain = BUF_INIT, coded = BUF_INIT, again = BUF_INIT;
    if (size == 0)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        if (codec_base64_get(&plain, in)) {
            codec_base64_put(&coded, buf_span(&plain));
            CHECK(span_eq(buf_span(&coded), in));
        }
        break;
    case 1:
        if (codec_hex_get(&plain, in)) {
            codec_hex_put(&coded, buf_span(&plain));
            CHECK(span_eq_nocase(buf_span(&coded), in));
        }
        break;
    case 2:
        if (codec_xtext_get(&plain, in)) {
            codec_xtext_put(&coded, buf_span(&plain));
            CHECK(codec_xtext_get(&again, buf_span(&coded)) && span_eq(buf_span(&again), buf_span(&plain)));
        }
        break;
    default:
        if (codec_utf8_xtext_get(&plain, in)) {
            CHECK(codec_utf8_valid(buf_span(&plain)));
            codec_utf8_xtext_put(&coded, buf_span(&plain), data[0] & 4);
            CHECK(codec_utf8_xtext_get(&again, buf_span(&coded)) &&
                  span_eq(buf_span(&again), buf_span(&plain)));
        }
    }
    buf_fini(&plain);
    buf_fini(&coded);
    buf_fini(&again);
    return 0;
}
