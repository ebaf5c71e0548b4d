// Hashing, copying and sweeping snapshots (see snapshot.h). A snapshot's name is the hash of the
// bytes that were copied, not of those seen before, so a file saved in between cannot make name and
// content differ. Files are not synced: after a power cut a snapshot may be damaged, so one that is
// already there is hashed before it is used.
#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "../base/digest.h"
#include "../base/memory.h"
#include "../base/random.h"
#include "contents.h"

static const char TEMPORARY[] = ".tmp-";

char **snapshot_files(const char *dir, Err *err)
{
  Contents contents;
  char **files;
  size_t i;
  if (contents_open(&contents, dir, err) != 0)
    return NULL;
  files = mem_zero(contents.count + 1, sizeof *files);
  for (i = 0; i < contents.count; i++)
    files[i] = mem_string(contents.paths[i]);
  contents_close(&contents);
  return files;
}

bool snapshot_holds(const char *relative)
{
  const char *part = relative;
  while (strncmp(part, "./", 2) == 0)
    part += 2;
  if (strncmp(part, "spec/", 5) == 0)
    return false;
  for (; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
    size_t dots = strspn(part, "."), len = strcspn(part, "/");
    if (dots > 0 && (dots < len || len > 2)) // what "." and ".." mean is the opening's concern
      return false;
  }
  return true;
}

// --- hashing and copying -------------------------------------------------------------------------

static int make_folders(const char *root, const char *relative, Err *err)
{
  const char *slash = relative;
  int rc = 0;
  while (rc == 0 && (slash = strchr(slash, '/'))) {
    Buffer path = { 0 };
    buffer_printf(&path, "%s/%.*s", root, (int)(slash - relative), relative);
    if (mkdir(path.bytes, 0700) != 0 && errno != EEXIST)
      rc = err_set(err, -errno, "%s: %s", path.bytes, strerror(errno));
    buffer_free(&path);
    slash++;
  }
  return rc;
}

