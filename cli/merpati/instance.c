#include "cli/merpati/instance.h"

#include "lib/param/settings.h"
#include "lib/table/cidr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_MAX = 4 << 20 };

const char *demo_user(unsigned i)
{
    static const char *const users[] = {"alice:alicepw", "bob:bobpw"};
    return i < sizeof users / sizeof *users ? users[i] : NULL;
}

/* D: the directory, N: the domain, L: the address, P: "ipv4" or "ipv6", U and G: the running user, and # the
 * port offset; each written @X@. */
static const char main_cf[] =
    "# Made by \"merpati run\" for a server that lives in this directory alone.\n"
    "# It is yours from now on: nothing writes to it again.\n"
    "compatibility_level = 3.9\n"
    "\n"
    "queue_directory = @D@/spool\n"
    "data_directory = @D@/spool\n"
    "maillog_file = @D@/log/mail.log\n"
    "maillog_file_prefixes = @D@/log\n"
    "\n"
    "mydomain = @N@\n"
    "myhostname = mail.$mydomain\n"
    "myorigin = $mydomain\n"
    "inet_interfaces = @L@\n"
    "inet_protocols = @P@\n"
    "mynetworks = 127.0.0.0/8 [::1]/128\n"
    "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n"
    "\n"
    "# Mail for localhost goes by @D@/etc/aliases; no user of the system gets any.\n"
    "mydestination = localhost, localhost.$mydomain, $myhostname\n"
    "alias_maps = cdb:$config_directory/aliases\n"
    "alias_database = $alias_maps\n"
    "local_recipient_maps = $alias_maps\n"
    "\n"
    "# The accounts: one Maildir each, all of the user that runs the server.\n"
    "virtual_mailbox_domains = $mydomain\n"
    "virtual_mailbox_maps = cdb:$config_directory/mailboxes\n"
    "virtual_alias_maps = cdb:$config_directory/virtual\n"
    "virtual_mailbox_base = @D@/mail\n"
    "virtual_minimum_uid = 1\n"
    "virtual_uid_maps = static:@U@\n"
    "virtual_gid_maps = static:@G@\n"
    "recipient_delimiter = +\n"
    "merpati_password_file = $config_directory/passwd\n"
    "\n"
    "# This server is for trying things out: it sends no mail to other hosts.\n"
    "default_transport = error:5.7.1 this server delivers mail for $mydomain only\n";

static const char master_cf[] =
    "# Made by \"merpati run\"; ports of the standard services plus @#@.\n"
    "# service type private unpriv chroot wakeup maxproc command\n"
    "@S@ inet n - n - - smtpd\n"
    "@R@ inet n - n - - pop3d\n"
    "pickup unix n - n 60 1 pickup\n"
    "cleanup unix n - n - 0 cleanup\n"
    "qmgr unix n - n 300 1 qmgr\n"
    "rewrite unix - - n - - trivial-rewrite\n"
    "bounce unix - - n - 0 bounce\n"
    "local unix - n n - - local\n"
    "virtual unix - n n - - virtual\n"
    "error unix - - n - - error\n"
    "retry unix - - n - - error\n"
    "discard unix - - n - - discard\n"
    "proxymap unix - - n - - proxymap\n"
    "anvil unix - - n - 1 anvil\n"
    "auth unix - - n - - auth\n"
    "deliver unix - n n - 1 deliver\n";

static void put_value(struct buf *out, const struct instance *i, char letter)
{
    switch (letter) {
    case 'D':
        buf_puts(out, i->directory);
        break;
    case 'N':
        buf_puts(out, i->domain);
        break;
    case 'L':
        buf_puts(out, i->listen);
        break;
    case 'P':
        buf_puts(out, strchr(i->listen, ':') ? "ipv6" : "ipv4");
        break;
    case 'U':
        buf_printf(out, "%u", (unsigned)getuid());
        break;
    case 'G':
        buf_printf(out, "%u", (unsigned)getgid());
        break;
    case '#':
        buf_printf(out, "%d", i->offset);
        break;
    case 'S':
        buf_printf(out, "%d", PORT_SMTP + i->offset);
        break;
    case 'R':
        buf_printf(out, "%d", PORT_POP3 + i->offset);
        break;
    }
}

static void fill_template(struct buf *out, const struct instance *i, const char *text)
{
    for (; *text; text++)
        if (text[0] == '@' && text[1] && text[2] == '@') {
            put_value(out, i, text[1]);
            text += 2;
        } else {
            buf_putc(out, *text);
        }
}

