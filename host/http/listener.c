// See listener.h.
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "server.h"

enum { BACKLOG = 1024, LOG_PAUSE_MS = 1000, LOOK_AGAIN_MS = 5 };

struct Listener {
  uv_poll_t poll; // first member
  Loop *loop;
  int fd;
  int reserve_fd; // given up for a moment to take and drop a connection; -1: none
  uint64_t logged_ms;
  ListenerEvents events;
  Timer look_again; // while others take what comes
  void (*on_closed)(void *context);
};

static int try_address(const struct addrinfo *address);
static void on_readable(uv_poll_t *poll, int status, int events);
static bool take_one(Listener *listener);
static void turn_away(Listener *listener, int error);
static void on_poll_closed(uv_handle_t *handle);

Listener *listener_new(Loop *loop, int fd, const ListenerEvents *events, Err *err)
{
  Listener *listener = mem_zero(1, sizeof *listener);
  int rc;
  listener->loop = loop;
  listener->fd = fd;
  listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  listener->events = *events;
  rc = uv_poll_init(loop_uv(loop), &listener->poll, fd);
  if (rc < 0) {
    err_set(err, rc, "listen: %s", uv_strerror(rc));
    close(fd);
    close(listener->reserve_fd);
    mem_free(listener);
    return NULL;
  }
  uv_poll_start(&listener->poll, UV_READABLE, on_readable);
  return listener;
}

int http_bound_port(int fd)
{
  struct sockaddr_storage name;
  socklen_t len = sizeof name;
  if (getsockname(fd, (struct sockaddr *)&name, &len) != 0)
    return 0;
  if (name.ss_family == AF_INET6)
    return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
  return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

int listener_port(const Listener *listener)
{
  return http_bound_port(listener->fd);
}

void listener_close(Listener *listener, void (*on_closed)(void *context))
{
  Accepted accepted;
  listener->on_closed = on_closed;
  timer_stop(&listener->look_again);
  // Who is through the kernel's door already is served.
  while ((accepted = accept_one(listener->fd)).fd >= 0)
    listener->events.on_connection(listener->events.context, &accepted);
  uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
  close(listener->fd); // at once: libuv allows it, and clients are refused from here on
}

int http_bind(const char *host, int port, Err *err)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
  struct addrinfo *found, *address;
  char service[16];
  bool is_v6 = strchr(host, ':') != NULL;
  int fd = -1, rc, error = 0;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  snprintf(service, sizeof service, "%d", port);
  rc = getaddrinfo(host, service, &hints, &found);
  if (rc != 0) {
    err_set(err, UV_EINVAL, "bind %s:%d: %s", host, port, gai_strerror(rc));
    return -1;
  }
  for (address = found; address && fd < 0; address = address->ai_next) {
    fd = try_address(address);
    error = errno;
  }
  freeaddrinfo(found);
  if (fd < 0) {
    err_set(err, uv_translate_sys_error(error), is_v6 ? "bind [%s]:%d: %s" : "bind %s:%d: %s", host,
            port, uv_strerror(uv_translate_sys_error(error)));
  }
  return fd;
}

static int try_address(const struct addrinfo *address)
{
  int on = 1, error;
  int fd = socket(address->ai_family, SOCK_STREAM, 0);
  if (fd < 0)
    return -1;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // inherited by accepted sockets
  if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void on_look_again(Timer *timer)
{
  Listener *listener = (Listener *)((char *)timer - offsetof(Listener, look_again));
  uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

// One connection a wake-up, so that other workers get some, too; more after a long turn, because
// wake-ups are rare then.
static void on_readable(uv_poll_t *poll, int status, int events)
{
  Listener *listener = (Listener *)poll;
  uint64_t most = 1 + loop_turn_ms(listener->loop);
  (void)events;
  while (status >= 0 && most-- > 0 && take_one(listener))
    ;
}

// False: no more now.
static bool take_one(Listener *listener)
{
  Accepted accepted;
  if (listener->events.may_accept && !listener->events.may_accept(listener->events.context)) {
    uv_poll_stop(&listener->poll);
    timer_start(listener->loop, &listener->look_again, LOOK_AGAIN_MS, on_look_again);
    return false;
  }
  accepted = accept_one(listener->fd);
  if (accepted.fd >= 0) {
    listener->events.on_connection(listener->events.context, &accepted);
    loop_look_again(listener->loop);
  } else if (accepted.error == EMFILE || accepted.error == ENFILE || accepted.error == ENOBUFS ||
             accepted.error == ENOMEM) {
    turn_away(listener, accepted.error);
  }
  return accepted.fd >= 0;
}

// No descriptor is left. Without the reserve the connection would stay in the queue and wake us
// again at once, for ever.
static void turn_away(Listener *listener, int error)
{
  static const char reply[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                              "Content-Length: 0\r\nConnection: close\r\n\r\n";
  uint64_t now_ms = loop_now_ms(listener->loop);
  Accepted accepted;
  if (listener->reserve_fd >= 0)
    close(listener->reserve_fd);
  accepted = accept_one(listener->fd);
  if (accepted.fd >= 0) {
    send(accepted.fd, reply, sizeof reply - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(accepted.fd, SHUT_WR);
    close(accepted.fd);
  }
  listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (listener->logged_ms && now_ms - listener->logged_ms < LOG_PAUSE_MS)
    return;
  listener->logged_ms = now_ms;
  log_event(LOG_ERROR, error == EMFILE ? "accept EMFILE" : "accept failed",
            LOG_S("reason", strerror(error)));
}

static void on_poll_closed(uv_handle_t *handle)
{
  Listener *listener = (Listener *)handle;
  if (listener->reserve_fd >= 0)
    close(listener->reserve_fd);
  listener->on_closed(listener->events.context);
  mem_free(listener);
}
