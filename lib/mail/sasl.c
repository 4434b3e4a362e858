#include "lib/mail/sasl.h"

bool sasl_credentials_are_sound(struct span user, struct span password)
{
    return user.n > 0 && user.n <= SASL_NAME_MAX && password.n > 0 && password.n <= SASL_PASSWORD_MAX &&
           span_find(user, '\0') == user.n && span_find(password, '\0') == password.n;
}

bool sasl_plain_parse(struct span message, struct sasl_plain *plain)
{
    size_t first = span_find(message, '\0');
    if (first == message.n)
        return false;
    struct span rest = span_skip(message, first + 1);
    size_t second = span_find(rest, '\0');
    if (second == rest.n)
        return false;
    plain->authorize_as = span_slice(message, 0, first);
    plain->user = span_slice(rest, 0, second);
    plain->password = span_skip(rest, second + 1);
    return plain->authorize_as.n <= SASL_NAME_MAX && sasl_credentials_are_sound(plain->user, plain->password);
}
