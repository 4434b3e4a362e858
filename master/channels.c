#include "master/channels.h"

#include "lib/base/check.h"
#include "lib/log/log.h"
#include "master/services.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void answer(const struct child *asker, uint64_t id, const struct msg_channel_made *made, int fd)
{
    struct buf body = BUF_INIT;
    msg_channel_made_put(&body, made);
    if (asker->channel)
        channel_reply(asker->channel, id, MSG_channel_made, buf_span(&body), &fd, fd >= 0 ? 1 : 0);
    buf_fini(&body);
}

static void refuse(const struct child *asker, uint64_t id, struct span service, const char *why)
{
    answer(asker, id, &(struct msg_channel_made){.service = service, .error = span_text(why)}, -1);
}

/* Makes the two ends and hands them over. */
static void connect_children(const struct child *asker, uint64_t id, struct child *callee, const char *as)
{
    int ends[2];
    struct buf body = BUF_INIT;
    if (!channel_pair(ends)) {
        refuse(asker, id, span_text(as), strerror(errno));
        return;
    }
    msg_channel_given_put(&body, &(struct msg_channel_given){.service = span_text(asker->crew->name),
                                                             .slot = asker->slot,
                                                             .incarnation = asker->incarnation,
                                                             .as = span_text(as)});
    channel_notify(callee->channel, MSG_channel_given, buf_span(&body), &ends[1], 1);
    callee->given++;
    callee->open++;
    answer(asker, id, &(struct msg_channel_made){.service = span_text(as), .slot = callee->slot}, ends[0]);
    buf_fini(&body);
    close(ends[0]);
    close(ends[1]);
}

/* --- the process it leads to -------------------------------------------------------- */

/* Somebody who has just lost a channel to a dying process is quicker back here than the news of
 * its end. The kernel marks it (PF_EXITING, proc_pid_stat(5)) before it closes anything. */
static bool is_dying(const struct child *c)
{
    enum { FLAGS = 6 /* behind the name */, PF_EXITING = 4 };
    char path[40], text[512];
    struct span rest, word = SPAN_NONE;
    uint64_t flags = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)c->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    rest = span_of(text, n > 0 ? (size_t)n : 0);
    rest = span_skip(rest, span_rfind(rest, ')') + 1);
    for (int i = 0; i <= FLAGS && span_next_token(&rest, SPAN(" "), &word); i++)
        if (i == FLAGS)
            (void)span_to_u64(word, UINT32_MAX, &flags);
    return !c->channel || (flags & PF_EXITING);
}

static bool can_serve(const struct child *c)
{
    return c->state == CHILD_READY && !c->retired && !is_dying(c);
}

/* The ready process with the fewest callers; one with none where a process has one caller at a time. */
static struct child *choose_child(const struct crew *crew, unsigned slot)
{
    struct child *best = NULL;
    for (struct list *node = crew->children.next; node != &crew->children; node = node->next) {
        struct child *c = LIST_ENTRY(node, struct child, node);
        /* A process that is asked for by its slot is the one that owns something; old or new. */
        if (slot ? c->slot == slot - 1 && c->state == CHILD_READY && !is_dying(c) : can_serve(c))
            if (!best || c->open < best->open)
                best = c;
    }
    if (best && best->plan->program->calls == CALLS_OWN && best->open)
        return NULL;
    return best;
}

static bool slot_is_taken(const struct crew *crew, unsigned slot)
{
    for (struct list *node = crew->children.next; node != &crew->children; node = node->next)
        if (LIST_ENTRY(node, struct child, node)->slot == slot)
            return true;
    return false;
}

static unsigned count_starting(const struct crew *crew)
{
    unsigned n = 0;
    for (struct list *node = crew->children.next; node != &crew->children; node = node->next)
        n += LIST_ENTRY(node, struct child, node)->state == CHILD_STARTING;
    return n;
}

/* One more process where the requests at hand ask for it. */
static void start_for(struct crew *crew, unsigned slot)
{
    if (slot && !slot_is_taken(crew, slot - 1) && slot <= SLOTS_MAX && clock_mono() >= crew->not_before)
        crew_start(crew, slot - 1);
    else if (!slot && crew_may_start(crew) && count_starting(crew) < crew->nrequests)
        crew_start(crew, crew_free_slot(crew));
}

