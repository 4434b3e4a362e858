#include "auth/login.h"

#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/mail/codec.h"
#include "lib/mail/sasl.h"

#include <sys/random.h>

enum { GOOD = 2, LATER = 4, NO = 5 };

static void answer_with(struct msg_login_answer *answer, struct arena *a, uint64_t class, struct span text)
{
    *answer = (struct msg_login_answer){.class = class, .user = answer->user, .text = arena_dup(a, text)};
}

/* Whether the mailbox that is asked for is that of who logs in: there is nobody who may act for others. */
static bool may_be(const struct msg_login *request)
{
    return request->authorize_as.n == 0 || span_eq_nocase(request->authorize_as, request->user);
}

static struct span new_token(struct arena *a)
{
    unsigned char octets[LOGIN_TOKEN_BYTES];
    struct buf text = BUF_INIT;
    CHECK(getrandom(octets, sizeof octets, 0) == (ssize_t)sizeof octets);
    codec_hex_put(&text, span_of(octets, sizeof octets));
    struct span token = arena_dup(a, buf_span(&text));
    buf_fini(&text);
    return token;
}

static void open_mailbox(const struct login_services *sv, struct arena *a, const struct msg_login *request,
                         const struct account *acc, struct msg_login_answer *answer)
{
    struct mailbox box = {0};
    struct buf why = BUF_INIT;
    if (accounts_find_mailbox(sv->accounts, a, acc, &box, &why) != ACCOUNT_FOUND) {
        answer_with(answer, a, LATER, buf_span(&why));
    } else {
        struct msg_session_prepare session = {.token = new_token(a),
                                              .user = box.user,
                                              .uid = box.uid,
                                              .gid = box.gid,
                                              .home = box.home,
                                              .mailbox = box.path,
                                              .service = request->service,
                                              .system_user = box.system_user};
        uint64_t class = sv->prepare(sv->context, &session, a, &why);
        if (class == GOOD)
            *answer = (struct msg_login_answer){.class = GOOD, .user = box.user, .token = session.token};
        else
            answer_with(answer, a, LATER, buf_span(&why));
    }
    buf_fini(&why);
}

void login_handle(const struct login_services *sv, struct arena *a, const struct msg_login *request,
                  struct msg_login_answer *answer)
{
    struct account acc;
    struct buf why = BUF_INIT;
    *answer = (struct msg_login_answer){.user = request->user};
    if (!sasl_credentials_are_sound(request->user, request->password)) {
        answer_with(answer, a, NO, SPAN("malformed name or password"));
        return;
    }
    enum account_result found = accounts_find(sv->accounts, a, request->user, &acc, &why);
    if (found == ACCOUNT_TEMP) {
        answer_with(answer, a, LATER, buf_span(&why));
        buf_fini(&why);
        return;
    }
    buf_fini(&why);
    answer->user = acc.entry ? acc.entry->name : acc.names[0];
    enum verify_result verified = verifier_check(sv->verifier, acc.hash, request->password);
    if (verified == VERIFY_UNUSABLE)
        log_warning("the hash of user %.*s is of no method that this system knows", SPAN_ARG(answer->user));
    if (verified != VERIFY_GOOD)
        answer_with(answer, a, NO, found == ACCOUNT_NONE ? SPAN("unknown user") : SPAN("password mismatch"));
    else if (!may_be(request))
        answer_with(answer, a, NO, SPAN("may not act for another user"));
    else if (request->wants_mailbox)
        open_mailbox(sv, a, request, &acc, answer);
    else
        answer->class = GOOD;
}
