// systemd, where it is there: the sockets that it opened for us, and what we tell it.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>

#include "master_parts.h"

enum { FIRST_FD = 3 };

static bool is_for_us(const char *variable)
{
  const char *pid = getenv(variable);
  return pid && strtol(pid, NULL, 10) == getpid();
}

// Takes the next name of a list "public:admin"; false at its end.
static bool next_name(const char **list, char *name, size_t size)
{
  size_t len;
  if (!*list)
    return false;
  len = strcspn(*list, ":");
  snprintf(name, size, "%.*s", (int)len, *list);
  *list = (*list)[len] == ':' ? *list + len + 1 : NULL;
  return true;
}

bool notify_take_sockets(Sockets *sockets)
{
  const char *count_text = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
  int count = count_text ? atoi(count_text) : 0, i;
  char name[64];
  if (!is_for_us("LISTEN_PID") || count < 2)
    return false;
  for (i = 0; i < count; i++) {
    int fd = FIRST_FD + i;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!next_name(&names, name, sizeof name))
      name[0] = '\0';
    if (strcmp(name, "admin") == 0 || (strcmp(name, "public") != 0 && i == 1))
      sockets->admin_fd = fd;
    else if (strcmp(name, "public") == 0 || i == 0)
      sockets->public_fd = fd;
  }
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  return sockets->public_fd >= 0 && sockets->admin_fd >= 0;
}

void notify_send(const char *state)
{
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct timeval patience = { .tv_usec = 200000 }; // while it has no room for more
  size_t len = path ? strlen(path) : 0;
  int fd;
  if (len == 0 || len >= sizeof address.sun_path)
    return;
  memcpy(address.sun_path, path, len);
  if (path[0] == '@')
    address.sun_path[0] = '\0'; // an abstract one
  fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
  close(fd);
}

uint32_t notify_watchdog_ms(void)
{
  const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  unsigned long long us = text ? strtoull(text, NULL, 10) : 0;
  if (us == 0 || (pid && !is_for_us("WATCHDOG_PID")))
    return 0;
  return us / 2000 > 1 ? (uint32_t)(us / 2000) : 1; // twice as often as asked for
}
