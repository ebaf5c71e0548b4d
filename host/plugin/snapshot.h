// Packages, folders or archives, are served from snapshots: copies under DATA/plugins/<content
// hash>/, so that everyone runs the same bytes and a half-saved file is never loaded.
#ifndef MOONHOOK_PLUGIN_SNAPSHOT_H
#define MOONHOOK_PLUGIN_SNAPSHOT_H

#include <stdbool.h>

#include "../base/error.h"

enum { CONTENT_HASH_LEN = 64 };

// SHA-256 over the sorted relative paths and contents of the package's files: for each file
// sha256(path) || sha256(content), all hashed again, in hex (as Dify's checksum). Hidden files and
// folders, spec/, and what the host writes itself (own_files.h) are left out. Symbolic links are
// refused, as are packages over 50 MiB or 2,000 files, and what archive.h refuses: each an error
// naming the file.
int snapshot_hash(const char *place, char hash[CONTENT_HASH_LEN + 1], Err *err);
// Relative paths of the files that a snapshot holds, sorted, NULL-terminated; each and the array
// are the caller's. NULL after an error, of the same kinds.
char **snapshot_files(const char *place, Err *err);
// Whether a relative path names a file that snapshots hold, as far as the name tells.
bool snapshot_holds(const char *relative);
// The snapshot of a package whose hash is `hash`, copied unless it is there already, through a
// temporary name and rename. Where the package changed meanwhile, `hash` becomes what was copied.
// `*path` is the snapshot's folder; the caller frees.
int snapshot_make(const char *place, const char *data_dir, char hash[CONTENT_HASH_LEN + 1],
                  char **path, Err *err);
// The snapshot with that hash, if it has the very bytes that the package has now; else NULL. Costs
// less than hashing both. The caller frees.
char *snapshot_find(const char *place, const char *data_dir, const char *hash);
// Copies to a new temporary folder, whose path is *path; snapshot_discard removes it.
int snapshot_unpack(const char *place, char **path, Err *err);
void snapshot_discard(char *path); // NULL is fine
// Removes the snapshots whose hash `is_used` denies.
void snapshot_sweep(const char *data_dir, bool (*is_used)(void *context, const char *hash),
                    void *context);

#endif
