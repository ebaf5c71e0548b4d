// Preloaded into a host by specs: while the file NO_PORTS_FILE exists there is no port to connect
// from.
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int Connect(int, const struct sockaddr *, socklen_t);

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
  const char *path = getenv("NO_PORTS_FILE");
  Connect *real;
  *(void **)&real = dlsym(RTLD_NEXT, "connect");
  if (path && access(path, F_OK) == 0) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  return real(fd, address, len);
}
