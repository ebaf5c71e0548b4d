// Small files, read whole.
#ifndef MOONHOOK_BASE_FILE_H
#define MOONHOOK_BASE_FILE_H

#include <stddef.h>

#include "buffer.h"
#include "error.h"

// Appends the bytes of a regular file of at most `max` bytes to `out`. Errors: "PATH: reason".
int file_read(const char *path, size_t max, Buffer *out, Err *err);
// The same for a file inside the folder `root`, named by a relative path. Nothing outside is ever
// opened: absolute paths, "..", and symbolic links on the way (the last part included) are refused.
// err->text is the reason alone: "does not exist", "leads out of the package" ...
int file_read_inside(const char *root, const char *relative, size_t max, Buffer *out, Err *err);
// Whether such a file could be read: 0, or the error that file_read_inside would give.
int file_check_inside(const char *root, const char *relative, Err *err);

#endif
