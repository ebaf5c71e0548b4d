// See own_files.h.
#include "own_files.h"

#include <fcntl.h>
#include <unistd.h>

#include "../base/buffer.h"

static bool is_same(const struct stat *status, int fd)
{
  struct stat own;
  return fstat(fd, &own) == 0 && own.st_dev == status->st_dev && own.st_ino == status->st_ino;
}

bool own_output(const struct stat *status)
{
  return S_ISREG(status->st_mode) &&
         (is_same(status, STDOUT_FILENO) || is_same(status, STDERR_FILENO));
}

// The lock is made before anything else (process/data_lock.c).
bool own_data(int folder, const char *name)
{
  Buffer path = { 0 };
  bool is_own;
  buffer_printf(&path, "%s/moonhook.lock", name);
  is_own = faccessat(folder, path.bytes, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  buffer_free(&path);
  return is_own;
}
