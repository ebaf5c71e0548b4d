// See private_file.h.
#include "private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "memory.h"

static int fail(const char *path, const char *what, int error, Err *err)
{
  int code = uv_translate_sys_error(error);
  return err_set(err, code, "%s: %s: %s", path, what, uv_strerror(code));
}

static int check(int fd, const char *path, Err *err)
{
  struct stat status;
  if (fstat(fd, &status) != 0)
    return fail(path, "cannot read the key file", errno, err);
  if (!S_ISREG(status.st_mode))
    return err_set(err, UV_EINVAL, "%s: a key file must be a regular file", path);
  if (status.st_uid != geteuid() && status.st_uid != 0)
    return err_set(err, UV_EPERM, "%s: the key file belongs to another user (uid %u)", path,
                   (unsigned)status.st_uid);
  if (status.st_mode & 077)
    return err_set(err, UV_EPERM,
                   "%s: the key file has mode 0%o, others may use it: make it its owner's alone "
                   "(chmod 600)",
                   path, (unsigned)(status.st_mode & 0777));
  return 0;
}

int private_file_read(const char *path, size_t max, Buffer *out, Err *err)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;
  size_t before = out->len;
  ssize_t got = 0;
  if (fd < 0 && errno == ELOOP)
    return err_set(err, UV_ELOOP, "%s: a key file must not be a symbolic link", path);
  if (fd < 0)
    return fail(path, "cannot read the key file", errno, err);
  rc = check(fd, path, err);
  while (rc == 0) {
    buffer_reserve(out, 4096);
    got = read(fd, out->bytes + out->len, 4096);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      rc = fail(path, "cannot read the key file", errno, err);
    if (got <= 0)
      break;
    out->len += (size_t)got;
    if (out->len - before > max)
      rc = err_set(err, UV_EFBIG, "%s: larger than %zu bytes, this is no key file", path, max);
  }
  close(fd);
  if (rc < 0)
    out->len = before;
  buffer_reserve(out, 1);
  out->bytes[out->len] = '\0';
  return rc;
}

static int write_all(int fd, Span bytes)
{
  while (bytes.len > 0) {
    ssize_t put = write(fd, bytes.at, bytes.len);
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return -1;
    bytes.at += put;
    bytes.len -= (size_t)put;
  }
  return fsync(fd);
}

// So that the new name is there after a crash, too.
static int sync_folder_of(const char *path)
{
  char *folder = mem_string(path), *slash = strrchr(folder, '/');
  int fd, rc;
  if (slash)
    slash[slash == folder] = '\0';
  fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  mem_free(folder);
  if (fd < 0)
    return -1;
  rc = fsync(fd);
  close(fd);
  return rc;
}

int private_file_write(const char *path, Span bytes, Err *err)
{
  Buffer beside = { 0 };
  int fd, rc = 0;
  buffer_printf(&beside, "%s.new", path);
  unlink(beside.bytes); // what a crash left
  fd = open(beside.bytes, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    rc = fail(path, "cannot write the key file", errno, err);
  } else {
    if (write_all(fd, bytes) != 0 || rename(beside.bytes, path) != 0 || sync_folder_of(path) != 0)
      rc = fail(path, "cannot write the key file", errno, err);
    close(fd);
    if (rc < 0)
      unlink(beside.bytes);
  }
  buffer_free(&beside);
  return rc;
}
