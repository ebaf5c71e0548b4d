// Load where wrk cannot make it: streams whose events are counted, many idle ones, cold starts.
//
//   load stream PORT PATH CONNS SECONDS EVENTS [BODY]   each connection asks again and again;
//                                                       prints counts and delays as JSON
//   load idle PORT PATH CONNS       opens them, prints "ready" when each has its first event, holds
//                                   them until its stdin ends
//   load hold PORT PATH CONNS       the same, and goes on reading what comes
//   load cold PORT PATH COMMAND...  starts the command on core 0, prints the milliseconds until the
//                                   first byte of its first reply, stops it
//
// A reply with another status than 200, or with other than EVENTS events, is an error and counts
// nothing. An event may hold "t=<ns>", the time at which it was written: see upstream.c.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 65536, EVENT_BYTES = 2048, HEAD_BYTES = 4096, MAX_DELAYS = 1 << 20 };

typedef enum { HEAD, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER } State;

typedef struct {
  int fd;
  State state;
  size_t head_len, event_len, chunk_left;
  bool is_last_chunk, was_newline;
  int events; // of the reply under way
  char head[HEAD_BYTES];
  char event[EVENT_BYTES];
} Conn;

static int epoll, port;
static char request[16384];
static size_t request_len;
static int events_wanted; // 0: any
static uint64_t replies, events, bytes, errors;
static uint32_t *delays_us, delay_count;
static bool is_measured; // false while the streams get going

static int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what)
{
  perror(what);
  exit(1);
}

static int dial(void)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    fail("socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    close(fd);
    return -1;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static void send_request(const Conn *conn)
{
  if (send(conn->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
    fail("send");
}

static void take_event(Conn *conn, int64_t now)
{
  const char *at;
  conn->event[conn->event_len] = '\0';
  conn->event_len = 0;
  conn->events++;
  if (!is_measured)
    return;
  events++;
  at = strstr(conn->event, "t=");
  if (at && delay_count < MAX_DELAYS)
    delays_us[delay_count++] = (uint32_t)((now - strtoll(at + 2, NULL, 10)) / 1000);
}

static void take_body(Conn *conn, const char *data, size_t len, int64_t now)
{
  size_t i;
  for (i = 0; i < len; i++) {
    if (data[i] == '\n' && conn->was_newline) {
      take_event(conn, now);
      conn->was_newline = false;
      continue;
    }
    conn->was_newline = data[i] == '\n';
    if (conn->event_len < EVENT_BYTES - 1)
      conn->event[conn->event_len++] = data[i];
  }
}

static void end_reply(Conn *conn)
{
  if (events_wanted && conn->events != events_wanted)
    errors++;
  else if (is_measured)
    replies++;
  conn->events = 0;
  conn->event_len = conn->head_len = 0;
  conn->state = HEAD;
  send_request(conn);
}

// Takes one byte of what stands around the chunks.
static void take_framing(Conn *conn, char byte)
{
  if (conn->head_len < HEAD_BYTES - 1)
    conn->head[conn->head_len++] = byte;
  conn->head[conn->head_len] = '\0';
  if (byte != '\n')
    return;
  if (conn->state == HEAD) {
    if (conn->head_len < 4 || strcmp(conn->head + conn->head_len - 4, "\r\n\r\n") != 0)
      return;
    if (strncmp(conn->head, "HTTP/1.1 200", 12) != 0 ||
        !strcasestr(conn->head, "transfer-encoding: chunked")) {
      fprintf(stderr, "load: not a stream: %.200s\n", conn->head);
      exit(1);
    }
    conn->state = CHUNK_SIZE;
  } else if (conn->state == CHUNK_SIZE) {
    conn->chunk_left = strtoul(conn->head, NULL, 16);
    conn->state = conn->chunk_left ? CHUNK : TRAILER;
  } else if (conn->state == CHUNK_END) {
    conn->state = CHUNK_SIZE;
  } else if (conn->head_len == 2) {
    end_reply(conn);
  }
  conn->head_len = 0;
}

// False when the connection ended.
static bool on_readable(Conn *conn)
{
  static char data[READ_BYTES];
  ssize_t n = recv(conn->fd, data, sizeof data, MSG_DONTWAIT);
  size_t at = 0, len = n > 0 ? (size_t)n : 0;
  int64_t now = now_ns();
  if (n < 0 && errno == EAGAIN)
    return true;
  if (n <= 0)
    return false;
  bytes += len;
  while (at < len) {
    if (conn->state == CHUNK) {
      size_t part = conn->chunk_left < len - at ? conn->chunk_left : len - at;
      take_body(conn, data + at, part, now);
      at += part;
      conn->chunk_left -= part;
      if (conn->chunk_left == 0)
        conn->state = CHUNK_END;
    } else {
      take_framing(conn, data[at++]);
    }
  }
  return true;
}

static Conn *open_conns(int count)
{
  Conn *conns = calloc((size_t)count, sizeof *conns);
  int i;
  if (!conns)
    fail("calloc");
  for (i = 0; i < count; i++) {
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &conns[i] };
    conns[i].fd = dial();
    if (conns[i].fd < 0)
      fail("connect");
    epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event);
    send_request(&conns[i]);
  }
  return conns;
}

// Reads what comes for up to `timeout_ms`.
static void turn(int timeout_ms)
{
  struct epoll_event ready[256];
  int i, count = epoll_wait(epoll, ready, 256, timeout_ms);
  for (i = 0; i < count; i++) {
    Conn *conn = ready[i].data.ptr;
    if (on_readable(conn))
      continue;
    errors++;
    close(conn->fd);
    conn->fd = dial();
    if (conn->fd < 0)
      fail("connect again");
    conn->state = HEAD;
    conn->head_len = conn->event_len = 0;
    conn->events = 0;
    ready[i].events = EPOLLIN;
    epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &ready[i]);
    send_request(conn);
  }
}

