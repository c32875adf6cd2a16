/* A clock without a system call, for programs that are measured inside User Mode Linux.
 *
 * Every kernel that people run answers clock_gettime from a page of its own that programs can
 * read (vDSO, 20 to 50 ns). User Mode Linux has none there: each call is a system call of 8 us, and a
 * transport protocol reads the clock for every packet. Preloaded (LD_PRELOAD), this answers
 * CLOCK_MONOTONIC and CLOCK_REALTIME from the processor's time stamp counter, as the vDSO does.
 * A real call every ANCHOR_NS sets it right; it never goes backwards.
 *
 * Only `cargo xtask bench` uses it, for everything in the guest alike.
 */

#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define S_NS 1000000000ull
/* The kernel's own tick is 4 ms: its vDSO is set right as often. */
#define ANCHOR_NS 4000000ull
/* The counter's speed is not guessed from less. */
#define BASELINE_NS 2000000ull

struct clock {
    clockid_t id;
    /* Odd while it is being changed. */
    atomic_uint version;
    /* The first reading, by which the counter's speed is known. */
    uint64_t first_tsc, first_ns;
    /* The latest reading. */
    uint64_t tsc, ns;
    /* Nanoseconds for each count, times 2^32; 0 while not known. */
    uint64_t speed;
    /* The latest time that anybody was told. */
    atomic_ullong told;
};

static struct clock clocks[] = {{.id = CLOCK_MONOTONIC}, {.id = CLOCK_REALTIME}};

static uint64_t ask(clockid_t id)
{
    struct timespec now;
    syscall(SYS_clock_gettime, id, &now);
    return now.tv_sec * S_NS + now.tv_nsec;
}

/* Asks the kernel, and takes its answer as the new base unless somebody else is at it. */
static uint64_t anchor(struct clock *clock, unsigned version)
{
    uint64_t tsc = __rdtsc(), ns = ask(clock->id);
    if (version % 2 || !atomic_compare_exchange_strong(&clock->version, &version, version + 1))
        return ns;
    if (!clock->first_tsc) {
        clock->first_tsc = tsc;
        clock->first_ns = ns;
    }
    if (ns > clock->first_ns + BASELINE_NS && tsc > clock->first_tsc)
        clock->speed = ((unsigned __int128)(ns - clock->first_ns) << 32) / (tsc - clock->first_tsc);
    clock->tsc = tsc;
    clock->ns = ns;
    atomic_store(&clock->version, version + 2);
    return ns;
}

static uint64_t now(struct clock *clock)
{
    unsigned version = atomic_load(&clock->version);
    uint64_t tsc = clock->tsc, ns = clock->ns, speed = clock->speed;
    atomic_thread_fence(memory_order_acquire);
    uint64_t since = ((unsigned __int128)(__rdtsc() - tsc) * speed) >> 32;
    if (version % 2 || version != atomic_load(&clock->version) || !speed || since > ANCHOR_NS)
        ns = anchor(clock, version);
    else
        ns += since;
    unsigned long long told = atomic_load(&clock->told);
    while (told < ns && !atomic_compare_exchange_weak(&clock->told, &told, ns))
        ;
    return told < ns ? ns : told;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
    if (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME)
        return syscall(SYS_clock_gettime, id, time);
    uint64_t ns = now(&clocks[id == CLOCK_REALTIME]);
    time->tv_sec = ns / S_NS;
    time->tv_nsec = ns % S_NS;
    return 0;
}
