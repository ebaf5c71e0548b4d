// Hashing, copying and sweeping snapshots (see snapshot.h). A snapshot's name is the hash of the
// bytes that were copied, not of those seen before, so a file saved in between cannot make name and
// content differ. Files are not synced: after a power cut a snapshot may be damaged, so one that is
// already there is hashed before it is used.
#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "../base/random.h"

enum {
  MAX_FILES = 2000,
  MAX_PACKAGE_BYTES = 50 * 1024 * 1024,
  MAX_FOLDER_DEPTH = 32,
  HASH_BYTES = 32,
};

static const char TEMPORARY[] = ".tmp-";

// The relative paths of a package's files.
typedef struct {
  char **paths;
  size_t count;
} Files;

static void free_files(Files *files)
{
  while (files->count > 0)
    mem_free(files->paths[--files->count]);
  mem_free(files->paths);
}

// --- listing -------------------------------------------------------------------------------------

static int list_folder(int fd, const char *prefix, int depth, Files *files, Err *err);

// Takes one entry of a folder: a file is added, a folder is entered.
static int list_entry(int folder, const char *prefix, const char *name, int depth, Files *files,
                      Err *err)
{
  struct stat status;
  Buffer path = { 0 };
  int rc = 0, fd;
  if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : err_set(err, -errno, "%s%s: %s", prefix, name, strerror(errno));
  buffer_printf(&path, "%s%s", prefix, name);
  if (S_ISDIR(status.st_mode)) {
    buffer_char(&path, '/');
    fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    rc = fd < 0 ? err_set(err, -errno, "%s: %s", path.bytes, strerror(errno))
                : list_folder(fd, path.bytes, depth + 1, files, err);
  } else if (S_ISLNK(status.st_mode)) {
    rc = err_set(err, UV_ELOOP, "%s: expected a file, got a symbolic link", path.bytes);
  } else if (!S_ISREG(status.st_mode)) {
    rc = err_set(err, UV_EINVAL, "%s: expected a file, got a device, pipe or socket", path.bytes);
  } else if (files->count == MAX_FILES) {
    rc =
        err_set(err, UV_EFBIG, "%s: expected at most %d files in a package", path.bytes, MAX_FILES);
  } else {
    files->paths = mem_resize(files->paths, (files->count + 1) * sizeof *files->paths);
    files->paths[files->count++] = buffer_take(&path);
  }
  buffer_free(&path);
  return rc;
}

// Takes fd. `prefix` is "" or ends with '/'.
static int list_folder(int fd, const char *prefix, int depth, Files *files, Err *err)
{
  DIR *listing = fdopendir(fd);
  struct dirent *entry;
  int rc = 0;
  if (!listing) {
    close(fd);
    return err_set(err, UV_EIO, "%s: cannot be listed", prefix);
  }
  if (depth > MAX_FOLDER_DEPTH)
    rc = err_set(err, UV_EINVAL, "%s: expected at most %d folders inside each other", prefix,
                 MAX_FOLDER_DEPTH);
  while (rc == 0 && (entry = readdir(listing))) {
    if (entry->d_name[0] == '.' || (*prefix == '\0' && strcmp(entry->d_name, "spec") == 0))
      continue;
    rc = list_entry(dirfd(listing), prefix, entry->d_name, depth, files, err);
  }
  closedir(listing);
  return rc;
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_files(const char *dir, Files *files, Err *err)
{
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int rc = fd < 0 ? err_set(err, -errno, "%s: %s", dir, strerror(errno))
                  : list_folder(fd, "", 1, files, err);
  if (rc == 0 && files->count > 0)
    qsort(files->paths, files->count, sizeof *files->paths, by_text);
  return rc;
}

char **snapshot_files(const char *dir, Err *err)
{
  Files files = { 0 };
  if (list_files(dir, &files, err) != 0) {
    free_files(&files);
    return NULL;
  }
  files.paths = mem_resize(files.paths, (files.count + 1) * sizeof *files.paths);
  files.paths[files.count] = NULL;
  return files.paths;
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

static void digest(const void *bytes, size_t len, unsigned char out[HASH_BYTES])
{
  if (EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL) != 1)
    abort(); // no memory: crash-only
}

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
static int walk(const char *dir, const char *to, char hash[CONTENT_HASH_LEN + 1], Err *err)
{
  Files files = { 0 };
  Buffer sums = { 0 }, bytes = { 0 };
  unsigned char sum[HASH_BYTES];
  size_t i, total = 0;
  int rc = list_files(dir, &files, err);
  for (i = 0; i < files.count && rc == 0; i++) {
    Err why = { 0 };
    buffer_clear(&bytes);
    rc = file_read_inside(dir, files.paths[i], MAX_PACKAGE_BYTES, &bytes, &why);
    total += bytes.len;
    if (rc != 0)
      err_set(err, rc, "%s: %s", files.paths[i], why.text);
    else if (total > MAX_PACKAGE_BYTES)
      rc = err_set(err, UV_EFBIG, "%s: expected at most 50 MiB in a package", files.paths[i]);
    else if (to)
      rc = write_file(to, files.paths[i], &bytes, err);
    digest(files.paths[i], strlen(files.paths[i]), sum);
    buffer_append(&sums, sum, sizeof sum);
    digest(bytes.bytes ? bytes.bytes : "", bytes.len, sum);
    buffer_append(&sums, sum, sizeof sum);
  }
  if (rc == 0) {
    digest(sums.bytes ? sums.bytes : "", sums.len, sum);
    for (i = 0; i < sizeof sum; i++)
      snprintf(hash + 2 * i, 3, "%02x", sum[i]);
  }
  buffer_free(&sums);
  buffer_free(&bytes);
  free_files(&files);
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
  while (depth < 2 * MAX_FOLDER_DEPTH && (entry = readdir(listing))) {
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
  int rc = walk(dir, NULL, hash, err);
  *path = NULL;
  if (rc == 0)
    rc = make_root(data_dir, err);
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
