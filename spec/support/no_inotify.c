// Preloaded into a host by specs: while the file NO_INOTIFY_FILE exists inotify is not to be had.
// It begins with 'i' when there is no instance left, with 'w' when there are no watches.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

typedef int Init(int);
typedef int Add(int, const char *, uint32_t);

static char missing(void)
{
  char what = '\0';
  const char *path = getenv("NO_INOTIFY_FILE");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    if (read(fd, &what, 1) != 1)
      what = '\0';
    close(fd);
  }
  return what;
}

int inotify_init1(int flags)
{
  Init *real;
  *(void **)&real = dlsym(RTLD_NEXT, "inotify_init1");
  if (missing() != 'i')
    return real(flags);
  errno = EMFILE;
  return -1;
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
  Add *real;
  *(void **)&real = dlsym(RTLD_NEXT, "inotify_add_watch");
  if (missing() != 'w')
    return real(fd, path, mask);
  errno = ENOSPC;
  return -1;
}
