/*
 * Which order of system calls delivers a batch into a Maildir cheapest, file and directory synced in every
 * case.
 *
 * usage: maildir-order DIR SIZE ROUNDS MESSAGES
 *
 * Every round delivers MESSAGES messages with each way of making the name, each way of syncing the files and
 * each batch size; the directory is synced once per batch.
 */
#define _GNU_SOURCE
#include "../common.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ROUNDS = 32, MAX_BATCH = 64 };

enum naming { TMPFILE, RENAME, DIRECT, NAMINGS };
enum syncing { EACH, START_FIRST, FIRST_LAST, WHOLE, SYNCINGS };

static const char *const naming_name[NAMINGS] = {
    [TMPFILE] = "O_TMPFILE+linkat",
    [RENAME] = "tmp/+rename",
    [DIRECT] = "O_EXCL in new/",
};
static const char *const syncing_name[SYNCINGS] = {
    [EACH] = "fsync each",
    [START_FIRST] = "start writes, fsync each",
    [FIRST_LAST] = "start+wait, fsync each",
    [WHOLE] = "syncfs once",
};
static const unsigned batch_size[] = {1, 4, 16, 64};
enum { BATCHES = sizeof batch_size / sizeof batch_size[0] };

struct maildir {
    int tmp_fd, new_fd;
    const char *text;
    size_t size;
    uint64_t next;
};

struct cost {
    double wall_us, cpu_us, journal_us;
};

static void name_of(char *name, size_t len, uint64_t id)
{
    snprintf(name, len, "%llu.example", (unsigned long long)id);
}

static int begin(struct maildir *m, enum naming how, uint64_t id)
{
    char name[40];
    int fd, dir = how == RENAME ? m->tmp_fd : m->new_fd;

    name_of(name, sizeof name, id);
    if (how == TMPFILE)
        fd = openat(m->tmp_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    else
        fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        die("create");
    if (write(fd, m->text, m->size) != (ssize_t)m->size)
        die("write");
    return fd;
}

static void finish(struct maildir *m, enum naming how, uint64_t id, int fd)
{
    char name[40], self[40];
    int failed = 0;

    name_of(name, sizeof name, id);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (how == TMPFILE)
        failed = linkat(AT_FDCWD, self, m->new_fd, name, AT_SYMLINK_FOLLOW);
    if (how == RENAME)
        failed = renameat(m->tmp_fd, name, m->new_fd, name);
    if (failed != 0)
        die("name");
    close(fd);
}

static void sync_files(int *fd, unsigned count, enum syncing how)
{
    unsigned wait =
        how == FIRST_LAST ? SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER : SYNC_FILE_RANGE_WRITE;

    if (how == WHOLE && syncfs(fd[0]) != 0)
        die("syncfs");
    if (how == START_FIRST || how == FIRST_LAST)
        for (unsigned i = 0; i < count; i++)
            if (sync_file_range(fd[i], 0, 0, SYNC_FILE_RANGE_WRITE) != 0)
                die("sync_file_range");
    if (how == FIRST_LAST)
        for (unsigned i = 0; i < count; i++)
            if (sync_file_range(fd[i], 0, 0, wait) != 0)
                die("sync_file_range");
    for (unsigned i = 0; how != WHOLE && i < count; i++)
        if (fsync(fd[i]) != 0)
            die("fsync");
}

static void deliver(struct maildir *m, enum naming naming, enum syncing syncing, unsigned count)
{
    int fd[MAX_BATCH];

    for (unsigned i = 0; i < count; i++)
        fd[i] = begin(m, naming, m->next + i);
    sync_files(fd, count, syncing);
    for (unsigned i = 0; i < count; i++)
        finish(m, naming, m->next + i, fd[i]);
    if (fsync(m->new_fd) != 0)
        die("fsync new");
    m->next += count;
}

static int open_dir(const char *dir, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    mkdir(path, 0700);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die(path);
    return fd;
}

static struct cost measure(const char *dir, struct maildir *m, enum naming naming, enum syncing syncing,
                           unsigned batch, unsigned messages)
{
    char name[40];
    uint64_t first = m->next;
    double journal = journal_cpu(dir);
    uint64_t wall = now_ns(), cpu = cpu_ns();

    for (unsigned done = 0; done < messages; done += batch)
        deliver(m, naming, syncing, batch);
    double total = (double)(m->next - first);
    struct cost c = {
        (double)(now_ns() - wall) / 1e3 / total,
        (double)(cpu_ns() - cpu) / 1e3 / total,
        (journal_cpu(dir) - journal) * 1e6 / total,
    };
    for (uint64_t id = first; id < m->next; id++) {
        name_of(name, sizeof name, id);
        unlinkat(m->new_fd, name, 0);
    }
    return c;
}

static void print_row(struct cost (*r)[NAMINGS][SYNCINGS][BATCHES], unsigned rounds, unsigned n, unsigned s)
{
    double wall[MAX_ROUNDS], cpu[MAX_ROUNDS];

    printf("%-18s %-26s", naming_name[n], syncing_name[s]);
    for (unsigned b = 0; b < BATCHES; b++) {
        for (unsigned i = 0; i < rounds; i++) {
            wall[i] = r[i][n][s][b].wall_us;
            cpu[i] = r[i][n][s][b].cpu_us + r[i][n][s][b].journal_us;
        }
        printf("  %6.0f /%4.0f", median(wall, rounds), median(cpu, rounds));
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    static struct cost r[MAX_ROUNDS][NAMINGS][SYNCINGS][BATCHES];

    if (argc != 5) {
        fprintf(stderr, "usage: maildir-order DIR SIZE ROUNDS MESSAGES\n");
        return 2;
    }
    struct maildir m = {open_dir(argv[1], "tmp"), open_dir(argv[1], "new"), NULL, strtoul(argv[2], NULL, 10),
                        1};
    unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10), messages = (unsigned)strtoul(argv[4], NULL, 10);
    char *text = malloc(m.size);
    if (rounds == 0 || rounds > MAX_ROUNDS || text == NULL)
        return 2;
    memset(text, 'x', m.size);
    m.text = text;
    for (unsigned i = 0; i < rounds; i++)
        for (unsigned n = 0; n < NAMINGS; n++)
            for (unsigned s = 0; s < SYNCINGS; s++)
                for (unsigned b = 0; b < BATCHES; b++)
                    r[i][n][s][b] = measure(argv[1], &m, n, s, batch_size[b], messages);
    printf("%zu bytes; per message: wall us / cpu us (own + jbd2)\n%-45s", m.size, "");
    for (unsigned b = 0; b < BATCHES; b++)
        printf("     batch %2u", batch_size[b]);
    putchar('\n');
    for (unsigned n = 0; n < NAMINGS; n++)
        for (unsigned s = 0; s < SYNCINGS; s++)
            print_row(r, rounds, n, s);
    return 0;
}
