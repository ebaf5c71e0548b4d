// Packed plugins: whatever the bytes, what is opened has names that stay inside, each once, sorted,
// and no file is longer than the limit; reading one gives what it says or an error.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"
#include "host/plugin/archive.h"
#include "host/plugin/contents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void check_name(const char *name)
{
  Buffer framed = { 0 };
  buffer_printf(&framed, "/%s/", name);
  must(*name != '\0', "a file has a name");
  must(!strstr(framed.bytes, "//") && !strstr(framed.bytes, "/./"), "no empty part");
  must(!strstr(framed.bytes, "/../"), "no name leads out");
  must(!strchr(name, '\\') && !strchr(name, '\n'), "no odd characters");
  buffer_free(&framed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  Buffer bytes = { 0 };
  Archive *archive;
  size_t i, total = 0;
  Err err = { 0 };
  buffer_append(&bytes, data, size);
  archive = archive_open_bytes("fuzz.zip", &bytes, &err);
  if (!archive) {
    must(err.code != 0 && strncmp(err.text, "fuzz.zip: ", 10) == 0, "an error names the file");
    return 0;
  }
  must(archive_count(archive) <= PACKAGE_MAX_FILES, "so many files at most");
  for (i = 0; i < archive_count(archive); i++) {
    Buffer out = { 0 };
    check_name(archive_name(archive, i));
    must(i == 0 || strcmp(archive_name(archive, i - 1), archive_name(archive, i)) < 0,
         "sorted, each once");
    archive_read(archive, i, &out, &err);
    total += out.len;
    buffer_free(&out);
  }
  must(total <= PACKAGE_MAX_BYTES, "so many bytes at most");
  archive_close(archive);
  return 0;
}
