// Reading a file of the package, and nothing outside it: every step of the path is opened without
// following links, below the package's folder.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

enum { MAX_FILE_BYTES = 50 * 1024 * 1024 };

// Opens root/file; a file descriptor or a negative libuv code.
static int open_below(const char *root, const char *file, Err *err)
{
  char name[256];
  const char *at = file;
  int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW, saved;
  int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (dir >= 0) {
    size_t len = strcspn(at, "/");
    bool is_last = at[len] == '\0';
    int next;
    if (len == 0 || len >= sizeof name || memchr(at, '\\', len) ||
        (len <= 2 && memcmp(at, "..", len) == 0)) {
      close(dir);
      return err_set(err, UV_EINVAL, "%s: expected a path inside the package", file);
    }
    memcpy(name, at, len);
    name[len] = '\0';
    next = openat(dir, name, is_last ? flags : flags | O_DIRECTORY);
    saved = errno;
    close(dir);
    errno = saved;
    dir = next;
    if (is_last)
      break;
    at += len + 1;
  }
  if (dir < 0)
    return err_set(err, uv_translate_sys_error(errno), "%s: %s", file,
                   uv_strerror(uv_translate_sys_error(errno)));
  return dir;
}

int state_read_file(const State *state, const char *file, Buffer *out, Err *err)
{
  const char *root = state_root(state);
  struct stat info;
  ssize_t got = 1;
  int fd;
  if (!root)
    return err_set(err, UV_ENOENT, "%s: no package here", file);
  fd = open_below(root, file, err);
  if (fd < 0)
    return fd;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > MAX_FILE_BYTES) {
    close(fd);
    return err_set(err, UV_EINVAL, "%s: expected a regular file of at most 50 MiB", file);
  }
  while (got > 0) {
    buffer_reserve(out, (size_t)info.st_size + 1 - out->len);
    got = read(fd, out->bytes + out->len, out->cap - out->len - 1);
    if (got > 0)
      out->len += (size_t)got;
    if (out->len > (size_t)info.st_size)
      break; // it grows while we read: a snapshot never does
  }
  close(fd);
  if (got < 0)
    return err_set(err, UV_EIO, "%s: cannot be read", file);
  buffer_reserve(out, 0);
  out->bytes[out->len] = '\0';
  return 0;
}
