// Tells when files of a folder tree (or one file) changed, after 40 ms of silence. inotify through
// libuv, one watch per folder; where that is not to be had, looks every second.
#ifndef MOONHOOK_PLUGIN_WATCH_H
#define MOONHOOK_PLUGIN_WATCH_H

#include "../base/error.h"
#include "../base/loop.h"

typedef struct Watch Watch;

// `path` is a folder (watched recursively, folders that appear later included; hidden ones left
// out) or a file (also when it is replaced by rename, or appears only later).
Watch *watch_new(Loop *loop, const char *path, void (*on_change)(void *context), void *context,
                 Err *err);
void watch_close(Watch *watch); // frees once libuv let go of the handles; on_change comes no more

#endif
