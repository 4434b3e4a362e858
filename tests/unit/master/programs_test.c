#include "master/programs.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(programs, have_a_wall_each_as_soon_as_they_are_built)
{
    static const char *const built[] = {"smtpd", "pop3d", "qmgr",  "anvil",  "deliver", "pickup",  "cleanup",
                                        "rewrite", "proxymap", "auth", "bounce", "local", "virtual", "pipe"};

    for (size_t i = 0; i < sizeof built / sizeof *built; i++) {
        const struct program *p = program_find(span_text(built[i]));
        cr_assert(p != NULL, "%s", built[i]);
        cr_expect(wall_find(p->name) != NULL, "%s", built[i]);
    }
}

Test(programs, know_every_command_of_a_stock_master_cf)
{
    static const char *const stock[] = {"smtpd", "postscreen", "dnsblog", "tlsproxy", "qmqpd", "pickup", "cleanup",
                                        "qmgr", "oqmgr", "tlsmgr", "trivial-rewrite", "bounce", "verify", "flush",
                                        "proxymap", "smtp", "showq", "error", "discard", "local", "virtual", "lmtp",
                                        "anvil", "scache", "postlogd", "pipe", "spawn"};

    for (size_t i = 0; i < sizeof stock / sizeof *stock; i++)
        cr_expect_neq(command_find(span_text(stock[i]))->fate, COMMAND_UNKNOWN, "%s", stock[i]);
}

Test(programs, lead_every_command_that_runs_to_a_program)
{
    static const char *const names[] = {"trivial-rewrite", "lmtp", "oqmgr", "nqmgr", "postscreen"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct command *c = command_find(span_text(names[i]));
        cr_expect_eq(c->fate, COMMAND_RUNS, "%s", names[i]);
        cr_expect(program_find(span_text(c->program)) != NULL, "%s", names[i]);
    }
}

Test(programs, do_not_know_a_command_that_nobody_wrote)
{
    cr_expect_eq(command_find(SPAN("sendfax"))->fate, COMMAND_UNKNOWN);
    cr_expect_eq(command_find(SPAN(""))->fate, COMMAND_UNKNOWN);
}

Test(programs, imply_services_that_have_programs)
{
    const char *name;
    unsigned n = 0;

    for (; program_implied(n, &name); n++)
        cr_expect(program_find(span_text(name)) != NULL, "%s", name);

    cr_expect_geq(n, 8);
}
