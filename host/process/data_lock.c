// See data_lock.h. The file holds the pid of who has the lock; it is empty after a clean end.
#include "data_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <uv.h>

#include "../base/buffer.h"
#include "../base/log.h"

static int refuse(int fd, const char *data_dir, Err *err)
{
  char pid[24] = "";
  ssize_t len = pread(fd, pid, sizeof pid - 1, 0);
  pid[len > 0 ? strcspn(pid, "\n") : 0] = '\0';
  close(fd);
  return err_set(err, UV_EBUSY,
                 "data: %s: another moonhook works in it, pid %s (--data names another folder)",
                 data_dir, pid[0] ? pid : "unknown");
}

int data_lock_take(const char *data_dir, bool *was_killed, Err *err)
{
  Buffer path = { 0 };
  char pid[24];
  int fd;
  buffer_printf(&path, "%s/moonhook.lock", data_dir);
  fd = open(path.bytes, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    err_set(err, uv_translate_sys_error(errno), "%s: %s", path.bytes, strerror(errno));
  buffer_free(&path);
  if (fd < 0)
    return err->code;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    return refuse(fd, data_dir, err);
  *was_killed = pread(fd, pid, 1, 0) > 0;
  snprintf(pid, sizeof pid, "%d\n", (int)getpid());
  if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid))
    log_write(LOG_WARN, "the lock does not tell our pid", NULL);
  return fd;
}

void data_lock_drop(int fd, bool is_clean)
{
  if (fd < 0)
    return;
  if (is_clean && ftruncate(fd, 0) != 0)
    log_write(LOG_WARN, "the lock could not be cleaned", NULL);
  close(fd);
}
