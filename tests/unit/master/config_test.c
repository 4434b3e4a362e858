#include "master/config.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A configuration directory and a directory of programs that are only looked at. */
struct fixture {
    char root[64], etc[96];
    struct config_frame frame;
    struct param_errors errors;
    struct config *config;
};

static const char *const programs[] = {"smtpd", "pop3d", "qmgr", "anvil", "deliver", "pickup", "cleanup", "rewrite",
                                       "proxymap", "auth", "bounce", "local", "virtual", "pipe"};

static void write_file(const char *directory, const char *name, const char *text, mode_t mode)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void load(struct fixture *f, const char *main_cf, const char *master_cf)
{
    char libexec[96], text[4096];
    *f = (struct fixture){.root = "/tmp/config.XXXXXX"};
    cr_assert(mkdtemp(f->root) != NULL);
    snprintf(f->etc, sizeof f->etc, "%s/etc", f->root);
    snprintf(libexec, sizeof libexec, "%s/libexec", f->root);
    cr_assert(mkdir(f->etc, 0755) == 0 && mkdir(libexec, 0755) == 0);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        write_file(libexec, programs[i], "", 0755);
    snprintf(text, sizeof text, "compatibility_level = 3.9\nmyhostname = mx.example.test\nmynetworks = 127.0.0.0/8\n%s\n",
             main_cf);
    write_file(f->etc, "main.cf", text, 0644);
    write_file(f->etc, "master.cf", master_cf, 0644);
    f->frame = (struct config_frame){
        .directory = f->etc, .libexec = open(libexec, O_PATH | O_DIRECTORY), .cores = 4, .as_root = false};
    f->config = config_load(&f->frame, &f->errors);
}

static void end(struct fixture *f)
{
    char command[96];
    config_release(&f->config);
    param_errors_fini(&f->errors);
    close(f->frame.libexec);
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    cr_assert_eq(system(command), 0);
}

/* All messages, one a line; borrowed until the next call. */
static const char *messages(const struct fixture *f)
{
    static struct buf text;
    buf_clear(&text);
    for (size_t i = 0; i < f->errors.count; i++)
        buf_printf(&text, "%.*s\n", SPAN_ARG(f->errors.at[i]->text));
    return buf_text(&text);
}

static const struct plan *plan_of(const struct fixture *f, const char *key)
{
    cr_assert(f->config != NULL, "%s", messages(f));
    const struct plan *plan = config_find(f->config, key);
    cr_assert(plan != NULL, "no plan %s", key);
    return plan;
}

/* --- how many, and with which arguments -------------------------------------------- */

Test(config, counts_sessions_and_processes_as_maxproc_says)
{
    static const struct {
        const char *says, *line, *key;
        uint64_t limit;
        unsigned processes;
    } rows[] = {
        {"a host by default", "2525 inet n - n - - smtpd", "2525/inet", 100, 4},
        {"a host with few sessions has no more processes", "2525 inet n - n - 2 smtpd", "2525/inet", 2, 2},
        {"a host without a limit", "2525 inet n - n - 0 smtpd", "2525/inet", 0, 4},
        {"postscreen's one process is no limit of sessions", "2525 inet n - n - 1 postscreen", "2525/inet", 100, 4},
        {"a shared worker", "cleanup unix n - n - 0 cleanup", "cleanup/unix", 0, 4},
        {"a worker on demand", "local unix - n n - 7 local", "local/unix", 7, 7},
        {"a worker on demand by default", "local unix - n n - - local", "local/unix", 100, 100},
        {"a broker is alone", "qmgr unix n - n 300 1 qmgr", "qmgr/unix", 1, 1},
        {"an implied service", "# nothing", "deliver/unix", 100, 1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        load(&f, "", rows[i].line);
        const struct plan *plan = plan_of(&f, rows[i].key);
        cr_expect_eq(plan->limit, rows[i].limit, "%s: limit %llu", rows[i].says, (unsigned long long)plan->limit);
        cr_expect_eq(plan->processes, rows[i].processes, "%s: %u processes", rows[i].says, plan->processes);
        end(&f);
    }
}

Test(config, passes_on_what_stands_behind_the_options)
{
    struct fixture f;
    load(&f, "", "maildrop unix - n n - - pipe -v -o soft_bounce=yes\n  flags=DRhu user=vmail argv=/usr/bin/maildrop "
                 "-d { a b }\n");

    const struct plan *plan = plan_of(&f, "maildrop/unix");

    struct span want = SPAN("flags=DRhu\0user=vmail\0argv=/usr/bin/maildrop\0-d\0a b\0");
    cr_expect(span_eq(plan->arguments, want), "%zu octets", plan->arguments.n);
    cr_expect(plan->verbose);
    end(&f);
}

Test(config, gives_each_service_its_own_settings)
{
    struct fixture f;
    struct settings s = SETTINGS_INIT;
    struct buf why = BUF_INIT;
    load(&f, "smtpd_timeout = 100s", "2525 inet n - n - - smtpd -o smtpd_timeout=5s -o syslog_name=postfix/second");

    const struct plan *plan = plan_of(&f, "2525/inet");
    struct stat st;
    cr_assert_eq(fstat(plan->settings, &st), 0);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, plan->settings, 0);
    cr_assert(settings_read(&s, span_of(map, (size_t)st.st_size), &why), "%s", buf_text(&why));

    cr_expect(span_eq(settings_get(&s, SPAN("smtpd_timeout"))->value, SPAN("5s")));
    cr_expect(span_eq(settings_get(&s, SPAN(".syslog_name"))->value, SPAN("postfix/second")));
    cr_expect(span_eq(settings_get(&s, SPAN("service_name"))->value, SPAN("2525")));
    cr_expect_lt(write(plan->settings, "x", 1), 0, "nobody can change them");
    settings_fini(&s);
    end(&f);
}