/* --- requests ------------------------------------------------------------------------- */

static void request_free(struct request *r)
{
    list_remove(&r->node);
    r->asker = NULL;
    free(r);
}

static void request_add(struct crew *crew, struct child *asker, uint64_t id, unsigned slot)
{
    struct request *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    *r = (struct request){.asker = asker, .id = id, .slot = slot, .give_up = clock_after(REQUEST_MOST_S)};
    list_push(&crew->requests, &r->node);
    crew->nrequests++;
}

void channels_serve(struct crew *crew)
{
    LIST_EACH (node, after, &crew->requests) {
        struct request *r = LIST_ENTRY(node, struct request, node);
        struct child *callee = choose_child(crew, r->slot);
        if (!callee) {
            start_for(crew, r->slot);
            continue;
        }
        connect_children(r->asker, r->id, callee, crew->name);
        crew->nrequests--;
        request_free(r);
    }
}

/* A shared crew grows until each caller has a process of its own, or there are as many as there may be. */
static bool is_worth_another(const struct crew *crew, const struct child *callee, unsigned slot)
{
    return !slot && callee->open > 0 && crew->plan->program->calls == CALLS_SHARED && crew_may_start(crew);
}

static void want(struct crew *crew, struct child *asker, uint64_t id, unsigned slot)
{
    struct child *callee = choose_child(crew, slot);
    if (callee && !is_worth_another(crew, callee, slot)) {
        connect_children(asker, id, callee, crew->name);
        return;
    }
    if (crew->nrequests == REQUESTS_MAX) {
        refuse(asker, id, span_text(crew->name), "too many wait for it");
        return;
    }
    request_add(crew, asker, id, slot);
    start_for(crew, slot);
    crew_fill(crew); /* sets the timer of the crew */
}

void channels_wanted(struct child *asker, struct frame *f)
{
    struct arena scratch = ARENA_INIT;
    struct msg_channel_wanted m;
    struct crew *crew = NULL;
    if (!msg_channel_wanted_get(&scratch, f->body, &m))
        m.service = SPAN_NONE;
    else
        crew = services_find(asker->master, m.service);
    if (!crew)
        refuse(asker, f->id, m.service, "there is no such service");
    else if (!wall_has_word(asker->plan->wall->channels, span_text(crew->plan->program->name))) {
        log_warning("service %s, process %ld asks for a channel to %s, which is beyond its wall", asker->crew->name,
                    (long)asker->pid, crew->name);
        refuse(asker, f->id, m.service, "it is beyond the wall of this process");
    } else if (asker->master->stopping > 1 || crew->gone)
        refuse(asker, f->id, m.service, "the server stops");
    else
        want(crew, asker, f->id, (unsigned)(m.slot < SLOTS_MAX ? m.slot : SLOTS_MAX));
    arena_fini(&scratch);
}

void channels_forget(struct master *m, const struct child *asker)
{
    LIST_EACH (node, after, &m->crews) {
        struct crew *crew = LIST_ENTRY(node, struct crew, node);
        LIST_EACH (at, next, &crew->requests) {
            struct request *r = LIST_ENTRY(at, struct request, node);
            if (r->asker == asker) {
                crew->nrequests--;
                request_free(r);
            }
        }
    }
}

void channels_refuse(struct crew *crew, const char *why)
{
    LIST_EACH (node, after, &crew->requests) {
        struct request *r = LIST_ENTRY(node, struct request, node);
        refuse(r->asker, r->id, span_text(crew->name), why);
        request_free(r);
    }
    crew->nrequests = 0;
}

mono_ms channels_expire(struct crew *crew, mono_ms now)
{
    mono_ms first = MONO_NEVER;
    LIST_EACH (node, after, &crew->requests) {
        struct request *r = LIST_ENTRY(node, struct request, node);
        if (r->give_up > now) {
            first = r->give_up < first ? r->give_up : first;
            continue;
        }
        refuse(r->asker, r->id, span_text(crew->name), "no process of it became free in time");
        crew->nrequests--;
        request_free(r);
    }
    return first;
}
