// Small files, read whole. What stands in a package is opened folder by folder with O_NOFOLLOW, so
// that no name, however it is written, leads out of the package: a check of the text alone would
// not see symbolic links, and a check with realpath would look at another moment than the open.
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static const char *reason(int error)
{
  switch (error) {
  case ENOENT:
  case ENOTDIR:
    return "does not exist";
  case EACCES:
  case EPERM:
    return "may not be read";
  case ELOOP:
    return "is a symbolic link";
  case EISDIR:
    return "is a folder";
  default:
    return uv_strerror(-error);
  }
}

// Takes fd. err->text is the reason alone.
static int read_descriptor(int fd, size_t max, Buffer *out, Err *err)
{
  struct stat status;
  ssize_t got = 0;
  size_t before = out->len;
  int rc = 0;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd);
    return err_set(err, UV_EISDIR, "is not a regular file");
  }
  do {
    buffer_reserve(out, 16 * 1024);
    got = read(fd, out->bytes + out->len, 16 * 1024);
    if (got > 0)
      out->len += (size_t)got;
  } while ((got > 0 && out->len - before <= max) || (got < 0 && errno == EINTR));
  if (got < 0)
    rc = err_set(err, -errno, "%s", reason(errno));
  else if (out->len - before > max)
    rc = err_set(err, UV_EFBIG, "is larger than %zu bytes", max);
  close(fd);
  if (rc != 0)
    out->len = before;
  out->bytes[out->len] = '\0';
  return rc;
}

int file_read(const char *path, size_t max, Buffer *out, Err *err)
{
  Err why = { 0 };
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0)
    return err_set(err, -errno, "%s: %s", path, reason(errno));
  if (read_descriptor(fd, max, out, &why) != 0)
    return err_set(err, why.code, "%s: %s", path, why.text);
  return 0;
}

// Opens the next part of `*at` below `folder` (which it closes) and moves `*at` behind it.
static int open_part(int folder, const char **at, Err *err)
{
  char part[NAME_MAX + 1];
  size_t len = strcspn(*at, "/");
  bool is_last = (*at)[len] == '\0';
  int fd, error;
  if (len == 0 || len > NAME_MAX || (len == 1 && (*at)[0] == '.') ||
      (len == 2 && memcmp(*at, "..", 2) == 0)) {
    bool leads_out = len == 2;
    close(folder);
    return err_set(err, UV_EINVAL, leads_out ? "leads out of the package" : "is not a plain path");
  }
  memcpy(part, *at, len);
  part[len] = '\0';
  *at += is_last ? len : len + 1;
  fd = openat(folder, part,
              O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW |
                  (is_last ? 0 : O_DIRECTORY));
  error = errno;
  if (fd < 0 && error == ENOTDIR) { // O_DIRECTORY hides what a symbolic link is
    struct stat status;
    if (fstatat(folder, part, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
      error = ELOOP;
  }
  close(folder);
  return fd >= 0 ? fd : err_set(err, -error, "%s", reason(error));
}

static int open_inside(const char *root, const char *relative, Err *err)
{
  const char *at = relative;
  int fd;
  if (*relative == '/')
    return err_set(err, UV_EINVAL, "is an absolute path");
  if (*relative == '\0')
    return err_set(err, UV_EINVAL, "is empty");
  while (at[0] == '.' && at[1] == '/') // "./x" is what people write
    at += 2;
  fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return err_set(err, -errno, "%s", reason(errno));
  do {
    fd = open_part(fd, &at, err);
  } while (fd >= 0 && *at);
  return fd;
}

int file_read_inside(const char *root, const char *relative, size_t max, Buffer *out, Err *err)
{
  int fd = open_inside(root, relative, err);
  return fd < 0 ? fd : read_descriptor(fd, max, out, err);
}

int file_check_inside(const char *root, const char *relative, Err *err)
{
  struct stat status;
  int fd = open_inside(root, relative, err);
  if (fd < 0)
    return fd;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd);
    return err_set(err, UV_EISDIR,
                   S_ISDIR(status.st_mode) ? "is a folder" : "is not a regular file");
  }
  close(fd);
  return 0;
}