Test(config, tells_qmgr_of_every_delivery_service)
{
    struct fixture f;
    load(&f, "", "maildrop unix - n n - 3 pipe flags=D\nerror unix - - n - - error\n2525 inet n - n - - smtpd\n"
                 "local unix - n n - - local\n");
    plan_of(&f, "maildrop/unix");

    cr_assert_eq(f.config->services.n, 3);

    cr_expect(span_eq(f.config->services.at[0].name, SPAN("maildrop")));
    cr_expect(span_eq(f.config->services.at[0].program, SPAN("pipe")));
    cr_expect_eq(f.config->services.at[0].limit, 3);
    cr_expect(span_eq(f.config->services.at[0].arguments, SPAN("flags=D\0")));
    cr_expect(span_eq(f.config->services.at[1].program, SPAN("error")));
    cr_expect_eq(f.config->services.at[2].limit, 100);
    end(&f);
}

/* --- sockets -------------------------------------------------------------------------- */

Test(config, finds_the_addresses_to_listen_on)
{
    static const struct {
        const char *says, *main_cf, *name, *keys;
    } rows[] = {
        {"everywhere", "", "2525", "inet:[0.0.0.0]:2525 inet:[::]:2525"},
        {"everywhere by IPv4", "inet_protocols = ipv4", "2525", "inet:[0.0.0.0]:2525"},
        {"a named port", "inet_protocols = ipv4", "submission", "inet:[0.0.0.0]:587"},
        {"loopback", "inet_interfaces = loopback-only", "2525", "inet:[127.0.0.1]:2525 inet:[::1]:2525"},
        {"an address in the line", "", "192.0.2.1:2525", "inet:[192.0.2.1]:2525"},
        {"an IPv6 address in the line", "", "[2001:db8::1]:2525", "inet:[2001:db8::1]:2525"},
        {"several interfaces, one of them twice", "inet_interfaces = 192.0.2.1, 192.0.2.2, 192.0.2.1", "2525",
         "inet:[192.0.2.1]:2525 inet:[192.0.2.2]:2525"},
        {"an address of the other family is left out", "inet_interfaces = 192.0.2.1, ::1\ninet_protocols = ipv6", "2525",
         "inet:[::1]:2525"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        struct buf keys = BUF_INIT;
        char line[128], key[128];
        snprintf(line, sizeof line, "%s inet n - n - - smtpd", rows[i].name);
        snprintf(key, sizeof key, "%s/inet", rows[i].name);
        load(&f, rows[i].main_cf, line);
        const struct plan *plan = plan_of(&f, key);
        for (unsigned k = 0; k < plan->nsockets; k++)
            buf_printf(&keys, "%s%s", k ? " " : "", plan->sockets[k].key);
        cr_expect_str_eq(buf_text(&keys), rows[i].keys, "%s: %s", rows[i].says, buf_text(&keys));
        buf_fini(&keys);
        end(&f);
    }
}

/* --- files ----------------------------------------------------------------------------- */

static bool has_file(const struct plan *plan, const char *path)
{
    for (unsigned i = 0; i < plan->nfiles; i++)
        if (strcmp(plan->files[i], path) == 0)
            return true;
    return false;
}

Test(config, finds_the_files_that_parameters_name)
{
    static const char *const want[] = {"/t/access.cdb", "/t/class.cdb", "/t/list", "/t/nets", "/t/virtual",
                                       "/t/checks", "/t/inner.cdb", "/t/option.cdb"};
    struct fixture f;
    load(&f,
         "dir = /t\n"
         "smtpd_recipient_restrictions = check_sender_access hash:${dir}/access, own_class, reject_unauth_destination\n"
         "smtpd_restriction_classes = own_class\nown_class = check_client_access cdb:/t/class, permit\n"
         "mydestination = localhost, !/t/list\nmynetworks = 127.0.0.1, cidr:/t/nets\n"
         "virtual_alias_maps = texthash:/t/virtual, pipemap:{cdb:/t/inner, static:x}\nheader_checks = regexp:/t/checks\n"
         "merpati_password_file = /t/passwd\nauthorized_submit_users = cdb:/t/submitters\n",
         "2525 inet n - n - - smtpd -o smtpd_sender_restrictions=check_sender_access,cdb:/t/option\n"
         "pickup unix n - n 60 1 pickup\n");

    const struct plan *plan = plan_of(&f, "2525/inet");

    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_expect(has_file(plan, want[i]), "%s", want[i]);
    cr_expect_not(has_file(plan, "/t/passwd"), "the password file is not for smtpd");
    cr_expect(has_file(plan_of(&f, "auth/unix"), "/t/passwd"), "but for auth");
    cr_expect_not(has_file(plan_of(&f, "rewrite/unix"), "/t/option.cdb"), "an option is for its service alone");
    cr_expect_eq(plan_of(&f, "pickup/unix")->nfiles, 1, "pickup gets those of its own parameters");
    cr_expect(has_file(plan_of(&f, "pickup/unix"), "/t/submitters.cdb"));
    cr_expect_eq(plan_of(&f, "anvil/unix")->nfiles, 0, "anvil gets none");
    end(&f);
}

/* --- what is refused --------------------------------------------------------------------- */

Test(config, refuses_what_would_not_work_with_place_and_remedy)
{
    static const struct {
        const char *says, *main_cf, *master_cf, *message;
    } rows[] = {
        {"a value", "smtpd_timeout = soon", "2525 inet n - n - - smtpd", "main.cf:4: smtpd_timeout"},
        {"a command", "", "2525 inet n - n - - smtpdd", "master.cf:1: command \"smtpdd\": there is no such program"},
        {"a program that is not there", "", "# x\n2525 inet n - n - - smtp", "master.cf:2: program smtp is not installed"},
        {"a port", "", "smtpp inet n - n - - smtpd", "master.cf:1: service smtpp"},
        {"a host name", "", "nowhere.invalid:25 inet n - n - - smtpd", "no address is known for \"nowhere.invalid\""},
        {"no address left", "inet_interfaces = 192.0.2.1\ninet_protocols = ipv6", "25 inet n - n - - smtpd",
         "leave no address to listen on"},
        {"a log elsewhere", "maillog_file = /etc/x", "2525 inet n - n - - smtpd", "main.cf:4: maillog_file"},
        {"an option", "", "2525 inet n - n - - smtpd -o smtpd_timeout=soon", "master.cf:1: smtpd_timeout"},
        {"an open relay", "smtpd_relay_restrictions = permit_mynetworks", "2525 inet n - n - - smtpd",
         "main.cf:4: service 2525: this would be an open relay"},
        {"an open relay by option", "", "2525 inet n - n - - smtpd -o smtpd_relay_restrictions=permit,reject",
         "master.cf:1: service 2525: this would be an open relay"},
        {"the whole internet as mynetworks", "mynetworks = 10.0.0.0/8 [::]/0", "2525 inet n - n - - smtpd",
         "mynetworks: with [::]/0 in it"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        load(&f, rows[i].main_cf, rows[i].master_cf);
        cr_expect(f.config == NULL, "%s is refused", rows[i].says);
        cr_expect(strstr(messages(&f), rows[i].message) != NULL, "%s: \"%s\" in:\n%s", rows[i].says, rows[i].message,
                  messages(&f));
        end(&f);
    }
}

Test(config, lets_no_relay_of_its_own_words_through)
{
    static const char *const good[] = {
        "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
        "smtpd_relay_restrictions = permit_mynetworks defer_unauth_destination permit",
        "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, REJECT_UNAUTH_DESTINATION",
        "smtpd_relay_restrictions = permit_sasl_authenticated, reject",
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct fixture f;
        load(&f, good[i], "2525 inet n - n - - smtpd");
        cr_expect(f.config != NULL, "%s:\n%s", good[i], messages(&f));
        end(&f);
    }
}

Test(config, warns_of_what_does_not_run_and_goes_on)
{
    struct fixture f;
    load(&f, "", "relay unix - - n - - smtp\nverify unix - - n - 1 verify\nscache unix - - n - 1 scache\n");

    cr_assert(f.config != NULL, "%s", messages(&f));

    cr_expect(strstr(messages(&f), "master.cf:1: program smtp is not installed; this service does not run") != NULL);
    cr_expect(strstr(messages(&f), "master.cf:2: command verify: address verification is not supported yet") != NULL);
    cr_expect(strstr(messages(&f), "scache") == NULL, "what nobody needs is not worth a word");
    cr_expect(config_find(f.config, "relay/unix") == NULL);
    end(&f);
}

Test(config, is_overridden_by_options_of_the_command_line)
{
    static const char *const options[] = {"smtpd_timeout = 7s", NULL};
    struct fixture f;
    load(&f, "smtpd_timeout = 100s", "2525 inet n - n - - smtpd");
    plan_of(&f, "2525/inet");
    config_release(&f.config);
    f.frame.options = options;

    f.config = config_load(&f.frame, &f.errors);

    cr_expect(span_eq(settings_get(&f.config->settings, SPAN("smtpd_timeout"))->value, SPAN("7s")));
    end(&f);
}
