// Watching files (see watch.h). One uv_fs_event per folder. After every quiet moment the tree is
// walked again: folders that are new get a watch before on_change is called, so whatever is written
// later is seen; watches of folders that were replaced, which inotify lets die in silence, are made
// anew. Where a watch cannot be had, and while the path does not exist, a look each second does.
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "../base/buffer.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "own_files.h"

enum {
  QUIET_MS = 40,
  LATEST_MS = 500, // a file that is written without pause must not keep the others waiting
  POLL_MS = 1000,
  MAX_FOLDERS = 500,
  MAX_DEPTH = 32,
};

typedef struct Folder {
  uv_fs_event_t event; // first member: on_folder_closed casts back
  struct Folder *next;
  Watch *watch;
  char *path;
  bool is_seen;    // in the walk that is going on
  bool is_suspect; // it, or what it stands in, may have been replaced
} Folder;

struct Watch {
  Loop *loop;
  char *path;   // what to watch
  char *folder; // the file's folder, when it is a file
  Folder *folders;
  uint32_t folder_count;
  uint32_t open_handles; // with those that are closing
  Timer quiet, poll;
  uint64_t first_ms; // of the changes that were not reported yet; 0: none
  uint64_t sum;      // of what the last look saw
  bool is_polling, is_closing;
  bool is_told; // that it polls
  void (*on_change)(void *context);
  void *context;
};

static void on_quiet(Timer *timer);
static void on_poll(Timer *timer);

// --- looking -------------------------------------------------------------------------------------

static uint64_t mix(uint64_t sum, const void *bytes, size_t len)
{
  const unsigned char *at = bytes;
  while (len-- > 0)
    sum = (sum ^ *at++) * 1099511628211u;
  return sum;
}

// The change time moves with every write, also when somebody sets the other times back.
static uint64_t mix_status(uint64_t sum, const struct stat *status)
{
  sum = mix(sum, &status->st_ino, sizeof status->st_ino);
  sum = mix(sum, &status->st_size, sizeof status->st_size);
  return mix(sum, &status->st_ctim, sizeof status->st_ctim);
}

static bool is_own(int folder, const char *name, const struct stat *status)
{
  return S_ISDIR(status->st_mode) ? own_data(folder, name) : own_output(status);
}

static uint64_t look_at_folder(const char *path, int depth, uint64_t sum)
{
  DIR *listing = opendir(path);
  struct dirent *entry;
  uint64_t all = 0;
  while (listing && depth < MAX_DEPTH && (entry = readdir(listing))) {
    Buffer below = { 0 };
    struct stat status;
    uint64_t one;
    if (entry->d_name[0] == '.')
      continue;
    buffer_printf(&below, "%s/%s", path, entry->d_name);
    one = mix(sum, below.bytes, below.len);
    if (lstat(below.bytes, &status) == 0 && !is_own(dirfd(listing), entry->d_name, &status)) {
      one = mix_status(one, &status);
      if (S_ISDIR(status.st_mode))
        one = look_at_folder(below.bytes, depth + 1, one);
    }
    all += one; // the order of a listing means nothing
    buffer_free(&below);
  }
  if (listing)
    closedir(listing);
  return sum + all;
}

static uint64_t look(const Watch *watch)
{
  struct stat status;
  uint64_t sum = 14695981039346656037u;
  if (stat(watch->path, &status) != 0)
    return 0;
  sum = watch->folder || !S_ISDIR(status.st_mode) ? mix_status(sum, &status) : sum;
  return watch->folder ? sum : look_at_folder(watch->path, 0, sum);
}

// --- folders -------------------------------------------------------------------------------------

static void free_when_closed(Watch *watch)
{
  if (!watch->is_closing || watch->open_handles > 0)
    return;
  mem_free(watch->path);
  mem_free(watch->folder);
  mem_free(watch);
}

static void on_folder_closed(uv_handle_t *handle)
{
  Folder *folder = (Folder *)handle;
  Watch *watch = folder->watch;
  mem_free(folder->path);
  mem_free(folder);
  watch->open_handles--;
  free_when_closed(watch);
}

static void something_changed(Watch *watch)
{
  uint64_t now_ms = loop_now_ms(watch->loop), delay_ms = QUIET_MS;
  if (watch->first_ms == 0)
    watch->first_ms = now_ms;
  if (now_ms + delay_ms > watch->first_ms + LATEST_MS)
    delay_ms = now_ms < watch->first_ms + LATEST_MS ? watch->first_ms + LATEST_MS - now_ms : 0;
  timer_start(watch->loop, &watch->quiet, delay_ms, on_quiet);
}

// Whether `path` is `folder`/`name` or lies below it.
static bool is_below(const char *path, const char *folder, const char *name)
{
  size_t folder_len = strlen(folder), len = strlen(name);
  return strncmp(path, folder, folder_len) == 0 && path[folder_len] == '/' &&
         strncmp(path + folder_len + 1, name, len) == 0 &&
         (path[folder_len + 1 + len] == '/' || path[folder_len + 1 + len] == '\0');
}

static const char *base_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

// libuv gives the name of the entry that changed, or the folder's own when that was moved or
// removed.
static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
  Folder *folder = (Folder *)event, *other;
  Watch *watch = folder->watch;
  (void)events;
  if (watch->is_closing)
    return;
  if (status == 0 && name && name[0] == '.' && strcmp(name, base_name(folder->path)) != 0 &&
      !watch->folder)
    return;
  if (status != 0 || !name || strcmp(name, base_name(folder->path)) == 0) {
    for (other = watch->folders; other; other = other->next)
      other->is_suspect = true;
  }
  for (other = watch->folders; name && other; other = other->next) {
    if (is_below(other->path, folder->path, name))
      other->is_suspect = true;
  }
  something_changed(watch);
}