static int write_file(const char *root, const char *relative, const Buffer *bytes, Err *err)
{
  Buffer path = { 0 };
  size_t done = 0;
  int rc = make_folders(root, relative, err), fd = -1;
  buffer_printf(&path, "%s/%s", root, relative);
  if (rc == 0) {
    fd = open(path.bytes, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
      rc = err_set(err, -errno, "%s: %s", path.bytes, strerror(errno));
  }
  while (rc == 0 && done < bytes->len) {
    ssize_t wrote = write(fd, bytes->bytes + done, bytes->len - done);
    if (wrote > 0)
      done += (size_t)wrote;
    else if (errno != EINTR)
      rc = err_set(err, -errno, "%s: %s", path.bytes, strerror(errno));
  }
  if (fd >= 0)
    close(fd);
  buffer_free(&path);
  return rc;
}

// Hashes the package; with `to`, copies every file there as well.
static int walk(const char *place, const char *to, char hash[CONTENT_HASH_LEN + 1], Err *err)
{
  Contents contents;
  Buffer sums = { 0 }, bytes = { 0 };
  unsigned char sum[DIGEST_BYTES];
  size_t i, total = 0;
  int rc = contents_open(&contents, place, err);
  for (i = 0; rc == 0 && i < contents.count; i++) {
    const char *path = contents.paths[i];
    buffer_clear(&bytes);
    rc = contents_read(&contents, i, &bytes, err);
    total += bytes.len;
    if (rc == 0 && total > PACKAGE_MAX_BYTES)
      rc = err_set(err, UV_EFBIG, "%s: expected at most 50 MiB in a package", path);
    else if (rc == 0 && to)
      rc = write_file(to, path, &bytes, err);
    digest_of(path, strlen(path), sum);
    buffer_append(&sums, sum, sizeof sum);
    digest_of(bytes.bytes ? bytes.bytes : "", bytes.len, sum);
    buffer_append(&sums, sum, sizeof sum);
  }
  if (rc == 0) {
    digest_of(sums.bytes ? sums.bytes : "", sums.len, sum);
    for (i = 0; i < sizeof sum; i++)
      snprintf(hash + 2 * i, 3, "%02x", sum[i]);
  }
  buffer_free(&sums);
  buffer_free(&bytes);
  contents_close(&contents);
  return rc;
}

int snapshot_hash(const char *dir, char hash[CONTENT_HASH_LEN + 1], Err *err)
{
  return walk(dir, NULL, hash, err);
}

// --- the snapshots' folder -----------------------------------------------------------------------

// Removes `name` below the folder `parent`, whatever it is; what cannot be removed stays.
static void remove_tree(int parent, const char *name, int depth)
{
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
  struct dirent *entry;
  if (!listing) {
    if (fd >= 0)
      close(fd);
    unlinkat(parent, name, 0);
    return;
  }
  while (depth < 2 * PACKAGE_MAX_DEPTH && (entry = readdir(listing))) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      remove_tree(dirfd(listing), entry->d_name, depth + 1);
  }
  closedir(listing);
  unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_path(const char *path)
{
  remove_tree(AT_FDCWD, path, 0);
}

static bool is_intact(const char *path, const char *hash)
{
  char found[CONTENT_HASH_LEN + 1];
  Err unused;
  return walk(path, NULL, found, &unused) == 0 && strcmp(found, hash) == 0;
}

static char *snapshot_path(const char *data_dir, const char *name)
{
  Buffer path = { 0 };
  buffer_printf(&path, "%s/plugins%s%s", data_dir, *name ? "/" : "", name);
  return buffer_take(&path);
}

static int make_root(const char *data_dir, Err *err)
{
  char *root = snapshot_path(data_dir, "");
  int rc = 0;
  if ((mkdir(data_dir, 0700) != 0 && errno != EEXIST) ||
      (mkdir(root, 0700) != 0 && errno != EEXIST))
    rc = err_set(err, -errno, "%s: %s", root, strerror(errno));
  mem_free(root);
  return rc;
}

// Copies the package and gives the copy its name.
static int copy(const char *dir, const char *data_dir, char hash[CONTENT_HASH_LEN + 1], char **path,
                Err *err)
{
  char name[sizeof TEMPORARY + 16];
  char *temporary;
  int rc;
  memcpy(name, TEMPORARY, sizeof TEMPORARY);
  random_base32(name + sizeof TEMPORARY - 1, 16);
  temporary = snapshot_path(data_dir, name);
  rc = mkdir(temporary, 0700) == 0 ? walk(dir, temporary, hash, err)
                                   : err_set(err, -errno, "%s: %s", temporary, strerror(errno));
  if (rc == 0) {
    *path = snapshot_path(data_dir, hash);
    if (rename(temporary, *path) != 0 && errno != EEXIST && errno != ENOTEMPTY)
      rc = err_set(err, -errno, "%s: %s", *path, strerror(errno));
  }
  remove_path(temporary); // unless it was renamed
  mem_free(temporary);
  return rc;
}

int snapshot_make(const char *dir, const char *data_dir, char hash[CONTENT_HASH_LEN + 1],
                  char **path, Err *err)
{
  int rc = make_root(data_dir, err);
  *path = NULL;
  if (rc != 0)
    return rc;
  *path = snapshot_path(data_dir, hash);
  if (is_intact(*path, hash))
    return 0;
  remove_path(*path);
  mem_free(*path);
  *path = NULL;
  rc = copy(dir, data_dir, hash, path, err);
  if (rc != 0) {
    mem_free(*path);
    *path = NULL;
  }
  return rc;
}

static bool is_hash(const char *name)
{
  return strlen(name) == CONTENT_HASH_LEN && strspn(name, "0123456789abcdef") == CONTENT_HASH_LEN;
}

static bool is_same_file(Contents *a, Contents *b, size_t i, Buffer bytes[2])
{
  Err unused;
  buffer_clear(&bytes[0]);
  buffer_clear(&bytes[1]);
  return strcmp(a->paths[i], b->paths[i]) == 0 && contents_read(a, i, &bytes[0], &unused) == 0 &&
         contents_read(b, i, &bytes[1], &unused) == 0 && bytes[0].len == bytes[1].len &&
         (bytes[0].len == 0 || memcmp(bytes[0].bytes, bytes[1].bytes, bytes[0].len) == 0);
}

char *snapshot_find(const char *place, const char *data_dir, const char *hash)
{
  char *path = snapshot_path(data_dir, hash);
  Contents package = { 0 }, snapshot = { 0 };
  Buffer bytes[2] = { 0 };
  Err unused;
  size_t i = 0, count = SIZE_MAX;
  if (is_hash(hash) && contents_open(&package, place, &unused) == 0 &&
      contents_open(&snapshot, path, &unused) == 0 && package.count == snapshot.count) {
    count = package.count;
    while (i < count && is_same_file(&package, &snapshot, i, bytes))
      i++;
  }
  contents_close(&package);
  contents_close(&snapshot);
  buffer_free(&bytes[0]);
  buffer_free(&bytes[1]);
  if (i == count)
    return path;
  mem_free(path);
  return NULL;
}

int snapshot_unpack(const char *place, char **path, Err *err)
{
  const char *folder = getenv("TMPDIR");
  char hash[CONTENT_HASH_LEN + 1];
  Buffer name = { 0 };
  int rc;
  buffer_printf(&name, "%s/moonhook-XXXXXX", folder && *folder ? folder : "/tmp");
  *path = NULL;
  if (!mkdtemp(name.bytes)) {
    rc = err_set(err, -errno, "%s: %s", name.bytes, strerror(errno));
  } else {
    rc = walk(place, name.bytes, hash, err);
    if (rc == 0)
      *path = buffer_take(&name);
    else
      remove_path(name.bytes);
  }
  buffer_free(&name);
  return rc;
}

void snapshot_discard(char *path)
{
  if (path)
    remove_path(path);
  mem_free(path);
}

void snapshot_sweep(const char *data_dir, bool (*is_used)(void *context, const char *hash),
                    void *context)
{
  char *root = snapshot_path(data_dir, "");
  DIR *listing = opendir(root);
  struct dirent *entry;
  while (listing && (entry = readdir(listing))) {
    bool is_left_over = strncmp(entry->d_name, TEMPORARY, sizeof TEMPORARY - 1) == 0;
    if (is_left_over || (is_hash(entry->d_name) && !is_used(context, entry->d_name)))
      remove_tree(dirfd(listing), entry->d_name, 0);
  }
  if (listing)
    closedir(listing);
  mem_free(root);
}
