// A packed plugin: a zip file (Dify's .difypkg is one). Read whole into memory and checked before
// anything of it is used, so nothing is ever written outside of where its files go.
#ifndef MOONHOOK_PLUGIN_ARCHIVE_H
#define MOONHOOK_PLUGIN_ARCHIVE_H

#include <stdbool.h>

#include "../base/buffer.h"
#include "../base/error.h"

typedef struct Archive Archive;

// A file whose name ends in .difypkg or .zip.
bool archive_is_one(const char *path);
// Opens and checks it. Errors name the file and the entry: not a zip; names that are absolute, lead
// out with "..", have a backslash, a drive's letter or control characters; two entries of one name,
// also when only the case of ASCII letters differs; symbolic links and devices; encryption; other
// compression than deflate; more than PACKAGE_MAX_FILES or PACKAGE_MAX_BYTES.
Archive *archive_open(const char *path, Err *err);
// The same for bytes, which the call takes; `name` is for messages.
Archive *archive_open_bytes(const char *name, Buffer *bytes, Err *err);
void archive_close(Archive *archive);

// Its files, sorted by the bytes of their names; folders are left out.
size_t archive_count(const Archive *archive);
const char *archive_name(const Archive *archive, size_t index);
// Appends one file's bytes. Never more than the archive says it has. Errors: damaged, truncated.
int archive_read(Archive *archive, size_t index, Buffer *out, Err *err);

// Writes the package's files in `dir` (those that snapshots hold) to a new archive at `path`,
// replacing one that is there, all or nothing. The same files give the same bytes.
int archive_write(const char *dir, const char *path, Err *err);

#endif
