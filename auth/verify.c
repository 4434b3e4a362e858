#include "auth/verify.h"

#include "lib/base/check.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

struct verifier {
    struct crypt_data data;
    char model[CRYPT_OUTPUT_SIZE]; /* terminated */
    char hash[CRYPT_OUTPUT_SIZE];
    char password[CRYPT_MAX_PASSPHRASE_SIZE + 1];
};

enum { DES_HASH_LENGTH = 13 };

/* Method and cost of a new account today; the salt is of no account. */
static const char default_model[] = "$y$j9T$merpatimerpati..";

static const struct span schemes[] = {SPAN_INIT("{CRYPT}"),        SPAN_INIT("{BLF-CRYPT}"), SPAN_INIT("{SHA256-CRYPT}"),
                                      SPAN_INIT("{SHA512-CRYPT}"), SPAN_INIT("{MD5-CRYPT}"), SPAN_INIT("{DES-CRYPT}")};

struct verifier *verifier_new(void)
{
    struct verifier *v = calloc(1, sizeof *v);
    CHECK(v != NULL);
    memcpy(v->model, default_model, sizeof default_model);
    return v;
}

void verifier_free(struct verifier **v)
{
    if (*v)
        explicit_bzero(*v, sizeof **v);
    free(*v);
    *v = NULL;
}

/* Without its scheme, terminated. result: false where it does not fit or holds NUL */
static bool put_hash(char to[CRYPT_OUTPUT_SIZE], struct span hash)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (span_starts_nocase(hash, schemes[i])) {
            hash = span_skip(hash, schemes[i].n);
            break;
        }
    if (hash.n >= CRYPT_OUTPUT_SIZE || span_find(hash, '\0') < hash.n)
        return false;
    if (hash.n)
        memcpy(to, hash.p, hash.n);
    to[hash.n] = '\0';
    return true;
}

/* Any two letters are a salt of the oldest method: its hashes are known by their length, so that
 * a password in clear is not taken for one. */
static bool is_usable(const char *hash)
{
    if (hash[0] != '$' && hash[0] != '_' && strlen(hash) != DES_HASH_LENGTH)
        return false;
    int salt = hash[0] ? crypt_checksalt(hash) : CRYPT_SALT_INVALID;
    return salt == CRYPT_SALT_OK || salt == CRYPT_SALT_METHOD_LEGACY || salt == CRYPT_SALT_TOO_CHEAP;
}

const char *verifier_model(const struct verifier *v)
{
    return v->model;
}

void verifier_set_model(struct verifier *v, struct span hash)
{
    if (!put_hash(v->hash, hash) || !is_usable(v->hash))
        memcpy(v->model, default_model, sizeof default_model);
    else
        memcpy(v->model, v->hash, sizeof v->model);
}

/* Takes the same time wherever they differ. */
static bool same_text(const char *a, const char *b)
{
    size_t n = strlen(a);
    volatile unsigned char differ = n != strlen(b);
    for (size_t i = 0; i < n && b[i]; i++)
        differ = (unsigned char)(differ | (a[i] ^ b[i]));
    return differ == 0;
}

enum verify_result verifier_check(struct verifier *v, struct span hash, struct span password)
{
    bool locked = hash.n == 0 || hash.p[0] == '!' || hash.p[0] == '*';
    bool usable = !locked && put_hash(v->hash, hash) && is_usable(v->hash);
    /* One that is too long is wrong whatever it is, at the same price. */
    struct span tried = span_slice(password, 0, CRYPT_MAX_PASSPHRASE_SIZE - 1);
    bool good = usable && tried.n == password.n && span_find(password, '\0') == password.n;
    if (tried.n)
        memcpy(v->password, tried.p, tried.n);
    v->password[tried.n] = '\0';
    const char *made = crypt_rn(v->password, usable ? v->hash : v->model, &v->data, (int)sizeof v->data);
    good = made && same_text(made, usable ? v->hash : v->model) && good;
    explicit_bzero(v->password, sizeof v->password);
    explicit_bzero(&v->data, sizeof v->data);
    explicit_bzero(v->hash, sizeof v->hash);
    if (!locked && !usable)
        return VERIFY_UNUSABLE;
    return good ? VERIFY_GOOD : VERIFY_BAD;
}
