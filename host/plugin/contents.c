// See contents.h.
#include "contents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "own_files.h"
#include "package.h"
#include "snapshot.h"

static int list_folder(int fd, const char *prefix, int depth, Contents *contents, Err *err);

// Takes one entry of a folder: a file is added, a folder is entered.
static int list_entry(int folder, const char *prefix, const char *name, int depth,
                      Contents *contents, Err *err)
{
  struct stat status;
  Buffer path = { 0 };
  int rc = 0, fd;
  if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : err_set(err, -errno, "%s%s: %s", prefix, name, strerror(errno));
  if (own_output(&status) || (S_ISDIR(status.st_mode) && own_data(folder, name)))
    return 0;
  buffer_printf(&path, "%s%s", prefix, name);
  if (S_ISDIR(status.st_mode)) {
    buffer_char(&path, '/');
    fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    rc = fd < 0 ? err_set(err, -errno, "%s: %s", path.bytes, strerror(errno))
                : list_folder(fd, path.bytes, depth + 1, contents, err);
  } else if (S_ISLNK(status.st_mode)) {
    rc = err_set(err, UV_ELOOP, "%s: expected a file, got a symbolic link", path.bytes);
  } else if (!S_ISREG(status.st_mode)) {
    rc = err_set(err, UV_EINVAL, "%s: expected a file, got a device, pipe or socket", path.bytes);
  } else if (contents->count == PACKAGE_MAX_FILES) {
    rc = err_set(err, UV_EFBIG, "%s: expected at most %d files in a package", path.bytes,
                 PACKAGE_MAX_FILES);
  } else {
    contents->paths = mem_resize(contents->paths, (contents->count + 1) * sizeof *contents->paths);
    contents->paths[contents->count++] = buffer_take(&path);
  }
  buffer_free(&path);
  return rc;
}

// Takes fd. `prefix` is "" or ends with '/'.
static int list_folder(int fd, const char *prefix, int depth, Contents *contents, Err *err)
{
  DIR *listing = fdopendir(fd);
  struct dirent *entry;
  int rc = 0;
  if (!listing) {
    close(fd);
    return err_set(err, UV_EIO, "%s: cannot be listed", prefix);
  }
  if (depth > PACKAGE_MAX_DEPTH)
    rc = err_set(err, UV_EINVAL, "%s: expected at most %d folders inside each other", prefix,
                 PACKAGE_MAX_DEPTH);
  while (rc == 0 && (entry = readdir(listing))) {
    if (entry->d_name[0] == '.' || (*prefix == '\0' && strcmp(entry->d_name, "spec") == 0))
      continue;
    rc = list_entry(dirfd(listing), prefix, entry->d_name, depth, contents, err);
  }
  closedir(listing);
  return rc;
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static int open_folder(Contents *contents, const char *dir, Err *err)
{
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int rc = fd < 0 ? err_set(err, -errno, "%s: %s", dir, strerror(errno))
                  : list_folder(fd, "", 1, contents, err);
  if (rc == 0 && contents->count > 0)
    qsort(contents->paths, contents->count, sizeof *contents->paths, by_text);
  return rc;
}

static int open_archive(Contents *contents, const char *path, Err *err)
{
  size_t i, count;
  contents->archive = archive_open(path, err);
  if (!contents->archive)
    return err->code;
  count = archive_count(contents->archive);
  contents->paths = mem_zero(count + 1, sizeof *contents->paths);
  contents->entries = mem_zero(count + 1, sizeof *contents->entries);
  for (i = 0; i < count; i++) {
    if (!snapshot_holds(archive_name(contents->archive, i)))
      continue;
    contents->entries[contents->count] = i;
    contents->paths[contents->count++] = mem_string(archive_name(contents->archive, i));
  }
  return 0;
}

int contents_open(Contents *contents, const char *place, Err *err)
{
  int rc;
  *contents = (Contents){ .dir = place };
  rc = archive_is_one(place) ? open_archive(contents, place, err)
                             : open_folder(contents, place, err);
  if (rc != 0)
    contents_close(contents);
  return rc;
}

int contents_read(Contents *contents, size_t index, Buffer *out, Err *err)
{
  Err why = { 0 };
  int rc;
  if (contents->archive)
    return archive_read(contents->archive, contents->entries[index], out, err);
  rc = file_read_inside(contents->dir, contents->paths[index], PACKAGE_MAX_BYTES, out, &why);
  return rc == 0 ? 0 : err_set(err, rc, "%s: %s", contents->paths[index], why.text);
}

void contents_close(Contents *contents)
{
  while (contents->count > 0)
    mem_free(contents->paths[--contents->count]);
  mem_free(contents->paths);
  mem_free(contents->entries);
  if (contents->archive)
    archive_close(contents->archive);
  *contents = (Contents){ 0 };
}

Package *package_read_place(const char *place, Problems *problems)
{
  Package *package = NULL;
  char *dir;
  Err err;
  if (!archive_is_one(place))
    return package_read(place, problems);
  if (snapshot_unpack(place, &dir, &err) != 0)
    problems_add(problems, place, 0, 0, "%s", err.text);
  else
    package = package_read(dir, problems);
  snapshot_discard(dir);
  return package;
}
