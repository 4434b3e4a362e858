#include "co.h"

#include <stdint.h>
#include <stdlib.h>

/* Save the registers that a function must keep, change the stack, restore: void co_switch(void **save, void
 * *to). */
void co_switch(void **save, void *to);
__asm__(".text\n"
        ".globl co_switch\n"
        ".type co_switch, @function\n"
        "co_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size co_switch, . - co_switch\n"
        ".globl co_start\n"
        ".type co_start, @function\n"
        "co_start:\n" /* the first switch lands here with the coroutine in rbx */
        "  movq %rbx, %rdi\n"
        "  call co_main\n"
        "  ud2\n"
        ".size co_start, . - co_start\n");
void co_start(void);

__attribute__((used)) void co_main(struct co *c);

void co_main(struct co *c)
{
    c->body(c);
    c->done = true;
    co_yield (c);
    abort();
}

void co_init(struct co *c, char *top, void (*body)(struct co *), void *arg)
{
    uint64_t *sp = (uint64_t *)top;

    *c = (struct co){.body = body, .arg = arg};
    *--sp = 0;
    *--sp = 0; /* co_start calls with the stack aligned to 16 */
    *--sp = (uint64_t)(uintptr_t)co_start;
    *--sp = 0;                      /* rbp */
    *--sp = (uint64_t)(uintptr_t)c; /* rbx */
    for (int i = 0; i < 4; i++)
        *--sp = 0; /* r12 to r15 */
    c->sp = sp;
}

void co_resume(struct co *c)
{
    co_switch(&c->resumer, c->sp);
}

void co_yield (struct co *c)
{
    co_switch(&c->sp, c->resumer);
}
