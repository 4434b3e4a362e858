#include "lib/proc/filter.h"

#include "lib/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Names that an architecture does not have are left out there. */
static const struct {
    const char *group, *calls;
} groups_of_calls[] = {
    {"base",
     "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range dup dup3 "
     "fcntl fstat poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 "
     "recvmsg sendmsg recvfrom sendto recvmmsg sendmmsg shutdown getsockopt setsockopt getsockname getpeername "
     "socketpair pipe2 eventfd2 signalfd4 timerfd_create timerfd_settime timerfd_gettime memfd_create "
     "brk munmap mremap madvise mincore futex futex_waitv set_robust_list rseq membarrier sched_yield "
     "sched_getaffinity rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack "
     "restart_syscall nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times getrusage "
     "sysinfo uname getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups getrandom "
     "getrlimit exit exit_group splice tee sendfile copy_file_range"},
    {"accept", "accept accept4"},
    /* Reading files below the directories that were given. */
    {"read",
     "open openat openat2 stat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat "
     "getdents64 fadvise64 readahead flock umask getcwd"},
    {"write",
     "open openat openat2 stat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat "
     "getdents64 fadvise64 readahead flock umask fsync fdatasync sync_file_range syncfs fallocate ftruncate "
     "truncate unlink unlinkat rename renameat renameat2 link linkat mkdir mkdirat rmdir fchmod fchmodat "
     "utimensat"},
    {"connect", "connect"},
    /* To hosts on the network, from an address of choice; no socket of the file system, nothing that listens. */
    {"dial", "connect bind"},
    /* To sockets of the file system. */
    {"reach", "connect"},
    {"code", ""},
    {"threads", ""},
};

/* Calls that are allowed where one argument has (under a mask) one value. */
static const struct limited {
    const char *group, *call;
    unsigned argument;
    uint64_t mask, value;
} limited[] = {
    {"base", "mmap", 2, PROT_EXEC, 0},
    {"base", "mprotect", 2, PROT_EXEC, 0},
    /* What fstat() of some C libraries is. */
    {"base", "newfstatat", 3, AT_EMPTY_PATH, AT_EMPTY_PATH},
    {"base", "statx", 2, AT_EMPTY_PATH, AT_EMPTY_PATH},
    {"base", "ioctl", 1, UINT32_MAX, FIONREAD},
    {"base", "ioctl", 1, UINT32_MAX, FIONBIO},
    {"base", "ioctl", 1, UINT32_MAX, TCGETS},
    {"base", "prctl", 0, UINT32_MAX, PR_SET_NAME},
    {"base", "prlimit64", 2, UINT64_MAX, 0}, /* asking, not setting */
    {"connect", "socket", 0, UINT32_MAX, AF_UNIX},
    {"connect", "socket", 0, UINT32_MAX, AF_INET},
    {"connect", "socket", 0, UINT32_MAX, AF_INET6},
    {"reach", "socket", 0, UINT32_MAX, AF_UNIX},
    {"dial", "socket", 0, UINT32_MAX, AF_INET},
    {"dial", "socket", 0, UINT32_MAX, AF_INET6},
    {"threads", "clone", 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM},
    {"code", "mmap", 2, PROT_EXEC, PROT_EXEC}, /* shared objects that NSS loads */
    {"code", "mprotect", 2, PROT_EXEC, PROT_EXEC},
};

static const char killed[] =
    "ptrace process_vm_readv process_vm_writev process_madvise kcmp bpf perf_event_open userfaultfd "
    "io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key mount umount2 move_mount fsopen "
    "fsmount fsconfig fspick open_tree mount_setattr pivot_root chroot unshare setns open_by_handle_at "
    "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl "
    "quotactl_fd settimeofday clock_settime clock_adjtime adjtimex iopl ioperm modify_ldt personality pidfd_getfd "
    "syslog vhangup lookup_dcookie nfsservctl fanotify_init";

static int add_names(scmp_filter_ctx ctx, uint32_t action, struct span names)
{
    struct span name;
    while (span_next_token(&names, SPAN(" "), &name)) {
        char text[40];
        CHECK(name.n < sizeof text);
        memcpy(text, name.p, name.n);
        text[name.n] = 0;
        int nr = seccomp_syscall_resolve_name(text);
        int rc = nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(ctx, action, nr, 0);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int add_limited(scmp_filter_ctx ctx, struct span group)
{
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++) {
        const struct limited *l = &limited[i];
        if (!span_eq(group, span_text(l->group)))
            continue;
        int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(l->call), 1,
                                  SCMP_CMP64(l->argument, SCMP_CMP_MASKED_EQ, l->mask, l->value));
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int add_group(scmp_filter_ctx ctx, struct span group)
{
    for (size_t i = 0; i < sizeof groups_of_calls / sizeof *groups_of_calls; i++)
        if (span_eq(group, span_text(groups_of_calls[i].group))) {
            int rc = add_names(ctx, SCMP_ACT_ALLOW, span_text(groups_of_calls[i].calls));
            return rc ? rc : add_limited(ctx, group);
        }
    return -EINVAL;
}

static int add_everything(scmp_filter_ctx ctx, struct span groups)
{
    struct span group;
    int rc = add_names(ctx, SCMP_ACT_KILL_PROCESS, span_of(killed, sizeof killed - 1));
    if (rc == 0)
        rc = add_group(ctx, SPAN("base"));
    /* abort() only: no signal to anybody else. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)getpid(), 0));
    /* Its flags are out of a filter's sight: the C library then takes clone, which is judged. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    while (rc == 0 && span_next_token(&groups, SPAN(" "), &group))
        rc = add_group(ctx, group);
    return rc;
}

/* The exported program with our own first words: a call of number -1 is one that a tracer has
 * taken away (strace -e inject=...); it must come back to the tracer, not end the process. */
static int export_program(scmp_filter_ctx ctx, struct buf *program)
{
    static const struct sock_filter first[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = seccomp_export_bpf(ctx, fd);
    off_t size = rc == 0 ? lseek(fd, 0, SEEK_END) : 0;
    buf_put(program, span_of(first, sizeof first));
    char *room = size > 0 ? buf_reserve(program, (size_t)size) : NULL;
    if (room && pread(fd, room, (size_t)size, 0) == size)
        buf_grown(program, (size_t)size);
    else if (rc == 0)
        rc = -EIO;
    close(fd);
    return rc;
}

static int install(const struct buf *program)
{
    struct sock_fprog prog = {.len = (unsigned short)(program->len / sizeof(struct sock_filter)),
                              .filter = (struct sock_filter *)(void *)program->data};
    CHECK(program->len / sizeof(struct sock_filter) <= BPF_MAXINSNS);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0 ? 0 : -errno;
}

bool filter_enter(const char *groups, struct buf *why)
{
    struct buf program = BUF_INIT;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = ctx ? 0 : -ENOMEM;
    /* A binary tree of numbers instead of a chain: the filter runs at every call. */
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = add_everything(ctx, span_text(groups));
    if (rc == 0)
        rc = export_program(ctx, &program);
    if (rc == 0)
        rc = install(&program);
    if (rc != 0)
        buf_printf(why, "system call filter (%s): %s", groups, strerror(-rc));
    if (ctx)
        seccomp_release(ctx);
    buf_fini(&program);
    return rc == 0;
}
