// See store.h. The loop puts calls into a queue; the thread takes all that wait at once, answers
// the reads, does the writes in one transaction, and hands everything back through one uv_async.
// Calls that find the database locked stay with the thread, which tries again until their time is
// up and answers what others ask meanwhile.
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "call.h"

enum {
  LOCKED_RETRY_MS = 5,
  SWEEP_EVERY_MS = 1000, // expired items are removed, at most this often,
  SWEEP_MORE_MS = 50,    // but where some were left
  SWEEP_MAX_MS = 60000,  // the wall clock may jump: look again
  SWEEP_ITEMS = 500      // at once: others wait
};

typedef struct {
  StoreCall *first, **last; // *last is where the next one goes
} CallQueue;

struct Store {
  Loop *loop;
  Database *database; // the thread's, as are the next two
  CallQueue running;  // taken, not done
  uint64_t sweep_ms;  // monotonic: when something expires; UINT64_MAX: nothing will
  uv_thread_t thread;
  uv_mutex_t mutex; // guards all below
  uv_cond_t has_work, has_answer;
  CallQueue waiting, done;
  bool is_closing;
  uv_async_t async;
  uint32_t pending; // the loop's: submitted, not delivered
};

static uint64_t now_ms(void)
{
  return host_clock.monotonic_us() / 1000;
}

// --- queues --------------------------------------------------------------------------------------

static void queue_init(CallQueue *queue)
{
  queue->first = NULL;
  queue->last = &queue->first;
}

static void queue_put(CallQueue *queue, StoreCall *call)
{
  call->next = NULL;
  *queue->last = call;
  queue->last = &call->next;
}

static StoreCall *queue_take_all(CallQueue *queue)
{
  StoreCall *calls = queue->first;
  queue_init(queue);
  return calls;
}

// --- the thread ----------------------------------------------------------------------------------

static void set_result(StoreCall *call, int code, const Err *err)
{
  call->code = code;
  call->text[0] = '\0';
  if (code < 0)
    snprintf(call->text, sizeof call->text, "%.*s", (int)sizeof call->text - 1, err->text);
}

// The writes among the calls from `first` up to `end`, in one transaction.
static int write_together(Database *database, StoreCall *first, StoreCall *end, Err *err)
{
  StoreCall *call;
  int code = database_begin(database, err);
  if (code < 0)
    return code;
  for (call = first; call != end && code == 0; call = call->next) {
    if (call->type->is_write)
      code = call->type->run(database, call, err);
  }
  if (code == 0)
    return database_commit(database, err);
  database_rollback(database);
  return code;
}

static void do_writes(Database *database, StoreCall *calls)
{
  Err err = { 0 };
  StoreCall *call;
  uint32_t count = 0;
  int code;
  for (call = calls; call; call = call->next)
    count += call->type->is_write;
  if (count == 0)
    return;
  code = write_together(database, calls, NULL, &err);
  for (call = calls; call; call = call->next) {
    if (!call->type->is_write)
      continue;
    if (code < 0 && code != UV_EBUSY && count > 1) { // one bad write shall not spoil the others'
      int own = write_together(database, call, call->next, &err);
      set_result(call, own, &err);
    } else {
      set_result(call, code, &err);
    }
  }
}

static void do_reads(Database *database, StoreCall *calls)
{
  Err err = { 0 };
  for (; calls; calls = calls->next) {
    if (!calls->type->is_write)
      set_result(calls, calls->type->run(database, calls, &err), &err);
  }
}

// Gives what is done to the loop; what found the database locked stays, unless its time is up.
static void hand_back(Store *store, StoreCall *calls)
{
  uint64_t now = now_ms();
  StoreCall *call, *next;
  uv_mutex_lock(&store->mutex);
  for (call = calls; call; call = next) {
    next = call->next;
    if (call->code == UV_EBUSY && now < call->deadline_ms) {
      queue_put(&store->running, call);
      continue;
    }
    call->code = call->code == UV_EBUSY ? UV_EIO : call->code;
    call->is_done = true;
    if (!call->is_synchronous)
      queue_put(&store->done, call);
  }
  uv_cond_broadcast(&store->has_answer);
  uv_async_send(&store->async);
  uv_mutex_unlock(&store->mutex);
}

static void sweep_at(Store *store, uint64_t expires_ms)
{
  uint64_t wall = host_clock.wall_ms(), now = now_ms();
  uint64_t in_ms = expires_ms > wall ? expires_ms - wall : 0;
  in_ms = in_ms < SWEEP_EVERY_MS ? SWEEP_EVERY_MS : in_ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : in_ms;
  if (now + in_ms < store->sweep_ms)
    store->sweep_ms = now + in_ms;
}

// When it fails, expired items stay a while longer: nobody sees them.
static void sweep(Store *store)
{
  Err err = { 0 };
  uint64_t wall = host_clock.wall_ms(), due = wall + SWEEP_EVERY_MS;
  if (database_begin(store->database, &err) == 0) {
    if (storage_sweep(database_storage(store->database), wall, SWEEP_ITEMS, &due, &err) == 0)
      database_commit(store->database, &err);
    else
      database_rollback(store->database);
  }
  store->sweep_ms = due <= wall ? now_ms() + SWEEP_MORE_MS : UINT64_MAX;
  if (due != UINT64_MAX)
    sweep_at(store, due);
}