static void make_request(const char *path, const char *body)
{
  request_len =
      (size_t)snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       body ? "POST" : "GET", path, body ? strlen(body) : 0, body ? body : "");
}

static int compare(const void *a, const void *b)
{
  uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
  return left < right ? -1 : left > right;
}

static uint32_t delay_at(double share)
{
  return delay_count ? delays_us[(uint32_t)((double)(delay_count - 1) * share)] : 0;
}

static int run_stream(int count, double seconds)
{
  int64_t started, ends;
  open_conns(count);
  ends = now_ns() + 300000000; // get going
  while (now_ns() < ends)
    turn(10);
  is_measured = true;
  started = now_ns();
  printf("started\n"); // the CPU clock of the server is read now
  fflush(stdout);
  ends = started + (int64_t)(seconds * 1e9);
  while (now_ns() < ends)
    turn(10);
  qsort(delays_us, delay_count, sizeof *delays_us, compare);
  printf("{\"seconds\":%.4f,\"replies\":%llu,\"events\":%llu,\"bytes\":%llu,\"errors\":%llu,"
         "\"delay_us\":{\"p50\":%u,\"p99\":%u,\"count\":%u}}\n",
         (double)(now_ns() - started) / 1e9, (unsigned long long)replies,
         (unsigned long long)events, (unsigned long long)bytes, (unsigned long long)errors,
         delay_at(0.5), delay_at(0.99), delay_count);
  return errors > 0;
}

// Whether stdin has ended.
static bool is_over(void)
{
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
  char byte;
  return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static int run_idle(int count, bool goes_on)
{
  Conn *conns = open_conns(count);
  int64_t ends = now_ns() + 20000000000;
  int i = 0;
  char byte;
  while (i < count && now_ns() < ends) {
    turn(10);
    while (i < count && conns[i].events > 0)
      i++;
  }
  if (i < count) {
    fprintf(stderr, "load: %d of %d streams never began\n", count - i, count);
    return 1;
  }
  printf("ready\n");
  fflush(stdout);
  while (goes_on && !is_over())
    turn(10);
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

static int run_cold(char **command)
{
  int64_t started = now_ns(), ends = started + 10000000000;
  int fd = -1;
  char byte;
  pid_t child = fork();
  if (child == 0) {
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(0, &core);
    sched_setaffinity(0, sizeof core, &core);
    execvp(command[0], command);
    fail(command[0]);
  }
  while (fd < 0 && now_ns() < ends) {
    struct timespec pause = { .tv_nsec = 50000 };
    fd = dial();
    if (fd < 0)
      nanosleep(&pause, NULL);
  }
  if (fd < 0 || send(fd, request, request_len, MSG_NOSIGNAL) < 0 || recv(fd, &byte, 1, 0) != 1) {
    fprintf(stderr, "load: %s never answered\n", command[0]);
    kill(child, SIGKILL);
    return 1;
  }
  printf("%.3f\n", (double)(now_ns() - started) / 1e6);
  kill(child, SIGTERM);
  waitpid(child, NULL, 0);
  return 0;
}

int main(int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "";
  epoll = epoll_create1(EPOLL_CLOEXEC);
  delays_us = malloc(MAX_DELAYS * sizeof *delays_us);
  port = argc > 2 ? atoi(argv[2]) : 0;
  if (strcmp(mode, "stream") == 0 && argc >= 7) {
    make_request(argv[3], argc > 7 ? argv[7] : NULL);
    events_wanted = atoi(argv[6]);
    return run_stream(atoi(argv[4]), atof(argv[5]));
  }
  make_request(argc > 3 ? argv[3] : "/", NULL);
  if (strcmp(mode, "idle") == 0 && argc == 5)
    return run_idle(atoi(argv[4]), false);
  if (strcmp(mode, "hold") == 0 && argc == 5)
    return run_idle(atoi(argv[4]), true);
  if (strcmp(mode, "cold") == 0 && argc >= 5)
    return run_cold(argv + 4);
  fprintf(stderr, "usage: load stream|idle|hold|cold PORT PATH ...\n");
  return 2;
}
