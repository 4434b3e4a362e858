#include "lib/table/cidr.h"
#include "master/plan.h"

/* Whether a word refuses somebody; Postfix asks for one of these too. */
static bool word_refuses(struct span word)
{
    static const char *const words[] = {"reject", "reject_unauth_destination", "defer", "defer_unauth_destination",
                                        "defer_if_permit", "check_relay_domains"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_eq_nocase(word, span_text(words[i])))
            return true;
    return false;
}

/* Whether the list refuses somebody before it lets everybody through. */
static bool list_refuses(struct span list)
{
    struct span word;
    while (value_next_item(&list, &word) > 0) {
        if (span_eq_nocase(word, SPAN("permit")))
            return false;
        if (word_refuses(word))
            return true;
    }
    return false;
}

/* Whether a list of networks has the whole internet in it. */
static bool list_has_everybody(struct span list, struct span *which)
{
    struct buf why = BUF_INIT;
    bool found = false;
    while (!found && value_next_item(&list, which) > 0) {
        struct cidr net;
        found = cidr_parse(*which, &net, &why) && net.bits == 0;
    }
    buf_fini(&why);
    return found;
}

static struct param_place place_of(const struct settings *s, const char *name, const struct plan *plan)
{
    const struct setting *set = settings_get(s, span_text(name));
    return set && set->origin != SETTING_FACT ? setting_place(set) : plan->place;
}

bool plan_check_relay(struct config *c, const struct settings *s, const struct plan *plan,
                      struct param_errors *errors)
{
    static const char *const lists[] = {"smtpd_relay_restrictions", "smtpd_recipient_restrictions"};
    struct buf why = BUF_INIT;
    struct span value, which;
    bool refuses = false, good = true;
    if (!span_eq(span_text(plan->program->name), SPAN("smtpd")))
        return true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        refuses |= param_expand_name(&c->arena, s, span_text(lists[i]), &value, &why) && list_refuses(value);
    if (!refuses) {
        param_error_add(errors, PARAM_ERROR, place_of(s, lists[0], plan),
                        "service %s: this would be an open relay: put reject_unauth_destination into %s, before any "
                        "\"permit\"", plan->name, lists[0]);
        good = false;
    }
    if (param_expand_name(&c->arena, s, SPAN("mynetworks"), &value, &why) && list_has_everybody(value, &which)) {
        param_error_add(errors, PARAM_ERROR, place_of(s, "mynetworks", plan),
                        "service %s: mynetworks: with %.*s in it this would be an open relay: name only your own "
                        "networks", plan->name, SPAN_ARG(which));
        good = false;
    }
    buf_fini(&why);
    return good;
}
