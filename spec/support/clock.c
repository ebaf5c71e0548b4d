// Preloaded into a host by specs: a wall clock that is wrong by as many seconds as the file
// CLOCK_FILE says, from one reading to the next. The monotonic clock is as always.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int Get(clockid_t, struct timespec *);

static long offset(void)
{
  char text[32] = "";
  const char *path = getenv("CLOCK_FILE");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
  if (fd >= 0)
    close(fd);
  return len > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
  Get *get;
  int rc;
  *(void **)&get = dlsym(RTLD_NEXT, "clock_gettime");
  rc = get(clock, now);
  if (clock == CLOCK_REALTIME)
    now->tv_sec += offset();
  return rc;
}

time_t time(time_t *seconds)
{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (seconds)
    *seconds = now.tv_sec;
  return now.tv_sec;
}