static void poll_instead(Watch *watch, const char *path, const char *why)
{
  watch->is_polling = true;
  if (!watch->is_told)
    log_event(LOG_WARN, "no notice of changes is to be had, looking every second",
              LOG_S("folder", path), LOG_S("why", why));
  watch->is_told = true;
}

// The folder is watched after this, or the watch polls.
static void add_folder(Watch *watch, const char *path)
{
  Folder *folder = mem_zero(1, sizeof *folder);
  int rc;
  folder->watch = watch;
  folder->path = mem_string(path);
  folder->is_seen = true;
  if (watch->folder_count >= MAX_FOLDERS ||
      uv_fs_event_init(loop_uv(watch->loop), &folder->event) != 0) {
    mem_free(folder->path);
    mem_free(folder);
    poll_instead(watch, path, "too many folders");
    return;
  }
  watch->open_handles++;
  rc = uv_fs_event_start(&folder->event, on_event, path, 0);
  if (rc != 0) {
    poll_instead(watch, path, uv_strerror(rc));
    uv_close((uv_handle_t *)&folder->event, on_folder_closed);
    return;
  }
  folder->next = watch->folders;
  watch->folders = folder;
  watch->folder_count++;
}

static void see_folder(Watch *watch, const char *path)
{
  Folder *folder;
  for (folder = watch->folders; folder; folder = folder->next) {
    if (!folder->is_suspect && strcmp(folder->path, path) == 0) {
      folder->is_seen = true;
      return;
    }
  }
  add_folder(watch, path);
}

static void see_folders_below(Watch *watch, const char *path, int depth)
{
  DIR *listing = opendir(path);
  struct dirent *entry;
  while (listing && depth < MAX_DEPTH && (entry = readdir(listing))) {
    Buffer below = { 0 };
    struct stat status;
    if (entry->d_name[0] == '.')
      continue;
    buffer_printf(&below, "%s/%s", path, entry->d_name);
    if (lstat(below.bytes, &status) == 0 && S_ISDIR(status.st_mode) &&
        !is_own(dirfd(listing), entry->d_name, &status)) {
      see_folder(watch, below.bytes);
      see_folders_below(watch, below.bytes, depth + 1);
    }
    buffer_free(&below);
  }
  if (listing)
    closedir(listing);
}

// Drops the folders that the walk did not see; with `is_all`, every one.
static void drop_folders(Watch *watch, bool is_all)
{
  Folder **at = &watch->folders;
  while (*at) {
    Folder *folder = *at;
    if (folder->is_seen && !is_all) {
      at = &folder->next;
      continue;
    }
    *at = folder->next;
    watch->folder_count--;
    uv_close((uv_handle_t *)&folder->event, on_folder_closed);
  }
}

// Makes the watches fit the folders that are there now.
static void walk(Watch *watch)
{
  const char *root = watch->folder ? watch->folder : watch->path;
  struct stat status;
  Folder *folder;
  watch->is_polling = stat(root, &status) != 0 || !S_ISDIR(status.st_mode);
  for (folder = watch->folders; folder; folder = folder->next)
    folder->is_seen = false;
  if (!watch->is_polling) {
    see_folder(watch, root);
    if (!watch->folder)
      see_folders_below(watch, root, 0);
  }
  drop_folders(watch, false);
  watch->is_told = watch->is_told && watch->is_polling;
  if (watch->is_polling && !timer_is_running(&watch->poll))
    timer_start(watch->loop, &watch->poll, POLL_MS, on_poll);
}

// --- telling -------------------------------------------------------------------------------------

static void on_quiet(Timer *timer)
{
  Watch *watch = (Watch *)((char *)timer - offsetof(Watch, quiet));
  uint64_t before = watch->sum;
  watch->first_ms = 0;
  walk(watch);
  watch->sum = look(watch);
  if (watch->sum != before)
    watch->on_change(watch->context); // it may close the watch
}

static void on_poll(Timer *timer)
{
  Watch *watch = (Watch *)((char *)timer - offsetof(Watch, poll));
  if (look(watch) != watch->sum)
    something_changed(watch);
  if (!timer_is_running(&watch->quiet))
    walk(watch); // perhaps a watch can be had now
}

Watch *watch_new(Loop *loop, const char *path, void (*on_change)(void *context), void *context,
                 Err *err)
{
  Watch *watch;
  struct stat status;
  size_t len = strlen(path);
  if (len == 0) {
    err_set(err, UV_EINVAL, "expected a path to watch");
    return NULL;
  }
  while (len > 1 && path[len - 1] == '/')
    len--;
  watch = mem_zero(1, sizeof *watch);
  watch->loop = loop;
  watch->path = mem_bytes(path, len);
  watch->on_change = on_change;
  watch->context = context;
  if (stat(watch->path, &status) != 0 || !S_ISDIR(status.st_mode)) {
    const char *slash = strrchr(watch->path, '/');
    watch->folder =
        !slash ? mem_string(".")
               : mem_bytes(watch->path, slash == watch->path ? 1 : (size_t)(slash - watch->path));
  }
  walk(watch);
  watch->sum = look(watch);
  return watch;
}

void watch_close(Watch *watch)
{
  watch->is_closing = true;
  timer_stop(&watch->quiet);
  timer_stop(&watch->poll);
  drop_folders(watch, true);
  free_when_closed(watch);
}
