// See test_watch.h.
#include "test_watch.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/buffer.h"
#include "../base/loop.h"
#include "../base/memory.h"
#include "../plugin/watch.h"

enum { MAX_WATCHES = 64, PARENTS = 20 };

typedef struct {
  Loop *loop;
  const char **words; // "moonhook", "test", ..., NULL
  uv_process_t child;
  uv_signal_t interrupt, term;
  bool is_running, is_changed, is_stopping, has_run;
  int code; // of the last run
  Watch *watches[MAX_WATCHES];
  size_t watch_count;
} Watcher;

static void run(Watcher *watcher);

static void on_child_closed(uv_handle_t *handle)
{
  Watcher *watcher = handle->data;
  watcher->is_running = false;
  if (watcher->is_stopping) {
    loop_stop(watcher->loop);
  } else if (watcher->is_changed) {
    run(watcher);
  } else {
    fprintf(stderr, "watching for changes; Ctrl-C ends\n");
    fflush(stderr);
  }
}

static void on_exit_of_child(uv_process_t *child, int64_t status, int signal)
{
  Watcher *watcher = child->data;
  watcher->code = signal ? 1 : (int)status;
  // No save mends a misspelt option, or puts busted there.
  watcher->is_stopping |= !watcher->has_run && watcher->code == 2;
  watcher->has_run = true;
  uv_close((uv_handle_t *)child, on_child_closed);
}

static void run(Watcher *watcher)
{
  char self[PATH_MAX];
  size_t size = sizeof self;
  uv_stdio_container_t stdio[3] = { { .flags = UV_INHERIT_FD, .data.fd = 0 },
                                    { .flags = UV_INHERIT_FD, .data.fd = 1 },
                                    { .flags = UV_INHERIT_FD, .data.fd = 2 } };
  uv_process_options_t options = { .exit_cb = on_exit_of_child,
                                   .file = self,
                                   .args = (char **)(uintptr_t)watcher->words,
                                   .stdio = stdio,
                                   .stdio_count = 3 };
  int rc = uv_exepath(self, &size);
  watcher->is_changed = false;
  watcher->child.data = watcher;
  if (rc == 0)
    rc = uv_spawn(loop_uv(watcher->loop), &watcher->child, &options);
  watcher->is_running = true;
  if (rc < 0) {
    fprintf(stderr, "moonhook test: cannot run the specs: %s\n", uv_strerror(rc));
    watcher->code = 2;
    watcher->is_stopping = true;
    uv_close((uv_handle_t *)&watcher->child, on_child_closed);
  }
}

static void on_change(void *context)
{
  Watcher *watcher = context;
  watcher->is_changed = true;
  if (!watcher->is_running && !watcher->is_stopping)
    run(watcher);
}

static void on_signal(uv_signal_t *handle, int number)
{
  Watcher *watcher = handle->data;
  (void)number;
  watcher->is_stopping = true;
  if (watcher->is_running)
    uv_process_kill(&watcher->child, SIGTERM);
  else
    loop_stop(watcher->loop);
}

// The plugin's folder that a path is in, or else the path's own.
static char *folder_of(const char *path)
{
  Buffer dir = { 0 };
  char *found;
  int i;
  buffer_string(&dir, path);
  for (i = 0; i < PARENTS; i++) {
    Buffer manifest = { 0 };
    bool is_plugin;
    buffer_printf(&manifest, "%.*s/manifest.yaml", (int)dir.len, dir.bytes);
    is_plugin = access(manifest.bytes, F_OK) == 0;
    buffer_free(&manifest);
    if (is_plugin)
      return buffer_take(&dir);
    buffer_string(&dir, "/..");
  }
  buffer_free(&dir);
  buffer_printf(&dir, "%s/.", path);
  found = access(dir.bytes, F_OK) == 0 ? mem_string(path) : NULL;
  buffer_free(&dir);
  return found ? found : mem_string(".");
}

static int watch_path(Watcher *watcher, const char *path)
{
  // A spec's own file is no folder: "spec/a_spec.lua/.." is none either.
  char *copy = mem_string(path), *slash = strrchr(copy, '/'), *folder;
  Buffer probe = { 0 };
  Err err;
  buffer_printf(&probe, "%s/.", path);
  if (access(probe.bytes, F_OK) != 0) {
    if (slash)
      *slash = '\0';
    else
      strcpy(copy, ".");
  }
  folder = folder_of(copy);
  if (watcher->watch_count < MAX_WATCHES) {
    Watch *watch = watch_new(watcher->loop, folder, on_change, watcher, &err);
    if (watch)
      watcher->watches[watcher->watch_count++] = watch;
    else
      fprintf(stderr, "moonhook test: cannot watch %s: %s\n", folder, err.text);
  }
  buffer_free(&probe);
  mem_free(folder);
  mem_free(copy);
  return 0;
}

static void watch_signal(Watcher *watcher, uv_signal_t *handle, int number)
{
  uv_signal_init(loop_uv(watcher->loop), handle);
  handle->data = watcher;
  uv_signal_start(handle, on_signal, number);
}

int test_watch(const char *const *words)
{
  Watcher watcher = { 0 };
  size_t i, count = 0, paths = 0;
  Err err;
  while (words[count])
    count++;
  watcher.loop = loop_new(&err);
  if (!watcher.loop) {
    fprintf(stderr, "moonhook test: %s\n", err.text);
    return 2;
  }
  watcher.words = mem_zero(count + 3, sizeof *watcher.words);
  watcher.words[0] = "moonhook";
  watcher.words[1] = "test";
  for (i = 0; i < count; i++) {
    watcher.words[i + 2] = words[i];
    if (words[i][0] != '-' && access(words[i], F_OK) == 0) {
      watch_path(&watcher, words[i]);
      paths++;
    }
  }
  if (paths == 0)
    watch_path(&watcher, ".");
  watch_signal(&watcher, &watcher.interrupt, SIGINT);
  watch_signal(&watcher, &watcher.term, SIGTERM);
  run(&watcher);
  loop_run(watcher.loop);
  for (i = 0; i < watcher.watch_count; i++)
    watch_close(watcher.watches[i]);
  uv_close((uv_handle_t *)&watcher.interrupt, NULL);
  uv_close((uv_handle_t *)&watcher.term, NULL);
  uv_run(loop_uv(watcher.loop), UV_RUN_NOWAIT);
  loop_free(watcher.loop);
  mem_free(watcher.words);
  return watcher.code;
}