/* Writes a file that is not there. */
static bool write_once(const struct instance *i, const char *path, const char *text, unsigned mode)
{
    struct buf filled = BUF_INIT, why = BUF_INIT;
    bool good = true;
    if (access(path, F_OK) != 0) {
        fill_template(&filled, i, text);
        good = file_replace(path, buf_span(&filled), mode, &why) || say("%s", buf_text(&why));
    }
    buf_fini(&filled);
    buf_fini(&why);
    return good;
}

/* --- what is there already ------------------------------------------------------------- */

/* A setting of the main.cf that is there, or NULL. */
static const char *setting_of(struct instance *i, const char *name)
{
    struct settings s = SETTINGS_INIT;
    struct buf text = BUF_LIMITED(CONFIG_MAX), why = BUF_INIT;
    const char *path = arena_printf(&i->arena, "%s/main.cf", i->etc), *value = NULL;
    if (access(path, F_OK) == 0 && settings_load_file(path, CONFIG_MAX, &text, &why)) {
        settings_parse(&s, buf_span(&text), span_text(path), NULL);
        const struct setting *found = settings_get(&s, span_text(name));
        value = found ? arena_text(&i->arena, found->value) : NULL;
    }
    settings_fini(&s);
    buf_fini(&text);
    buf_fini(&why);
    return value;
}

/* The port offset that a master.cf of ours tells in its first line; -1: it tells none.
 * untouched: set to whether the rest is as we wrote it, too */
static int offset_of(struct instance *i, const char *path, bool *untouched)
{
    struct buf text = BUF_LIMITED(CONFIG_MAX), ours = BUF_INIT, why = BUF_INIT;
    uint64_t offset = 0;
    int result = -1, wished = i->offset;
    *untouched = false;
    if (settings_load_file(path, CONFIG_MAX, &text, &why)) {
        struct span line = span_slice(buf_span(&text), 0, span_find(buf_span(&text), '\n'));
        struct span number = span_skip(line, span_rfind(line, ' ') + 1);
        if (number.n > 1 && span_to_u64(span_slice(number, 0, number.n - 1), 65535 - PORT_POP3, &offset)) {
            i->offset = result = (int)offset;
            fill_template(&ours, i, master_cf);
            i->offset = wished;
            *untouched = span_eq(buf_span(&ours), buf_span(&text));
        }
    }
    buf_fini(&text);
    buf_fini(&ours);
    buf_fini(&why);
    return result;
}

static bool choose_domain(struct instance *i, const struct wishes *w)
{
    const char *old = setting_of(i, "mydomain");
    i->domain = w->domain ? w->domain : old ? old : "example.test";
    if (old && w->domain && strcmp(old, w->domain) != 0)
        return say("%s is an instance for the domain %s: choose another --dir for %s", i->directory, old, w->domain);
    return true;
}

static bool choose_listen(struct instance *i, const struct wishes *w)
{
    const char *old = setting_of(i, "inet_interfaces");
    struct ip ip;
    i->listen = w->listen ? w->listen : old ? old : "127.0.0.1";
    if (!ip_parse(span_text(i->listen), &ip))
        return say("%s: --listen and inet_interfaces take one address here, 127.0.0.1 for example", i->listen);
    return true;
}

/* master.cf is ours as long as nobody has changed it; then the ports can move. */
static bool choose_ports(struct instance *i, const struct wishes *w)
{
    const char *path = arena_printf(&i->arena, "%s/master.cf", i->etc);
    bool untouched;
    i->offset = w->offset >= 0 ? w->offset : OFFSET_DEFAULT;
    if (access(path, F_OK) != 0)
        return true;
    int old = offset_of(i, path, &untouched);
    if (w->offset < 0 && old >= 0)
        i->offset = old;
    if (i->offset == old)
        return true;
    if (w->offset < 0)
        return say("%s does not tell in its first line which ports it has: say it with --port-offset N", path);
    if (!untouched && old >= 0)
        return say("%s was edited: change the ports there, its first line too, or move it away", path);
    return !untouched || unlink(path) == 0 || say("%s: %s", path, strerror(errno));
}

/* --- accounts and tables ------------------------------------------------------------------ */