// Waits for calls, or until something else is to be done. False: there will be no more.
static bool take_calls(Store *store)
{
  uint64_t now = now_ms(), until = store->sweep_ms;
  bool goes_on;
  if (store->running.first)
    until = now + LOCKED_RETRY_MS;
  uv_mutex_lock(&store->mutex);
  while (!store->waiting.first && !store->is_closing && now < until) {
    if (until == UINT64_MAX)
      uv_cond_wait(&store->has_work, &store->mutex);
    else
      uv_cond_timedwait(&store->has_work, &store->mutex, (until - now) * 1000000);
    now = now_ms();
  }
  if (store->waiting.first) {
    *store->running.last = store->waiting.first;
    store->running.last = store->waiting.last;
    queue_init(&store->waiting);
  }
  goes_on = store->running.first || !store->is_closing;
  uv_mutex_unlock(&store->mutex);
  return goes_on;
}

static void thread_main(void *argument)
{
  Store *store = argument;
  while (take_calls(store)) {
    StoreCall *calls = queue_take_all(&store->running), *call;
    for (call = calls; call; call = call->next) {
      if (call->expires_ms > 0)
        sweep_at(store, call->expires_ms);
    }
    do_reads(store->database, calls);
    do_writes(store->database, calls);
    if (calls)
      hand_back(store, calls);
    if (!store->running.first && now_ms() >= store->sweep_ms)
      sweep(store);
  }
}

// --- the loop's side -----------------------------------------------------------------------------

static void deliver(Store *store)
{
  StoreCall *call, *next;
  uv_mutex_lock(&store->mutex);
  call = queue_take_all(&store->done);
  uv_mutex_unlock(&store->mutex);
  for (; call; call = next) {
    next = call->next;
    store->pending--;
    if (!call->is_detached)
      call->type->deliver(call);
    call->type->free(call);
  }
}

static void on_async(uv_async_t *async)
{
  deliver(async->data);
}

StoreCall *store_submit(Store *store, StoreCall *call)
{
  call->deadline_ms = now_ms() + DATABASE_BUSY_MS;
  store->pending += !call->is_synchronous;
  uv_mutex_lock(&store->mutex);
  queue_put(&store->waiting, call);
  uv_cond_signal(&store->has_work);
  uv_mutex_unlock(&store->mutex);
  return call;
}

void store_wait(Store *store, StoreCall *call)
{
  call->is_synchronous = true;
  store_submit(store, call);
  uv_mutex_lock(&store->mutex);
  while (!call->is_done)
    uv_cond_wait(&store->has_answer, &store->mutex);
  uv_mutex_unlock(&store->mutex);
}

void store_detach(StoreCall *call)
{
  call->is_detached = true;
}

uint32_t store_pending(const Store *store)
{
  return store->pending;
}

// --- opening and closing -------------------------------------------------------------------------

// Makes the folder and those above it; ours is for its owner only.
static int make_folder(const char *dir, Err *err)
{
  char *path = mem_string(dir), *slash;
  int code = 0;
  for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0755); // when it fails, the last one will too
    *slash = '/';
  }
  if (mkdir(path, 0700) < 0 && errno != EEXIST) {
    code = uv_translate_sys_error(errno);
    err_set(err, code, "%s: cannot make the data folder: %s", dir, uv_strerror(code));
  }
  mem_free(path);
  return code;
}

Store *store_open(Loop *loop, const char *data_dir, bool is_first, Err *err)
{
  Store *store;
  Database *database;
  Buffer path = { 0 };
  if (make_folder(data_dir, err) < 0)
    return NULL;
  buffer_printf(&path, "%s/moonhook.db", data_dir);
  database = database_open(path.bytes, is_first, err);
  buffer_free(&path);
  if (!database)
    return NULL;
  store = mem_zero(1, sizeof *store);
  store->loop = loop;
  store->database = database;
  queue_init(&store->running);
  queue_init(&store->waiting);
  queue_init(&store->done);
  uv_mutex_init(&store->mutex);
  uv_cond_init(&store->has_work);
  uv_cond_init(&store->has_answer);
  uv_async_init(loop_uv(loop), &store->async, on_async);
  uv_unref((uv_handle_t *)&store->async);
  store->async.data = store;
  store->sweep_ms = now_ms() + SWEEP_EVERY_MS; // of what expired while nobody ran
  if (uv_thread_create(&store->thread, thread_main, store) < 0)
    abort(); // base/memory.h: a host without means for itself ends
  return store;
}

static void on_async_closed(uv_handle_t *handle)
{
  mem_free(handle->data);
}

void store_close(Store *store)
{
  if (!store)
    return;
  uv_mutex_lock(&store->mutex);
  store->is_closing = true;
  uv_cond_signal(&store->has_work);
  uv_mutex_unlock(&store->mutex);
  uv_thread_join(&store->thread);
  deliver(store);
  database_close(store->database);
  uv_cond_destroy(&store->has_work);
  uv_cond_destroy(&store->has_answer);
  uv_mutex_destroy(&store->mutex);
  uv_close((uv_handle_t *)&store->async, on_async_closed);
}
