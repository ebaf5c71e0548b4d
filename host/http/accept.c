// See accept.h. What is special about Linux stays here: accept4 saves two system calls, and
// accepted sockets inherit TCP_NODELAY from the listening one, which saves a third.
#include "accept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static int take(int listening_fd, struct sockaddr_storage *from, socklen_t *len);
static void write_address(Accepted *accepted, const struct sockaddr_storage *from);

Accepted accept_one(int listening_fd)
{
  Accepted accepted = { .fd = -1 };
  struct sockaddr_storage from;
  socklen_t len = sizeof from;
  do
    accepted.fd = take(listening_fd, &from, &len);
  while (accepted.fd < 0 && errno == EINTR);
  if (accepted.fd < 0)
    accepted.error = errno;
  else
    write_address(&accepted, &from);
  return accepted;
}

#if defined(__linux__)

static int take(int listening_fd, struct sockaddr_storage *from, socklen_t *len)
{
  return accept4(listening_fd, (struct sockaddr *)from, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

#else

static int take(int listening_fd, struct sockaddr_storage *from, socklen_t *len)
{
  int fd = accept(listening_fd, (struct sockaddr *)from, len), on = 1;
  if (fd < 0)
    return fd;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

#endif

static void write_address(Accepted *accepted, const struct sockaddr_storage *from)
{
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    inet_ntop(AF_INET, &v4->sin_addr, accepted->address, sizeof accepted->address);
    accepted->port = ntohs(v4->sin_port);
  } else if (from->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
      inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], accepted->address, sizeof accepted->address);
    else
      inet_ntop(AF_INET6, &v6->sin6_addr, accepted->address, sizeof accepted->address);
    accepted->port = ntohs(v6->sin6_port);
  }
}
