// Packing a plugin (see archive.h). No times and no owners go in.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>
#include <zip.h>

#include "../base/memory.h"
#include "contents.h"

enum { FIRST_DOS_TIME = 0, FIRST_DOS_DATE = 1 << 5 | 1 }; // 1 January 1980

static int add_file(zip_t *zip, Contents *contents, size_t index, Err *err)
{
  const char *path = contents->paths[index];
  Buffer bytes = { 0 };
  zip_source_t *source;
  zip_int64_t at = -1;
  size_t len;
  int rc = contents_read(contents, index, &bytes, err);
  if (rc != 0) {
    buffer_free(&bytes);
    return rc;
  }
  len = bytes.len;
  source = zip_source_buffer(zip, buffer_take(&bytes), len, 1); // it frees them
  if (source)
    at = zip_file_add(zip, path, source, ZIP_FL_ENC_UTF_8);
  if (at < 0 || zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_DEFLATE, 9) != 0 ||
      zip_file_set_dostime(zip, (zip_uint64_t)at, FIRST_DOS_TIME, FIRST_DOS_DATE, 0) != 0)
    return err_set(err, UV_EIO, "%s: %s", path, zip_strerror(zip));
  return 0;
}

int archive_write(const char *dir, const char *path, Err *err)
{
  Contents contents;
  Buffer temporary = { 0 };
  zip_t *zip;
  size_t i;
  int code = 0, rc = contents_open(&contents, dir, err);
  if (rc != 0)
    return rc;
  buffer_printf(&temporary, "%s.tmp~", path);
  zip = zip_open(temporary.bytes, ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!zip)
    rc = err_set(err, UV_EIO, "%s: cannot be written: %s", path, strerror(errno));
  for (i = 0; i < contents.count && rc == 0; i++)
    rc = add_file(zip, &contents, i, err);
  if (zip && (rc != 0 || zip_close(zip) != 0)) {
    if (rc == 0)
      rc = err_set(err, UV_EIO, "%s: %s", path, zip_strerror(zip));
    zip_discard(zip);
  }
  if (rc == 0 && rename(temporary.bytes, path) != 0)
    rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
  if (rc != 0)
    remove(temporary.bytes);
  buffer_free(&temporary);
  contents_close(&contents);
  return rc;
}
