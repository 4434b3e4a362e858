#include "mailbox/commands.h"
#include "mailbox/exec.h"
#include "mailbox/text_turn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what an end means --- */

Test(commands, judges_by_exit_code_and_output)
{
    static const struct {
        const char *says;
        int status;
        const char *output;
        unsigned class;
        const char *dsn, *text;
    } rows[] = {
        {"no such user", 67 << 8, "", 5, "5.1.1", "user unknown"},
        {"try again", 75 << 8, "busy\n", 4, "4.3.0", "temporary failure. Command output: busy"},
        {"no permission", 77 << 8, "", 5, "5.7.0", "permission denied"},
        {"any other", 1 << 8, " a\tb\nc\x01 ", 5, "5.3.0",
         "Command died with status 1: \"cmd\". Command output: a b c_"},
        {"a signal", 9, "", 4, "4.3.0", "Command died with signal 9: \"cmd\""},
        {"its own code", 1 << 8, "4.2.2 full", 4, "4.2.2",
         "Command died with status 1: \"cmd\". Command output: 4.2.2 full"},
        {"its own code against the exit code", 75 << 8, "5.1.1 nobody", 5, "5.1.1",
         "temporary failure. Command output: 5.1.1 nobody"},
        {"a success code says nothing", 75 << 8, "2.0.0 fine", 4, "4.3.0",
         "temporary failure. Command output: 2.0.0 fine"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct buf text = BUF_INIT;
        const char *dsn;

        unsigned class = commands_judge(&a, rows[i].status, SPAN("cmd"), span_text(rows[i].output), &dsn, &text);

        cr_expect_eq(class, rows[i].class, "%s", rows[i].says);
        cr_expect_str_eq(dsn, rows[i].dsn, "%s", rows[i].says);
        cr_expect_str_eq(buf_text(&text), rows[i].text, "%s: %s", rows[i].says, buf_text(&text));
        buf_fini(&text);
        arena_fini(&a);
    }
}

/* --- starting --- */

Test(exec, needs_no_shell_for_plain_words)
{
    static const struct {
        const char *command;
        bool plain;
    } rows[] = {
        {"/usr/bin/procmail -a x", true}, {"cat", true},       {"a $b", false}, {"a 'b'", false}, {"a;b", false},
        {"a|b", false},                   {"a >b", false},     {"a*", false},   {"a\nb", false},  {"a \"b\"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        cr_expect_eq(exec_split(&a, span_text(rows[i].command)) != NULL, rows[i].plain, "%s", rows[i].command);
        arena_fini(&a);
    }
}

/* Runs it to its end. result: its output */
static const char *output_of(const struct exec_order *order, const char *input, int *status)
{
    static char text[8192];
    int in[2], out[2];
    cr_assert(pipe(in) == 0 && pipe(out) == 0);
    pid_t pid = exec_start(order, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    cr_assert_eq(write(in[1], input, strlen(input)), (ssize_t)strlen(input));
    close(in[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(out[0]);
    waitpid(pid, status, 0);
    return text;
}

Test(exec, gives_nothing_but_input_output_and_the_environment)
{
    struct arena a = ARENA_INIT;
    char path[] = "PATH=/usr/bin:/bin", name[] = "NAME=x";
    char *environment[] = {path, name, NULL};
    const char *command = "cat; env | sort | grep -v ^_=; "
                          "for n in 3 4 5 6 7 8 9 10 11 12; do test -e /proc/$$/fd/$n && echo open $n; done; echo end";
    struct exec_order order = {.argv = exec_split(&a, span_text(command)), .command = command, .environment = environment};
    int status, leaked = open("/dev/null", O_RDONLY);

    const char *text = output_of(&order, "in\n", &status);

    cr_expect_eq(status, 0);
    cr_expect(strncmp(text, "in\nNAME=x\nPATH=/usr/bin:/bin\nPWD=/", 34) == 0, "%s", text);
    cr_expect(strstr(text, "\nend\n") && !strstr(text, "open"), "%s", text);
    close(leaked);
    arena_fini(&a);
}

Test(exec, hands_what_it_does_not_find_to_the_shell)
{
    struct arena a = ARENA_INIT;
    char path[] = "PATH=/usr/bin:/bin";
    char *environment[] = {path, NULL};
    struct exec_order order = {.argv = exec_split(&a, SPAN("exit 7")), .command = "exit 7", .environment = environment};
    int status;

    output_of(&order, "", &status);

    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    arena_fini(&a);
}

Test(exec, says_that_a_program_is_not_there_and_may_be_later)
{
    struct arena a = ARENA_INIT;
    char *environment[] = {NULL};
    struct exec_order order = {.argv = exec_split(&a, SPAN("/no/such/program x")), .environment = environment};
    int status;

    const char *text = output_of(&order, "", &status);

    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 75);
    cr_expect_str_eq(text, "cannot execute /no/such/program: No such file or directory");
    order.directory = "/no/such/directory";
    text = output_of(&order, "", &status);
    cr_expect_eq(WEXITSTATUS(status), 75);
    cr_expect_str_eq(text, "cannot change to directory /no/such/directory: No such file or directory");
    arena_fini(&a);
}

/* --- text --- */

Test(text_turn, has_the_same_result_however_the_text_is_cut)
{
    static const char text[] = ".dot\n..two\nFrom here\nFro\n\n .x\nFrom ";
    for (size_t cut = 1; cut < sizeof text; cut++) {
        struct buf out = BUF_INIT;
        struct text_turn t = {
            .out = &out, .quote_from = true, .quote_dots = true, .blank_end = true, .eol = SPAN("\r\n")};

        for (struct span rest = SPAN(text); rest.n; rest = span_skip(rest, cut))
            text_turn_put(&t, span_slice(rest, 0, cut));
        text_turn_end(&t);

        cr_expect_str_eq(buf_text(&out),
                         "..dot\r\n...two\r\n>From here\r\nFro\r\n\r\n .x\r\n>From \r\n\r\n", "cut at %zu: %s", cut,
                         buf_text(&out));
        buf_fini(&out);
    }
}

Test(text_turn, leaves_alone_what_it_is_not_asked_for)
{
    struct buf out = BUF_INIT;
    struct text_turn t = {.out = &out};

    text_turn_put(&t, SPAN(".dot\nFrom x\n"));
    text_turn_end(&t);

    cr_expect_str_eq(buf_text(&out), ".dot\nFrom x\n");
    buf_fini(&out);
}
