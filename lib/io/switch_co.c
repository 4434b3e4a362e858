/* The switch between stacks: assembly where we have it, ucontext elsewhere.
 *
 * Saved are the registers that a called function must keep. The floating-point control words are
 * such, too, but nobody here changes them; the signal mask is the same for all. No shadow stack is
 * switched: programs are built with -fcf-protection=branch alone. */
#include "lib/io/co_inner.h"
#include "lib/base/check.h"

#include <string.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define CO_ASAN
#endif

#ifndef CO_BY_UCONTEXT

/* Saves the registers, the stack pointer into *from, and takes those at to. */
void co_swap(void **from, void *to) __attribute__((visibility("hidden")));
/* Where a new stack begins: calls the entry that context_make() left in registers. */
void co_start(void) __attribute__((visibility("hidden")));

#ifdef __x86_64__
__asm__(".text\n"
        ".p2align 4\n"
        ".globl co_swap\n"
        ".hidden co_swap\n"
        ".type co_swap,@function\n"
        "co_swap:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset %rbp,0\n"
        "    pushq %rbx\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset %rbx,0\n"
        "    pushq %r12\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset %r12,0\n"
        "    pushq %r13\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset %r13,0\n"
        "    pushq %r14\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset %r14,0\n"
        "    pushq %r15\n    .cfi_adjust_cfa_offset 8\n    .cfi_rel_offset %r15,0\n"
        "    movq %rsp,(%rdi)\n"
        "    movq %rsi,%rsp\n"
        "    popq %r15\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore %r15\n"
        "    popq %r14\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore %r14\n"
        "    popq %r13\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore %r13\n"
        "    popq %r12\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore %r12\n"
        "    popq %rbx\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore %rbx\n"
        "    popq %rbp\n    .cfi_adjust_cfa_offset -8\n    .cfi_restore %rbp\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size co_swap,.-co_swap\n"
        ".globl co_start\n"
        ".hidden co_start\n"
        ".type co_start,@function\n"
        "co_start:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined %rip\n" /* a backtrace ends here */
        "    endbr64\n"
        "    movq %r12,%rdi\n"
        "    callq *%rbx\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size co_start,.-co_start\n");

enum { CO_SAVED = 7, CO_SAVED_ENTRY = 4, CO_SAVED_ARGUMENT = 3, CO_SAVED_RETURN = 6 };

#else /* aarch64 */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl co_swap\n"
        ".hidden co_swap\n"
        ".type co_swap,%function\n"
        "co_swap:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #160\n"
        "    .cfi_adjust_cfa_offset 160\n"
        "    stp x19, x20, [sp]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    .cfi_rel_offset x29, 80\n"
        "    .cfi_rel_offset x30, 88\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    .cfi_adjust_cfa_offset -160\n"
        "    .cfi_restore x29\n"
        "    .cfi_restore x30\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size co_swap,.-co_swap\n"
        ".globl co_start\n"
        ".hidden co_start\n"
        ".type co_start,%function\n"
        "co_start:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n" /* a backtrace ends here */
        "    hint #36\n" /* bti j */
        "    mov x0, x20\n"
        "    blr x19\n"
        "    brk #0\n"
        "    .cfi_endproc\n"
        ".size co_start,.-co_start\n");

enum { CO_SAVED = 20, CO_SAVED_ENTRY = 0, CO_SAVED_ARGUMENT = 1, CO_SAVED_RETURN = 11 };
#endif

void context_make(struct context *c, char *low, size_t size, void (*entry)(void *argument), void *argument)
{
    CHECK(((uintptr_t)low + size) % 16 == 0);
    /* On x86-64 the return address is taken off by ret, so the stack is aligned in co_start on both. */
    uintptr_t *top = (uintptr_t *)(void *)(low + size) - 2;
    uintptr_t *saved = top - CO_SAVED;
    memset(saved, 0, (CO_SAVED + 2) * sizeof *saved);
    saved[CO_SAVED_ENTRY] = (uintptr_t)entry;
    saved[CO_SAVED_ARGUMENT] = (uintptr_t)argument;
    saved[CO_SAVED_RETURN] = (uintptr_t)co_start;
    *c = (struct context){.sp = saved, .low = low, .size = size};
}

static void context_go(struct context *from, struct context *to)
{
    co_swap(&from->sp, to->sp);
}

#else /* ucontext */

/* makecontext() passes ints only. */
static void context_begin(unsigned a, unsigned b, unsigned c, unsigned d)
{
    uintptr_t entry = (uintptr_t)((uint64_t)a << 32 | b);
    uintptr_t argument = (uintptr_t)((uint64_t)c << 32 | d);
    ((void (*)(void *))entry)((void *)argument);
}

void context_make(struct context *c, char *low, size_t size, void (*entry)(void *argument), void *argument)
{
    *c = (struct context){.low = low, .size = size};
    CHECK(getcontext(&c->machine) == 0);
    c->machine.uc_stack.ss_sp = low;
    c->machine.uc_stack.ss_size = size;
    uint64_t e = (uintptr_t)entry, a = (uintptr_t)argument;
    makecontext(&c->machine, (void (*)(void))context_begin, 4, (unsigned)(e >> 32), (unsigned)e, (unsigned)(a >> 32),
                (unsigned)a);
}

static void context_go(struct context *from, struct context *to)
{
    CHECK(swapcontext(&from->machine, &to->machine) == 0);
}

#endif

#ifdef CO_ASAN

void context_switch(struct context *from, struct context *to)
{
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->size);
    context_go(from, to);
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}

void context_entered(struct context *from)
{
    __sanitizer_finish_switch_fiber(NULL, &from->low, &from->size);
}

_Noreturn void context_leave(struct context *from, struct context *to)
{
    __sanitizer_start_switch_fiber(NULL, to->low, to->size);
    context_go(from, to);
    check_failed(__FILE__, __LINE__, "a coroutine that has ended was resumed");
}

#else

void context_switch(struct context *from, struct context *to)
{
    context_go(from, to);
}

void context_entered(struct context *from)
{
    (void)from;
}

_Noreturn void context_leave(struct context *from, struct context *to)
{
    context_go(from, to);
    check_failed(__FILE__, __LINE__, "a coroutine that has ended was resumed");
}

#endif