static bool set_account(struct instance *i, const char *user)
{
    const char *colon = strchr(user, ':');
    struct buf why = BUF_INIT;
    if (!colon || !colon[1])
        return say("--user %s: write NAME:PASSWORD", user);
    struct span name = span_of(user, (size_t)(colon - user));
    const char *full = span_find(name, '@') < name.n ? arena_text(&i->arena, name)
                                                     : arena_printf(&i->arena, "%.*s@%s", SPAN_ARG(name), i->domain);
    bool good = accounts_set(&i->accounts, span_text(full), colon + 1, &why) || say("%s", buf_text(&why));
    buf_fini(&why);
    return good;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static bool make_accounts(struct instance *i, const struct wishes *w)
{
    const char *path = arena_printf(&i->arena, "%s/passwd", i->etc);
    struct buf why = BUF_INIT;
    bool good = accounts_load(&i->accounts, path, &why) || say("%s", buf_text(&why));
    i->demo = good && i->accounts.n == 0 && w->nusers == 0;
    if (i->demo && !is_loopback(i->listen))
        good = say("the demo accounts have well-known passwords: with --listen %s name accounts of your own by "
                   "--user NAME:PASSWORD", i->listen);
    for (unsigned k = 0; good && k < w->nusers; k++)
        good = set_account(i, w->users[k]);
    for (unsigned k = 0; good && i->demo && demo_user(k); k++)
        good = set_account(i, demo_user(k));
    if (good && (w->nusers || i->demo))
        good = accounts_save(&i->accounts, path, &why) || say("%s", buf_text(&why));
    buf_fini(&why);
    return good;
}

/* Mailboxes by address, and everybody whom a mail server must know (RFC 5321 4.5.1) as the first account. */
static bool write_tables(struct instance *i)
{
    struct buf mailboxes = BUF_INIT, why = BUF_INIT;
    const char *first = NULL;
    for (size_t k = 0; k < i->accounts.n; k++) {
        struct span name = i->accounts.names[k];
        size_t at = span_find(name, '@');
        if (name.n == 0 || at == name.n)
            continue;
        first = first ? first : arena_text(&i->arena, name);
        buf_printf(&mailboxes, "%.*s %.*s/%.*s/\n", SPAN_ARG(name), SPAN_ARG(span_skip(name, at + 1)),
                   SPAN_ARG(span_slice(name, 0, at)));
    }
    const char *aliases = first ? arena_printf(&i->arena, "postmaster: %s\nroot: %s\nmailer-daemon: %s\n", first, first, first)
                                : "";
    const char *virtual = first ? arena_printf(&i->arena, "postmaster@%s %s\nabuse@%s %s\n", i->domain, first, i->domain,
                                               first)
                                : "";
    bool good = file_replace(arena_printf(&i->arena, "%s/mailboxes", i->etc), buf_span(&mailboxes), 0644, &why) &&
                write_once(i, arena_printf(&i->arena, "%s/aliases", i->etc), aliases, 0644) &&
                write_once(i, arena_printf(&i->arena, "%s/virtual", i->etc), virtual, 0644);
    if (!good && why.len)
        say("%s", buf_text(&why));
    buf_fini(&mailboxes);
    buf_fini(&why);
    return good;
}

static bool build_tables(struct instance *i, const struct programs *p)
{
    const char *mailboxes = arena_printf(&i->arena, "cdb:%s/mailboxes", i->etc);
    const char *virtual = arena_printf(&i->arena, "cdb:%s/virtual", i->etc);
    const char *aliases = arena_printf(&i->arena, "cdb:%s/aliases", i->etc);
    const char *const postmap[] = {"postmap", "-c", i->etc, mailboxes, virtual, NULL};
    const char *const postalias[] = {"postalias", "-c", i->etc, aliases, NULL};
    return program_run(p->bin, "postmap", postmap) == 0 && program_run(p->bin, "postalias", postalias) == 0;
}

static bool make_directories(struct instance *i)
{
    static const struct {
        const char *name;
        mode_t mode;
    } directories[] = {{"etc", 0755}, {"spool", 0755}, {"mail", 0700}, {"log", 0700}};
    for (size_t k = 0; k < sizeof directories / sizeof *directories; k++) {
        const char *path = arena_printf(&i->arena, "%s/%s", i->directory, directories[k].name);
        if (mkdir(path, directories[k].mode) != 0 && errno != EEXIST)
            return say("%s: %s", path, strerror(errno));
    }
    return true;
}

bool instance_make(struct instance *i, const struct wishes *w, const struct programs *p)
{
    *i = (struct instance){.directory = w->directory};
    i->etc = arena_printf(&i->arena, "%s/etc", i->directory);
    return make_directories(i) && choose_domain(i, w) && choose_listen(i, w) && choose_ports(i, w) &&
           make_accounts(i, w) && write_tables(i) &&
           write_once(i, arena_printf(&i->arena, "%s/main.cf", i->etc), main_cf, 0644) &&
           write_once(i, arena_printf(&i->arena, "%s/master.cf", i->etc), master_cf, 0644) && build_tables(i, p);
}

void instance_fini(struct instance *i)
{
    accounts_fini(&i->accounts);
    arena_fini(&i->arena);
}

const char *instance_host(struct instance *i)
{
    return strchr(i->listen, ':') ? arena_printf(&i->arena, "[%s]", i->listen) : i->listen;
}
