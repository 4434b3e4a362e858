/* Where answers come from: the parameters and the files they name, as one value that a resolver is made of. */
#ifndef DNSD_SOURCES_H
#define DNSD_SOURCES_H

#include "dnsd/anchors.h"
#include "dnsd/servers.h"
#include "lib/param/param.h"

enum { PORTS_MAX = 64 };

struct stub {
    struct span zone; /* without a final dot */
    struct server server;
};

/* Everything is made in the arena that it was made with. */
struct sources {
    const struct server *forwarders; /* none: full recursion */
    size_t nforwarders;
    const struct stub *stubs;
    size_t nstubs;
    const struct anchors *anchors;
    const struct span *insecure; /* domains */
    size_t ninsecure;
    bool validate; /* and there is an anchor */
    bool builtin;  /* the library answers for private names */
    bool use_tcp;
    uint64_t cache_size, query_limit;
    int64_t max_ttl, max_negative_ttl;
    uint16_t ports[PORTS_MAX]; /* of all name servers, each once */
    size_t nports;
    struct span fingerprint; /* equal where nothing above differs */
};

/* How files are read, and what is to be said of them. */
struct sources_reader {
    /* text: made in a. result: false with errno */
    bool (*read)(void *context, struct arena *a, const char *path, size_t most, struct span *text);
    void (*warn)(void *context, const char *line);
    void *context;
};

/* Waits for no more than a local file.
 * why:    what is wrong, where the result is false
 * result: false: nothing good stands where there must be something (dnsd_forwarders, dnsd_stub_zones) */
bool sources_make(struct arena *a, const struct params_dnsd *params, const struct sources_reader *reader,
                  struct sources *s, struct buf *why);

#endif
