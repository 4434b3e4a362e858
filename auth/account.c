#include "auth/account.h"

#include "lib/base/check.h"
#include "lib/mail/address.h"

#include <stdlib.h>

struct accounts {
    struct account_config config;
    struct passwd_file file;
    struct maps *hashes, *mailboxes, *uids, *gids;
};

struct accounts *accounts_new(struct tables *ts, const struct account_config *config)
{
    struct accounts *as = calloc(1, sizeof *as);
    CHECK(as != NULL);
    as->config = *config;
    as->hashes = maps_open(ts, SPAN("pop3d_auth_maps"), config->auth_maps, TABLE_FOLD);
    as->mailboxes = maps_open(ts, SPAN("virtual_mailbox_maps"), config->virtual_mailbox_maps, TABLE_FOLD);
    as->uids = maps_open(ts, SPAN("virtual_uid_maps"), config->virtual_uid_maps, TABLE_FOLD);
    as->gids = maps_open(ts, SPAN("virtual_gid_maps"), config->virtual_gid_maps, TABLE_FOLD);
    return as;
}

void accounts_free(struct accounts **where)
{
    struct accounts *as = *where;
    if (!as)
        return;
    *where = NULL;
    maps_close(&as->hashes);
    maps_close(&as->mailboxes);
    maps_close(&as->uids);
    maps_close(&as->gids);
    passwd_file_fini(&as->file);
    free(as);
}

void accounts_set_file(struct accounts *as, struct passwd_file *f)
{
    passwd_file_fini(&as->file);
    as->file = *f;
    *f = PASSWD_FILE_INIT;
}

/* A password file by a table's name ("/file" or "type:name"): the value is the hash. */
static enum account_result find_in(struct maps *m, struct arena *a, struct span key, struct span *value, struct buf *why)
{
    struct buf text = BUF_INIT;
    enum table_result found = maps_find(m, key, MAPS_ALL, &text, why);
    if (found == TABLE_FOUND)
        *value = arena_dup(a, buf_span(&text));
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_fini(&text);
    return found == TABLE_FOUND ? ACCOUNT_FOUND : found == TABLE_TEMP ? ACCOUNT_TEMP : ACCOUNT_NONE;
}

static void put_names(const struct accounts *as, struct arena *a, struct span user, struct account *acc)
{
    struct span local, domain, ours = as->config.login_domain;
    acc->names[acc->nnames++] = address_dup_lower(a, user);
    if (ours.n == 0)
        return;
    if (!address_split(acc->names[0], &local, &domain))
        acc->names[acc->nnames++] =
            address_dup_lower(a, span_text(arena_printf(a, "%.*s@%.*s", SPAN_ARG(acc->names[0]), SPAN_ARG(ours))));
    else if (span_eq_nocase(domain, ours) && local.n)
        acc->names[acc->nnames++] = local;
}

enum account_result accounts_find(struct accounts *as, struct arena *a, struct span user, struct account *acc,
                                  struct buf *why)
{
    *acc = (struct account){0};
    put_names(as, a, user, acc);
    for (unsigned i = 0; i < acc->nnames; i++) {
        acc->entry = passwd_file_find(&as->file, acc->names[i]);
        if (acc->entry) {
            acc->hash = acc->entry->hash;
            return ACCOUNT_FOUND;
        }
    }
    for (unsigned i = 0; i < acc->nnames; i++) {
        enum account_result found = find_in(as->hashes, a, acc->names[i], &acc->hash, why);
        if (found != ACCOUNT_NONE)
            return found;
    }
    return ACCOUNT_NONE;
}

/* --- mailboxes ----------------------------------------------------------------------------------- */

static enum account_result unusable(struct buf *why, struct span user, const char *what)
{
    buf_clear(why);
    buf_printf(why, "mailbox of %.*s: %s", SPAN_ARG(user), what);
    return ACCOUNT_TEMP;
}

static enum account_result find_id(struct maps *m, struct arena *a, struct span user, const char *parameter,
                                   uint64_t least, uint64_t *id, struct buf *why)
{
    struct span text;
    enum account_result found = find_in(m, a, user, &text, why);
    if (found == ACCOUNT_TEMP)
        return found;
    if (found == ACCOUNT_NONE || !span_to_u64(text, UINT32_MAX - 1, id) || *id < least)
        return unusable(why, user, parameter);
    return ACCOUNT_FOUND;
}

static enum account_result virtual_mailbox(struct accounts *as, struct arena *a, struct span user, struct mailbox *box,
                                           struct buf *why)
{
    struct span path;
    enum account_result found = find_in(as->mailboxes, a, user, &path, why);
    if (found != ACCOUNT_FOUND)
        return found;
    if (path.p[path.n - 1] != '/')
        return unusable(why, user, "not a Maildir (its path in virtual_mailbox_maps does not end in /)");
    *box = (struct mailbox){.user = user, .home = as->config.virtual_mailbox_base, .path = path};
    found = find_id(as->uids, a, user, "no usable entry in virtual_uid_maps", as->config.virtual_minimum_uid, &box->uid,
                    why);
    if (found == ACCOUNT_FOUND)
        found = find_id(as->gids, a, user, "no usable entry in virtual_gid_maps", 0, &box->gid, why);
    return found;
}

/* The Maildir that local delivery writes to, below home or in the spool. */
static enum account_result local_mailbox(const struct accounts *as, struct arena *a, struct mailbox *box, struct buf *why)
{
    struct span in_home = as->config.home_mailbox, spool = as->config.mail_spool_directory;
    if (in_home.n && in_home.p[in_home.n - 1] == '/') {
        box->path = in_home;
        return ACCOUNT_FOUND;
    }
    if (in_home.n == 0 && spool.n && spool.p[spool.n - 1] == '/') {
        box->path = span_text(arena_printf(a, "%.*s%.*s/", SPAN_ARG(spool), SPAN_ARG(box->user)));
        return ACCOUNT_FOUND;
    }
    return unusable(why, box->user, "not a Maildir (set home_mailbox = Maildir/)");
}

enum account_result accounts_find_mailbox(struct accounts *as, struct arena *a, const struct account *acc,
                                          struct mailbox *box, struct buf *why)
{
    for (unsigned i = 0; i < acc->nnames; i++) {
        if (span_find(acc->names[i], '@') == acc->names[i].n)
            continue;
        enum account_result found = virtual_mailbox(as, a, acc->names[i], box, why);
        if (found != ACCOUNT_NONE)
            return found;
    }
    const struct passwd_entry *e = acc->entry;
    *box = (struct mailbox){.user = e ? e->name : acc->names[0]};
    if (e && e->uid >= 0 && e->gid >= 0 && e->home.n) {
        box->uid = (uint64_t)e->uid;
        box->gid = (uint64_t)e->gid;
        box->home = e->home;
        return local_mailbox(as, a, box, why);
    }
    /* The system knows users by their bare names. */
    for (unsigned i = 0; i < acc->nnames; i++)
        if (span_find(acc->names[i], '@') == acc->names[i].n && acc->names[i].n && acc->names[i].p[0] != '/') {
            box->user = acc->names[i];
            box->system_user = true;
            return local_mailbox(as, a, box, why);
        }
    return unusable(why, acc->names[0], "there is neither a virtual mailbox nor a system user of this name");
}
