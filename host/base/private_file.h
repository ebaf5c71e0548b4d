// Files that hold keys: readable by their owner alone, replaced whole or not at all.
#ifndef MOONHOOK_BASE_PRIVATE_FILE_H
#define MOONHOOK_BASE_PRIVATE_FILE_H

#include <stddef.h>

#include "buffer.h"
#include "error.h"

// Appends the bytes of a regular file of at most `max` bytes. Refuses a symbolic link and a file
// that others than its owner may read or write: UV_EPERM, "PATH: mode 0644: ... chmod 600". A file
// that is not there: UV_ENOENT. Every text names the path.
int private_file_read(const char *path, size_t max, Buffer *out, Err *err);

// Writes a file of mode 0600 in the place of what is there: beside it first, synced, renamed, the
// folder synced. What was there stays whole when this fails.
int private_file_write(const char *path, Span bytes, Err *err);

#endif
