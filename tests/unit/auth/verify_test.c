#include "auth/verify.h"
#include "lib/base/clock.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

static const char *hash_of(const char *password, const char *setting)
{
    static struct crypt_data data;
    memset(&data, 0, sizeof data);
    return crypt_r(password, setting, &data);
}

Test(verify, takes_the_right_password_and_no_other)
{
    static const struct {
        const char *says, *setting, *scheme;
    } rows[] = {
        {"yescrypt", "$y$j75$abcdefgh", ""},
        {"sha512crypt", "$6$rounds=1000$abcdefgh$", ""},
        {"sha256crypt", "$5$rounds=1000$abcdefgh$", ""},
        {"bcrypt", "$2b$04$abcdefghijklmnopqrstuu", ""},
        {"a scheme in front", "$6$rounds=1000$abcdefgh$", "{SHA512-CRYPT}"},
        {"a scheme in lower case", "$6$rounds=1000$abcdefgh$", "{crypt}"},
    };
    struct verifier *v = verifier_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char hash[512];
        snprintf(hash, sizeof hash, "%s%s", rows[i].scheme, hash_of("secret", rows[i].setting));

        cr_expect_eq(verifier_check(v, span_text(hash), SPAN("secret")), VERIFY_GOOD, "%s", rows[i].says);
        cr_expect_eq(verifier_check(v, span_text(hash), SPAN("Secret")), VERIFY_BAD, "%s", rows[i].says);
        cr_expect_eq(verifier_check(v, span_text(hash), SPAN("")), VERIFY_BAD, "%s", rows[i].says);
        cr_expect_eq(verifier_check(v, span_text(hash), SPAN("secret\0x")), VERIFY_BAD, "%s", rows[i].says);
    }
    verifier_free(&v);
}

Test(verify, lets_nobody_in_without_a_usable_hash)
{
    static const struct {
        const char *says, *hash;
        enum verify_result want;
    } rows[] = {
        {"no such user", "", VERIFY_BAD},
        {"locked", "!", VERIFY_BAD},
        {"locked with a hash behind", "!$6$rounds=1000$abcdefgh$x", VERIFY_BAD},
        {"a star", "*", VERIFY_BAD},
        {"an unknown method", "$99$abc$def", VERIFY_UNUSABLE},
        {"clear text", "secret", VERIFY_UNUSABLE},
        {"clear text with a scheme", "{PLAIN}secret", VERIFY_UNUSABLE},
        {"a scheme with nothing behind", "{CRYPT}", VERIFY_UNUSABLE},
        {"a setting without hash", "$6$abcdefgh$", VERIFY_BAD},
    };
    struct verifier *v = verifier_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(verifier_check(v, span_text(rows[i].hash), SPAN("secret")), rows[i].want, "%s", rows[i].says);
    verifier_free(&v);
}

Test(verify, refuses_a_password_of_512_octets_and_takes_one_of_511)
{
    char password[512];
    char hash[512];
    struct verifier *v = verifier_new();
    memset(password, 'p', sizeof password);
    password[511] = '\0';
    snprintf(hash, sizeof hash, "%s", hash_of(password, "$6$rounds=1000$abcdefgh$"));
    password[511] = 'p';

    cr_expect_eq(verifier_check(v, span_text(hash), span_of(password, 511)), VERIFY_GOOD);
    cr_expect_eq(verifier_check(v, span_text(hash), span_of(password, 512)), VERIFY_BAD);
    verifier_free(&v);
}

/* What an unknown user's check computes is a hash by the model: the same method with the same
 * cost. (How long it takes is for a benchmark.) */
Test(verify, costs_the_same_where_there_is_no_such_user)
{
    static const char settings[] = "$6$rounds=60000$";
    struct verifier *v = verifier_new();
    char hash[512];
    snprintf(hash, sizeof hash, "%s", hash_of("secret", "$6$rounds=60000$abcdefgh$"));

    verifier_set_model(v, span_text(hash));

    cr_expect(strncmp(verifier_model(v), settings, sizeof settings - 1) == 0, "%s", verifier_model(v));
    cr_expect_eq(verifier_check(v, SPAN(""), SPAN("secret")), VERIFY_BAD);
    cr_expect_eq(verifier_check(v, SPAN("!"), SPAN("secret")), VERIFY_BAD);
    verifier_free(&v);
}

Test(verify, has_a_model_of_its_own)
{
    struct verifier *v = verifier_new();

    verifier_set_model(v, SPAN("nonsense"));

    cr_expect(strncmp(verifier_model(v), "$y$", 3) == 0, "%s", verifier_model(v));
    cr_expect_eq(verifier_check(v, SPAN(""), SPAN("x")), VERIFY_BAD);
    verifier_free(&v);
}
