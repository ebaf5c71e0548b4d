// See archive.h. libzip reads the format; what an entry may be is decided here.
#include "archive.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <uv.h>
#include <zip.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "../base/utf8.h"
#include "contents.h"

enum {
  MAX_ARCHIVE_BYTES = PACKAGE_MAX_BYTES + 1024 * 1024,
  MAX_ENTRIES = 2 * PACKAGE_MAX_FILES, // with folders
  MAX_NAME_BYTES = 1000,
  READ_BYTES = 64 * 1024,
};

typedef struct {
  char *name;
  zip_uint64_t index, size;
} Entry;

struct Archive {
  char *name; // for messages
  Buffer bytes;
  zip_t *zip;
  Entry *entries;
  size_t count;
};

bool archive_is_one(const char *path)
{
  const char *dot = strrchr(path, '.');
  struct stat status;
  if (!dot || (strcasecmp(dot, ".difypkg") != 0 && strcasecmp(dot, ".zip") != 0))
    return false;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

// --- refusals ------------------------------------------------------------------------------------

// "FILE: entry NAME: reason", the name without what a terminal might obey.
static int refuse(const Archive *archive, const char *entry, Err *err, const char *reason)
{
  char shown[200];
  size_t i;
  for (i = 0; i < sizeof shown - 1 && entry[i]; i++)
    shown[i] = isprint((unsigned char)entry[i]) || entry[i] & 0x80 ? entry[i] : '?';
  shown[i] = '\0';
  if (!utf8_is_valid(shown, i)) {
    for (i = 0; shown[i]; i++)
      shown[i] = shown[i] & 0x80 ? '?' : shown[i];
  }
  return err_set(err, UV_EINVAL, "%s: entry \"%s\": %s", archive->name, shown, reason);
}

// What is wrong with a name, or NULL.
static const char *name_problem(const char *name)
{
  const char *part;
  size_t i, len = strlen(name);
  int depth = 0;
  if (len == 0 || len > MAX_NAME_BYTES)
    return "expected a name of 1 to 1000 bytes";
  if (!utf8_is_valid(name, len))
    return "expected a name in UTF-8";
  for (i = 0; i < len; i++) {
    if (iscntrl((unsigned char)name[i]))
      return "expected a name without control characters";
  }
  if (strchr(name, '\\'))
    return "expected a name without backslashes";
  if (name[0] == '/')
    return "expected a relative name, got an absolute one";
  if (isalpha((unsigned char)name[0]) && name[1] == ':')
    return "expected a relative name, got one with a drive's letter";
  for (part = name; *part; part += part[i] == '/' ? i + 1 : i) {
    i = strcspn(part, "/");
    if (i == 0)
      return "expected a name without empty parts";
    if (strspn(part, ".") == i && i <= 2)
      return "expected a name without \".\" and \"..\"";
    if (i > 255)
      return "expected at most 255 bytes between slashes";
    if (++depth > PACKAGE_MAX_DEPTH)
      return "expected at most 32 folders inside each other";
  }
  return NULL;
}

// What is wrong with an entry as the archive describes it, or NULL.
static const char *kind_problem(zip_t *zip, const zip_stat_t *status, bool is_folder)
{
  zip_uint8_t system;
  zip_uint32_t attributes;
  mode_t kind = 0;
  if (zip_file_get_external_attributes(zip, status->index, 0, &system, &attributes) == 0)
    kind = (mode_t)(attributes >> 16) & S_IFMT;
  if (S_ISLNK(kind))
    return "expected a file, got a symbolic link";
  if (kind != 0 && !S_ISREG(kind) && !S_ISDIR(kind))
    return "expected a file, got a device, pipe or socket";
  if (!(status->valid & ZIP_STAT_SIZE) || !(status->valid & ZIP_STAT_COMP_METHOD))
    return "expected an entry with a size";
  if (is_folder || (S_ISDIR(kind) && status->size == 0))
    return status->size == 0 ? NULL : "expected a folder to be empty";
  if (status->valid & ZIP_STAT_ENCRYPTION_METHOD && status->encryption_method != ZIP_EM_NONE)
    return "it is encrypted";
  if (status->comp_method != ZIP_CM_STORE && status->comp_method != ZIP_CM_DEFLATE)
    return "expected it stored or deflated, got another compression";
  return NULL;
}

// Whether the end of the archive announces more entries than are allowed, so that libzip need not
// read them. The end is somewhere in the last 64 KiB, as a comment may follow it.
static bool announces_too_many(Span bytes)
{
  enum { END_BYTES = 22, MAX_COMMENT = 65535 };
  const char *at =
      bytes.at + (bytes.len > END_BYTES + MAX_COMMENT ? bytes.len - END_BYTES - MAX_COMMENT : 0);
  const char *end = bytes.at + bytes.len;
  while (end - at >= END_BYTES && (at = memmem(at, (size_t)(end - at), "PK\5\6", 4)) &&
         end - at >= END_BYTES) {
    unsigned count = (unsigned char)at[10] | (unsigned)(unsigned char)at[11] << 8;
    if (count > MAX_ENTRIES)
      return true;
    at++;
  }
  return false;
}

// --- opening -------------------------------------------------------------------------------------

static int by_name(const void *a, const void *b)
{
  return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static int by_folded_name(const void *a, const void *b)
{
  return strcasecmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static int in_order(const void *a, const void *b)
{
  int order = by_folded_name(a, b);
  return order != 0 ? order : by_name(a, b);
}

// Whether one of the files, sorted by folded name, stands where `name` needs a folder.
static bool is_below_a_file(const Archive *archive, const char *name)
{
  const char *slash;
  bool is_found = false;
  for (slash = strchr(name, '/'); slash && !is_found; slash = strchr(slash + 1, '/')) {
    Entry folder = { .name = mem_bytes(name, (size_t)(slash - name)) };
    is_found = bsearch(&folder, archive->entries, archive->count, sizeof folder, by_folded_name);
    mem_free(folder.name);
  }
  return is_found;
}

// No two files may come to lie in one place, on any file system.
static int check_names(Archive *archive, Err *err)
{
  size_t i;
  if (archive->count > 0)
    qsort(archive->entries, archive->count, sizeof *archive->entries, in_order);
  for (i = 1; i < archive->count; i++) {
    const char *name = archive->entries[i].name, *before = archive->entries[i - 1].name;
    if (strcmp(name, before) == 0)
      return refuse(archive, name, err, "it is there twice");
    if (strcasecmp(name, before) == 0)
      return refuse(archive, name, err, "another one differs only in upper and lower case");
  }
  for (i = 0; i < archive->count; i++) {
    if (is_below_a_file(archive, archive->entries[i].name))
      return refuse(archive, archive->entries[i].name, err, "its folder is a file as well");
  }
  if (archive->count > 0)
    qsort(archive->entries, archive->count, sizeof *archive->entries, by_name);
  return 0;
}

static int take_entry(Archive *archive, zip_uint64_t index, zip_uint64_t *total, Err *err)
{
  const char *name = zip_get_name(archive->zip, index, ZIP_FL_ENC_RAW), *problem;
  size_t len = name ? strlen(name) : 0;
  bool is_folder = len > 0 && name[len - 1] == '/';
  zip_stat_t status;
  if (!name || zip_stat_index(archive->zip, index, 0, &status) != 0)
    return err_set(err, UV_EINVAL, "%s: %s", archive->name, zip_strerror(archive->zip));
  problem = name_problem(name);
  if (!problem)
    problem = kind_problem(archive->zip, &status, is_folder);
  if (problem)
    return refuse(archive, name, err, problem);
  if (is_folder)
    return 0;
  if (archive->count == PACKAGE_MAX_FILES)
    return refuse(archive, name, err, "expected at most 2000 files in a package");
  if (status.size > PACKAGE_MAX_BYTES || (*total += status.size) > PACKAGE_MAX_BYTES)
    return refuse(archive, name, err, "expected at most 50 MiB in a package");
  archive->entries[archive->count++] = (Entry){ mem_string(name), index, status.size };
  return 0;
}

// Returns 0, or libzip's code with err set.
static int read_directory(Archive *archive, int flags, Err *err)
{
  zip_error_t error;
  zip_source_t *source;
  int code = 0;
  zip_error_init(&error);
  source = zip_source_buffer_create(archive->bytes.bytes ? archive->bytes.bytes : "",
                                    archive->bytes.len, 0, &error);
  archive->zip = source ? zip_open_from_source(source, flags, &error) : NULL;
  if (!archive->zip) {
    code = zip_error_code_zip(&error);
    err_set(err, UV_EINVAL, "%s: expected a zip file that is whole: %s", archive->name,
            zip_error_strerror(&error));
    if (source)
      zip_source_free(source);
  }
  zip_error_fini(&error);
  return code;
}

static int take_entries(Archive *archive, Err *err)
{
  zip_int64_t i, count = zip_get_num_entries(archive->zip, 0);
  zip_uint64_t total = 0;
  int rc = 0;
  if (count > MAX_ENTRIES)
    return err_set(err, UV_EFBIG, "%s: expected at most %d files in a package", archive->name,
                   PACKAGE_MAX_FILES);
  archive->entries = mem_zero((size_t)count + 1, sizeof *archive->entries);
  for (i = 0; i < count && rc == 0; i++)
    rc = take_entry(archive, (zip_uint64_t)i, &total, err);
  return rc == 0 ? check_names(archive, err) : rc;
}

static int open_zip(Archive *archive, Err *err)
{
  int code, rc;
  if (announces_too_many((Span){ archive->bytes.bytes, archive->bytes.len }))
    return err_set(err, UV_EFBIG, "%s: expected at most %d files in a package", archive->name,
                   PACKAGE_MAX_FILES);
  if (archive->bytes.len == 0) // to libzip it is an archive of nothing
    return err_set(err, UV_EINVAL, "%s: expected a zip file that is whole: it is empty",
                   archive->name);
  code = read_directory(archive, ZIP_RDONLY | ZIP_CHECKCONS, err);
  if (code == 0)
    return take_entries(archive, err);
  // Two entries of one name, which libzip does not tell: it is read again to say which.
  if (code == ZIP_ER_EXISTS && read_directory(archive, ZIP_RDONLY, err) == 0) {
    rc = take_entries(archive, err);
    return rc != 0 ? rc
                   : err_set(err, UV_EINVAL, "%s: two entries have the same name", archive->name);
  }
  return err->code;
}

Archive *archive_open_bytes(const char *name, Buffer *bytes, Err *err)
{
  Archive *archive = mem_zero(1, sizeof *archive);
  archive->name = mem_string(name);
  archive->bytes = *bytes;
  *bytes = (Buffer){ 0 };
  if (open_zip(archive, err) == 0)
    return archive;
  archive_close(archive);
  return NULL;
}

Archive *archive_open(const char *path, Err *err)
{
  Buffer bytes = { 0 };
  if (file_read(path, MAX_ARCHIVE_BYTES, &bytes, err) == 0)
    return archive_open_bytes(path, &bytes, err);
  buffer_free(&bytes);
  return NULL;
}

void archive_close(Archive *archive)
{
  if (archive->zip)
    zip_discard(archive->zip);
  while (archive->count > 0)
    mem_free(archive->entries[--archive->count].name);
  mem_free(archive->entries);
  buffer_free(&archive->bytes);
  mem_free(archive->name);
  mem_free(archive);
}

// --- reading -------------------------------------------------------------------------------------

size_t archive_count(const Archive *archive)
{
  return archive->count;
}

const char *archive_name(const Archive *archive, size_t index)
{
  return archive->entries[index].name;
}

int archive_read(Archive *archive, size_t index, Buffer *out, Err *err)
{
  const Entry *entry = &archive->entries[index];
  zip_file_t *file = zip_fopen_index(archive->zip, entry->index, 0);
  char *piece;
  zip_uint64_t total = 0;
  zip_int64_t got = 0;
  if (!file)
    return refuse(archive, entry->name, err, zip_strerror(archive->zip));
  piece = mem_alloc(READ_BYTES);
  // To its end, where the checksum is looked at; one that goes on beyond its size is not believed.
  while (total <= entry->size && (got = zip_fread(file, piece, READ_BYTES)) > 0) {
    total += (zip_uint64_t)got;
    if (total <= entry->size)
      buffer_append(out, piece, (size_t)got);
  }
  mem_free(piece);
  if (zip_fclose(file) != 0 || got < 0 || total != entry->size)
    return refuse(archive, entry->name, err, "it is damaged or truncated");
  return 0;
}
