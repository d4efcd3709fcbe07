/*
 * cold_guard.c: survives pages that cannot be read.
 *
 * LMDB reads through a memory map: a bad sector, or a file cut short, is no error code but SIGBUS in the middle of a
 * memcpy (H16); a damaged tree can also trip an assertion of the library (H20). Code that touches the map runs inside
 * cold_guard_run(), which can be left by siglongjmp from either place.
 *
 *   guarded function ── SIGBUS ──► handler: is this thread guarded? ─ yes ─► siglongjmp, COLD_GUARD_BUS
 *                                                                   └ no ──► the handler that was there before
 *
 * The handler is installed with SA_NODEFER, so that no signal mask has to be saved and restored (two system calls);
 * and SIGBUS is unblocked in each thread that uses the guard: a blocked fault would kill the process.
 */
#include "base/check.h"
#include "cold_internal.h"

#include <pthread.h>
#include <setjmp.h>

/* The sanitizers' wrapper of a handler blocks all signals whatever SA_NODEFER says. */
#ifdef KELVIN_SANITIZE
enum { SAVE_MASK = 1 };
#else
enum { SAVE_MASK = 0 };
#endif

struct guard {
    sigjmp_buf exit;
    enum cold_guard_mode mode;
};

static _Thread_local struct guard *volatile active_guard;
static _Thread_local bool unblocked;
static pthread_once_t setup_once = PTHREAD_ONCE_INIT;
static struct sigaction previous; /* immutable after setup */

static void call_previous(int number, siginfo_t *info, void *context)
{
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(number, info, context);
        return;
    }
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
        return;
    }
    (void)signal(number, SIG_DFL);
    if (info->si_code <= 0)
        (void)raise(number); /* sent by somebody; a fault just happens again */
}

static void handle_bus(int number, siginfo_t *info, void *context)
{
    struct guard *const guard = active_guard;
    if (guard == NULL) {
        call_previous(number, info, context);
        return;
    }
    active_guard = NULL;
    siglongjmp(guard->exit, COLD_GUARD_BUS);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = handle_bus, .sa_flags = SA_SIGINFO | SA_NODEFER};
    (void)sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGBUS, &action, &previous) == 0);
}

void cold_guard_setup(void)
{
    CHECK(pthread_once(&setup_once, install) == 0);
}

static void unblock(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGBUS);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    unblocked = true;
}

enum cold_guard_result cold_guard_run(
    enum cold_guard_mode mode, void (*run)(void *context), void *context)
{
    if (!unblocked)
        unblock();
    CHECK(active_guard == NULL);
    struct guard guard;
    guard.mode = mode;
    const int left = sigsetjmp(guard.exit, SAVE_MASK);
    if (left != 0)
        return (enum cold_guard_result)left;
    active_guard = &guard;
    run(context);
    active_guard = NULL;
    return COLD_GUARD_OK;
}

void cold_guard_assert(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    struct guard *const guard = active_guard;
    if (guard == NULL || guard->mode != COLD_GUARD_READ)
        return; /* LMDB aborts */
    active_guard = NULL;
    siglongjmp(guard->exit, COLD_GUARD_ASSERT);
}
