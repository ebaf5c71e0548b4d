// A fast fake of an OpenAI-compatible server that only streams: POST /v1/chat/completions.
//
//   upstream PORT
//
// The request's model says how: "burst" sends EVENTS chunks as fast as the socket takes them, BURST
// in a write; "paced" sends one every PACE_MS. A chunk's content holds the time at which it was
// written, "t=<ns> ...", so that whoever reads it at the far end of a relay knows its delay.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  EVENTS = 200, // of one answer, the finish and the usage apart
  BURST = 20,
  PACE_MS = 20,
  MAX_CONNS = 20000,
  REQUEST_BYTES = 65536,
  OUT_BYTES = 16384,
};

typedef enum { READING, BURSTING, PACED } State;

typedef struct {
  int fd;
  State state;
  int sent; // events of the answer under way
  int64_t due_ns;
  bool wants_write;
  size_t in_len, out_len, out_at;
  char in[REQUEST_BYTES + 1];
  char out[OUT_BYTES];
} Conn;

static Conn *conns[MAX_CONNS]; // by descriptor
static int epoll, paced_started;

static int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void conn_free(Conn *conn)
{
  conns[conn->fd] = NULL;
  close(conn->fd);
  free(conn);
}

static void watch(Conn *conn, bool wants_write)
{
  struct epoll_event event = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0),
                               .data.fd = conn->fd };
  if (wants_write != conn->wants_write)
    epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event);
  conn->wants_write = wants_write;
}

// Appends one HTTP chunk with `count` events.
static void put_events(Conn *conn, int count)
{
  char text[OUT_BYTES / 2];
  size_t len = 0;
  int i;
  for (i = 0; i < count; i++)
    len += (size_t)snprintf(
        text + len, sizeof text - len,
        "data: "
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t=%lld a few "
        "words\"},"
        "\"finish_reason\":null}]}\n\n",
        (long long)now_ns());
  conn->out_len += (size_t)snprintf(conn->out + conn->out_len, sizeof conn->out - conn->out_len,
                                    "%zx\r\n%s\r\n", len, text);
  conn->sent += count;
}

static void put_end(Conn *conn)
{
  static const char text[] =
      "data: "
      "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
      "data: "
      "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":200,"
      "\"total_tokens\":209}}\n\n"
      "data: [DONE]\n\n";
  conn->out_len += (size_t)snprintf(conn->out + conn->out_len, sizeof conn->out - conn->out_len,
                                    "%zx\r\n%s\r\n0\r\n\r\n", sizeof text - 1, text);
  conn->state = READING;
}

// False when the connection is gone.
static bool flush(Conn *conn)
{
  while (conn->out_at < conn->out_len) {
    ssize_t n =
        send(conn->fd, conn->out + conn->out_at, conn->out_len - conn->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      watch(conn, true);
      return true;
    }
    if (n < 0) {
      conn_free(conn);
      return false;
    }
    conn->out_at += (size_t)n;
  }
  conn->out_at = conn->out_len = 0;
  watch(conn, false);
  return true;
}

static void run_burst(Conn *conn)
{
  while (flush(conn) && conn->out_len == 0 && conn->state == BURSTING) {
    if (conn->sent < EVENTS)
      put_events(conn, BURST);
    else
      put_end(conn);
  }
}

static void run_paced(int64_t now)
{
  int fd;
  for (fd = 0; fd < MAX_CONNS; fd++) {
    Conn *conn = conns[fd];
    if (!conn || conn->state != PACED || conn->due_ns > now)
      continue;
    conn->due_ns += PACE_MS * 1000000LL;
    put_events(conn, 1);
    if (conn->sent >= EVENTS)
      put_end(conn);
    flush(conn);
  }
}

// Starts an answer when a whole request is there.
static void take_request(Conn *conn)
{
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n";
  char *body, *field;
  size_t body_len;
  conn->in[conn->in_len] = '\0';
  body = strstr(conn->in, "\r\n\r\n");
  if (!body)
    return;
  body += 4;
  field = strcasestr(conn->in, "\r\ncontent-length:");
  body_len = field && field < body ? strtoul(field + 17, NULL, 10) : 0;
  if (conn->in_len < (size_t)(body - conn->in) + body_len)
    return;
  conn->state = memmem(body, body_len, "\"paced\"", 7) ? PACED : BURSTING;
  conn->in_len = 0; // no pipelining here
  conn->sent = 0;
  memcpy(conn->out, head, sizeof head - 1);
  conn->out_len = sizeof head - 1;
  // Streams that started together would be sent together for ever: spread them over the pace.
  conn->due_ns = now_ns() + (int64_t)(paced_started++ % PACE_MS) * 1000000;
  if (conn->state == BURSTING)
    run_burst(conn);
  else
    flush(conn);
}

static void on_readable(Conn *conn)
{
  ssize_t n = recv(conn->fd, conn->in + conn->in_len, REQUEST_BYTES - conn->in_len, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) {
    conn_free(conn);
    return;
  }
  conn->in_len += n > 0 ? (size_t)n : 0;
  if (conn->state == READING)
    take_request(conn);
}

static void on_connection(int listener)
{
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    if (fd >= MAX_CONNS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conns[fd] = calloc(1, sizeof(Conn));
    if (!conns[fd])
      abort();
    conns[fd]->fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static int listen_on(int port)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1024) < 0) {
    perror("upstream: listen");
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv)
{
  struct epoll_event events[256];
  int64_t next_tick = 0;
  int listener, count, i;
  if (argc != 2) {
    fprintf(stderr, "usage: upstream PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  listener = listen_on(atoi(argv[1]));
  events[0] = (struct epoll_event){ .events = EPOLLIN, .data.fd = listener };
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
  for (;;) {
    int64_t now = now_ns();
    if (paced_started > 0 && now >= next_tick) {
      next_tick = now + 1000000;
      run_paced(now);
    }
    count = epoll_wait(epoll, events, 256, paced_started > 0 ? 1 : -1);
    for (i = 0; i < count; i++) {
      Conn *conn = events[i].data.fd == listener ? NULL : conns[events[i].data.fd];
      if (events[i].data.fd == listener)
        on_connection(listener);
      else if (conn && (events[i].events & ~(uint32_t)EPOLLOUT))
        on_readable(conn);
      else if (conn && conn->state == BURSTING)
        run_burst(conn);
      else if (conn)
        flush(conn);
    }
  }
}
