// See scoreboard.h.
#include "scoreboard.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { MAX_READS = 1000 };

typedef struct {
  _Atomic uint64_t generation;
  _Atomic uint32_t line_count; // that were ever taken
  _Atomic uint32_t suspect_count;
  _Atomic uint32_t workers, drain_ms, stuck_ms; // ScoreWishes
  _Atomic bool is_stopping;
  _Atomic uint32_t compiles;       // 0: not known; 1: no; 2: yes
  _Atomic uint64_t config_version; // odd while it is written
  _Atomic size_t config_len;
  pthread_mutex_t next, store; // see scoreboard_lock_store
  Suspect suspects[SCOREBOARD_SUSPECTS];
  ScoreLine lines[SCOREBOARD_LINES];
  char config[SCOREBOARD_CONFIG_BYTES];
} Board;

static Board *board;
static ScoreLine nobody; // of a process that has no line
static ScoreLine *mine = &nobody;
static _Atomic uint64_t own_generation; // where there is no board

// --- the mapping ---------------------------------------------------------------------------------

static void make_mutex(pthread_mutex_t *mutex)
{
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

int scoreboard_open(Err *err)
{
  void *at = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED)
    return err_set(err, UV_ENOMEM, "cannot map the scoreboard: %s", strerror(errno));
  board = at;
  make_mutex(&board->next);
  make_mutex(&board->store);
  return 0;
}

void scoreboard_close(void)
{
  mine = &nobody;
  if (board)
    munmap(board, sizeof *board);
  board = NULL;
}

static void set_text(char *field, size_t size, const char *text)
{
  size_t len = text ? strnlen(text, size - 1) : 0;
  memcpy(field, text ? text : "", len);
  field[len] = '\0';
}

ScoreLine *scoreboard_take_line(ProcessRole role, uint32_t number)
{
  uint32_t i;
  for (i = 0; board && i < SCOREBOARD_LINES; i++) {
    ScoreLine *line = &board->lines[i];
    if (line->role != PROCESS_NONE)
      continue;
    memset(line, 0, sizeof *line);
    line->number = number;
    line->beat_ms = scoreboard_now_ms();
    line->role = role;
    if (board->line_count < i + 1)
      board->line_count = i + 1;
    return line;
  }
  return NULL;
}

void scoreboard_free_line(ScoreLine *line)
{
  if (!line)
    return;
  line->pid = 0;
  line->role = PROCESS_NONE;
}

ScoreLine *scoreboard_line(uint32_t index)
{
  return board && index < board->line_count ? &board->lines[index] : NULL;
}

void scoreboard_sit_down(ScoreLine *line)
{
  mine = line ? line : &nobody;
  mine->pid = (int32_t)getpid();
}

ScoreLine *scoreboard_mine(void)
{
  return mine;
}

void scoreboard_name(const ScoreLine *line, char *name, size_t size)
{
  if (line->role == PROCESS_KEEPER)
    snprintf(name, size, "keeper");
  else
    snprintf(name, size, "worker %u", line->number);
}

PluginMemory *scoreboard_hold_memory(const char *plugin)
{
  PluginMemory *free_one = NULL, *memory = plugin ? NULL : &nobody.memory[SCOREBOARD_PLUGINS];
  uint32_t i;
  for (i = 0; i < SCOREBOARD_PLUGINS && !memory; i++) {
    PluginMemory *one = &mine->memory[i];
    if (one->states > 0 && strncmp(one->plugin, plugin, sizeof one->plugin - 1) == 0)
      memory = one;
    else if (one->states == 0 && !free_one)
      free_one = one;
  }
  if (!memory) {
    memory = free_one ? free_one : &mine->memory[SCOREBOARD_PLUGINS];
    set_text(memory->plugin, sizeof memory->plugin, free_one ? plugin : "");
  }
  memory->states++;
  return memory;
}

void scoreboard_release_memory(PluginMemory *memory)
{
  memory->states--;
}

// --- the heartbeat -------------------------------------------------------------------------------

