// See deadline.h. What the handler reads was written by its own thread, so it needs no order; the
// ticker sees the slice's number, which is odd while one runs.
#include "deadline.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
  TICK_MS = 5,
  QUIET_TICKS = 20, // without a slice, then the ticker sleeps
  PAUSE_MS = 3600000,
  SIGNAL = SIGVTALRM,
};

static struct {
  _Atomic uint64_t number; // of the slice; odd: it runs
  _Atomic uint32_t limit_ms;
  _Atomic uint64_t due_number; // the slice whose time is up
  _Atomic bool is_asleep, is_ending;
  lua_State *L; // of the running slice
  lua_Hook hook;
  volatile sig_atomic_t is_over; // the handler has set the hook
  uint64_t paused_ms;            // of the thread's clock
  pthread_t loop_thread, ticker;
  pid_t owner; // the process whose ticker runs; 0: none
  sem_t wake;
} clock_of_lua;

// Runs on the loop's thread, between any two instructions of the slice. Setting a hook is what
// LuaJIT allows a handler to do. Twice, so that one that came while LuaJIT was changing its
// dispatch table is not lost: the next signal sets it again.
static void on_signal(int number)
{
  uint64_t slice = atomic_load_explicit(&clock_of_lua.number, memory_order_relaxed);
  (void)number;
  if (slice % 2 == 0 || atomic_load(&clock_of_lua.due_number) != slice)
    return;
  clock_of_lua.is_over = 1;
  lua_sethook(clock_of_lua.L, NULL, 0, 0);
  lua_sethook(clock_of_lua.L, clock_of_lua.hook, LUA_MASKCOUNT, 1);
}

void deadline_expire(void)
{
  atomic_store(&clock_of_lua.due_number, atomic_load(&clock_of_lua.number));
  on_signal(SIGNAL);
}

static uint64_t thread_ms(clockid_t clock)
{
  struct timespec time = { 0 };
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void sleep_until_a_slice(uint64_t seen)
{
  atomic_store(&clock_of_lua.is_asleep, true);
  if (atomic_load(&clock_of_lua.number) == seen && !atomic_load(&clock_of_lua.is_ending)) {
    while (sem_wait(&clock_of_lua.wake) < 0 && errno == EINTR)
      ;
  }
  atomic_store(&clock_of_lua.is_asleep, false);
}

static void *tick(void *unused)
{
  const struct timespec pause = { .tv_nsec = TICK_MS * 1000000L };
  uint64_t seen = 0, since_ms = 0;
  clockid_t loop_clock;
  int quiet = 0;
  (void)unused;
  if (pthread_getcpuclockid(clock_of_lua.loop_thread, &loop_clock) != 0)
    return NULL;
  while (!atomic_load(&clock_of_lua.is_ending)) {
    uint64_t number = atomic_load(&clock_of_lua.number);
    if (number != seen) {
      quiet = 0;
      if (number % 2 == 1)
        since_ms = thread_ms(loop_clock);
      seen = number;
    } else if (number % 2 == 0) {
      if (++quiet > QUIET_TICKS) {
        sleep_until_a_slice(number);
        quiet = 0;
        continue;
      }
    } else if (thread_ms(loop_clock) - since_ms >= atomic_load(&clock_of_lua.limit_ms)) {
      atomic_store(&clock_of_lua.due_number, number);
      pthread_kill(clock_of_lua.loop_thread, SIGNAL);
    }
    nanosleep(&pause, NULL);
  }
  return NULL;
}

int deadline_start(void)
{
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
  sigset_t all, before;
  int rc;
  if (clock_of_lua.owner == getpid())
    return 0;
  sigemptyset(&action.sa_mask);
  sigaction(SIGNAL, &action, NULL);
  sem_init(&clock_of_lua.wake, 0, 0);
  clock_of_lua.is_asleep = clock_of_lua.is_ending = false;
  clock_of_lua.loop_thread = pthread_self();
  sigfillset(&all); // signals are the loop's
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rc = pthread_create(&clock_of_lua.ticker, NULL, tick, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc == 0)
    clock_of_lua.owner = getpid();
  return -rc;
}

void deadline_stop(void)
{
  if (clock_of_lua.owner != getpid())
    return;
  atomic_store(&clock_of_lua.is_ending, true);
  sem_post(&clock_of_lua.wake);
  pthread_join(clock_of_lua.ticker, NULL);
  clock_of_lua.owner = 0;
}

void deadline_begin(lua_State *L, uint32_t limit_ms, lua_Hook hook)
{
  clock_of_lua.L = L;
  clock_of_lua.hook = hook;
  atomic_store_explicit(&clock_of_lua.limit_ms, limit_ms, memory_order_relaxed);
  // In one order with the ticker's is_asleep: one of the two sees the other.
  atomic_fetch_add(&clock_of_lua.number, 1);
  if (atomic_load(&clock_of_lua.is_asleep))
    sem_post(&clock_of_lua.wake);
}

void deadline_end(void)
{
  uint64_t number = atomic_load_explicit(&clock_of_lua.number, memory_order_relaxed);
  atomic_store_explicit(&clock_of_lua.number, number + 1, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst); // from here on the handler does nothing
  if (clock_of_lua.is_over) {
    clock_of_lua.is_over = 0;
    lua_sethook(clock_of_lua.L, NULL, 0, 0);
  }
}

void deadline_pause(void)
{
  clock_of_lua.paused_ms = thread_ms(CLOCK_THREAD_CPUTIME_ID);
  atomic_fetch_add(&clock_of_lua.limit_ms, PAUSE_MS);
}

void deadline_resume(void)
{
  uint64_t took_ms = thread_ms(CLOCK_THREAD_CPUTIME_ID) - clock_of_lua.paused_ms;
  atomic_fetch_sub(&clock_of_lua.limit_ms, PAUSE_MS - (uint32_t)took_ms);
}

bool deadline_is_over(void)
{
  return clock_of_lua.is_over;
}
