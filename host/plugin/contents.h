// The files of a package, of a folder or of an archive: what is hashed, copied, checked and packed.
#ifndef MOONHOOK_PLUGIN_CONTENTS_H
#define MOONHOOK_PLUGIN_CONTENTS_H

#include "../base/buffer.h"
#include "../base/error.h"
#include "archive.h"

enum {
  PACKAGE_MAX_FILES = 2000,
  PACKAGE_MAX_BYTES = 50 * 1024 * 1024,
  PACKAGE_MAX_DEPTH = 32, // folders inside each other
};

// Zero-initialise.
typedef struct {
  char **paths; // relative, sorted
  size_t count;
  const char *dir; // borrowed
  Archive *archive;
  size_t *entries; // of the archive, by the paths' order
} Contents;

// Lists the files of the folder or archive `place`. Hidden ones and spec/ are left out. Errors name
// the file: symbolic links, devices, more than PACKAGE_MAX_FILES.
int contents_open(Contents *contents, const char *place, Err *err);
// Appends the bytes of one file. Errors name it.
int contents_read(Contents *contents, size_t index, Buffer *out, Err *err);
void contents_close(Contents *contents);

#endif