uint64_t scoreboard_now_ms(void)
{
  struct timespec now;
#ifdef CLOCK_MONOTONIC_COARSE
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
  clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_beat(bool is_idle)
{
  atomic_store_explicit(&mine->beat_ms, scoreboard_now_ms(), memory_order_relaxed);
  atomic_store_explicit(&mine->is_idle, is_idle, memory_order_release);
}

void scoreboard_beat(void)
{
  set_beat(false);
}

void scoreboard_idle(void)
{
  set_beat(true);
}

// Most of it is as it was for the task before.
static void change_text(char *field, size_t size, const char *text)
{
  if (!text || strcmp(field, text) != 0)
    set_text(field, size, text);
}

void scoreboard_place(const char *plugin, const char *version, const char *endpoint,
                      const char *request_id)
{
  change_text(mine->plugin, sizeof mine->plugin, plugin);
  change_text(mine->version, sizeof mine->version, version);
  change_text(mine->endpoint, sizeof mine->endpoint, endpoint);
  set_text(mine->request_id, sizeof mine->request_id, request_id);
}

void scoreboard_enter(void)
{
  atomic_store_explicit(&mine->is_in_lua, true, memory_order_relaxed);
  set_beat(false);
}

void scoreboard_leave(void)
{
  atomic_store_explicit(&mine->is_in_lua, false, memory_order_relaxed);
  set_beat(false);
}

// --- what is served ------------------------------------------------------------------------------

uint64_t scoreboard_generation(void)
{
  return atomic_load_explicit(board ? &board->generation : &own_generation, memory_order_acquire);
}

void scoreboard_raise(void)
{
  atomic_fetch_add(board ? &board->generation : &own_generation, 1);
}

int scoreboard_put_config(const char *text, size_t len, Err *err)
{
  if (len > SCOREBOARD_CONFIG_BYTES)
    return err_set(err, UV_EFBIG, "the configuration file is larger than 1 MiB");
  if (!board)
    return 0;
  board->config_version |= 1; // odd already when a writer died
  atomic_thread_fence(memory_order_seq_cst);
  memcpy(board->config, text ? text : "", len);
  board->config_len = len;
  board->config_version++;
  return 0;
}

uint64_t scoreboard_config_version(void)
{
  return board ? board->config_version & ~(uint64_t)1 : 0;
}

uint64_t scoreboard_config(Buffer *text)
{
  size_t before = text->len;
  uint64_t version;
  int tries;
  for (tries = 0; board && tries < MAX_READS; tries++) {
    version = board->config_version;
    if (version & 1) {
      usleep(100);
      continue;
    }
    text->len = before;
    buffer_append(text, board->config, board->config_len);
    atomic_thread_fence(memory_order_seq_cst);
    if (board->config_version == version)
      return version;
  }
  text->len = before;
  return 0;
}

void scoreboard_set_wishes(const ScoreWishes *wishes)
{
  if (!board)
    return;
  board->drain_ms = wishes->drain_ms;
  board->stuck_ms = wishes->stuck_ms;
  board->workers = wishes->workers;
}

ScoreWishes scoreboard_wishes(void)
{
  if (!board)
    return (ScoreWishes){ 0 };
  return (ScoreWishes){ board->workers, board->drain_ms, board->stuck_ms };
}

void scoreboard_set_stopping(void)
{
  if (board)
    board->is_stopping = true;
}

bool scoreboard_is_stopping(void)
{
  return board && board->is_stopping;
}

// --- the machine ---------------------------------------------------------------------------------

bool scoreboard_compiles(bool *answer)
{
  uint32_t known = board ? board->compiles : 0;
  *answer = known == 2;
  return known != 0;
}

void scoreboard_set_compiles(bool answer)
{
  if (board)
    board->compiles = answer ? 2 : 1;
}

// --- suspects ------------------------------------------------------------------------------------

bool scoreboard_has_suspects(void)
{
  return board && atomic_load_explicit(&board->suspect_count, memory_order_acquire) > 0;
}

void scoreboard_set_suspects(uint32_t count)
{
  if (board)
    board->suspect_count = count;
}

Suspect *scoreboard_suspect(uint32_t index)
{
  return board && index < SCOREBOARD_SUSPECTS ? &board->suspects[index] : NULL;
}

// --- the store -----------------------------------------------------------------------------------
// Two locks make a queue: whoever waits for the store holds `next`, so the process that gives the
// store back cannot take it again before him.

static int lock(pthread_mutex_t *mutex, const struct timespec *until)
{
  int rc = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, until);
  if (rc == EOWNERDEAD) // SQLite undoes what the dead one began
    rc = pthread_mutex_consistent(mutex);
  return rc == 0 ? 0 : UV_ETIMEDOUT;
}

int scoreboard_lock_store(uint32_t timeout_ms)
{
  struct timespec until;
  int rc;
  if (!board)
    return 0;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  rc = lock(&board->next, &until);
  if (rc < 0)
    return rc;
  rc = lock(&board->store, &until);
  pthread_mutex_unlock(&board->next);
  return rc;
}

void scoreboard_unlock_store(void)
{
  if (board)
    pthread_mutex_unlock(&board->store);
}
