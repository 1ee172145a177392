/* Make programs believe that the processor has AVX2 and nothing newer, at its full speed.
 *
 *     gcc -shared -fPIC -O1 -o /tmp/avx2_only.so tests/benchmarks/avx2_only.c
 *     LD_PRELOAD=/tmp/avx2_only.so python tests/benchmarks/processors.py --compare here.json
 *     LD_PRELOAD=/tmp/avx2_only.so python tests/benchmarks/speed.py --side 2048
 *
 * Linux on x86-64, where /proc/cpuinfo has `cpuid_fault`: the instruction that says what the processor can do is made to
 * fault, and answered here without AVX-512, VNNI and AMX. Threads and forks inherit that, spawned processes load it anew.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012 };

/* Of leaf 7: AVX-512 in all its parts, VNNI, AMX. */
static const unsigned NO_EBX = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const unsigned NO_ECX = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const unsigned NO_EDX = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;

static void answer(int number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)regs[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0xa2) { /* a fault of its own */
        signal(number, SIG_DFL);
        return;
    }
    unsigned leaf = (unsigned)regs[REG_RAX], part = (unsigned)regs[REG_RCX], a, b, c, d;
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(part));
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && part == 0) b &= ~NO_EBX, c &= ~NO_ECX, d &= ~NO_EDX;
    if (leaf == 7 && part > 0) a = b = c = d = 0;
    regs[REG_RAX] = a, regs[REG_RBX] = b, regs[REG_RCX] = c, regs[REG_RDX] = d;
    regs[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSEGV, &action, NULL) || syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0)) {
        fputs("avx2_only: this processor or kernel cannot hide what it has\n", stderr);
        exit(1);
    }
}
