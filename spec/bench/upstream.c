// A fast fake of three servers:
//
//   POST /v1/chat/completions  a model of OpenAI's, which streams
//   POST /v1/chat-messages     a chat app of Dify's, which streams
//   POST /v1/embeddings        TEXTS vectors of DIMENSIONS numbers
//
//   upstream PORT
//
// A stream's request says how, by a string of its: "paced" sends an event every PACE_MS, "silent"
// one and no more, all else EVENTS of them as fast as the socket takes them, BURST in a write. An
// event's text holds the time at which it was written, "t=<ns> ...", so that whoever reads it at
// the far end of a relay knows its delay.
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
  OUT_BYTES = 24576,
  TEXTS = 100,
  DIMENSIONS = 384,
};

typedef enum { READING, BURSTING, PACED, SILENT, ANSWERING } State;

typedef struct {
  int fd;
  State state;
  bool is_app; // Dify's, not a model
  int sent;    // events of the answer under way
  int64_t due_ns;
  bool wants_write;
  size_t in_len, out_len, out_at;
  char in[REQUEST_BYTES + 1];
  char out[OUT_BYTES];
} Conn;

static Conn *conns[MAX_CONNS]; // by descriptor
static int epoll, paced_started;
static char *vectors; // the whole answer of /v1/embeddings
static size_t vectors_len;

#define MODEL_EVENT                                                                                \
  "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"  \
  "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t=%lld a few words\"},"  \
  "\"finish_reason\":null}]}\n\n"
#define APP_FIELDS                                                                                 \
  "\"conversation_id\": \"5ad4cb98-f0c7-4085-b384-88c403be6290\", "                                \
  "\"message_id\": \"5ad498f0-0c70-4085-b384-88c403be6290\", \"created_at\": 1679586595, "         \
  "\"task_id\": \"900bbd43-dc0b-4383-a372-aa6e6c414227\", "                                        \
  "\"id\": \"5ad498f0-0c70-4085-b384-88c403be6290\", "
#define APP_EVENT                                                                                  \
  "data: {\"event\": \"message\", " APP_FIELDS                                                     \
  "\"answer\": \"t=%lld a few words\", \"from_variable_selector\": null}\n\n"

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
    len += (size_t)snprintf(text + len, sizeof text - len, conn->is_app ? APP_EVENT : MODEL_EVENT,
                            (long long)now_ns());
  conn->out_len += (size_t)snprintf(conn->out + conn->out_len, sizeof conn->out - conn->out_len,
                                    "%zx\r\n%s\r\n", len, text);
  conn->sent += count;
}

static void put_end(Conn *conn)
{
  static const char app_text[] = "data: {\"event\": \"message_end\", " APP_FIELDS
                                 "\"metadata\": {\"usage\": {\"total_tokens\": 209}}}\n\n";
  static const char model_text[] =
      "data: "
      "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
      "data: "
      "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":200,"
      "\"total_tokens\":209}}\n\n"
      "data: [DONE]\n\n";
  const char *text = conn->is_app ? app_text : model_text;
  conn->out_len += (size_t)snprintf(conn->out + conn->out_len, sizeof conn->out - conn->out_len,
                                    "%zx\r\n%s\r\n0\r\n\r\n", strlen(text), text);
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

// Sends the vectors; out_at counts what is away of them.
static void run_answer(Conn *conn)
{
  while (conn->out_at < vectors_len) {
    ssize_t n = send(conn->fd, vectors + conn->out_at, vectors_len - conn->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      watch(conn, true);
      return;
    }
    if (n < 0) {
      conn_free(conn);
      return;
    }
    conn->out_at += (size_t)n;
  }
  conn->out_at = 0;
  conn->state = READING;
  watch(conn, false);
}

static void make_vectors(void)
{
  char *body = NULL, *text = NULL;
  size_t body_len = 0, len = 0;
  FILE *out = open_memstream(&body, &body_len);
  int i, k;
  fputs("{\"object\":\"list\",\"model\":\"bench-vectors\",\"data\":[", out);
  for (i = 0; i < TEXTS; i++) {
    fprintf(out, "%s{\"object\":\"embedding\",\"index\":%d,\"embedding\":[", i ? "," : "", i);
    for (k = 0; k < DIMENSIONS; k++)
      fprintf(out, "%s%.8f", k ? "," : "", (double)((i * 7919 + k * 104729) % 20011 - 10005) / 2e5);
    fputs("]}", out);
  }
  fputs("],\"usage\":{\"prompt_tokens\":900,\"total_tokens\":900}}", out);
  fclose(out);
  out = open_memstream(&text, &len);
  fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
          body_len, body);
  fclose(out);
  free(body);
  vectors = text;
  vectors_len = len;
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
  conn->in_len = 0; // no pipelining here
  if (strncmp(conn->in, "POST /v1/embeddings", 19) == 0) {
    conn->state = ANSWERING;
    run_answer(conn);
    return;
  }
  conn->is_app = strncmp(conn->in, "POST /v1/chat-messages", 22) == 0;
  conn->state = BURSTING;
  if (memmem(body, body_len, "\"paced\"", 7))
    conn->state = PACED;
  else if (memmem(body, body_len, "\"silent\"", 8))
    conn->state = SILENT;
  conn->sent = 0;
  memcpy(conn->out, head, sizeof head - 1);
  conn->out_len = sizeof head - 1;
  // Streams that started together would be sent together for ever: spread them over the pace.
  if (conn->state == PACED)
    conn->due_ns = now_ns() + (int64_t)(paced_started++ % PACE_MS) * 1000000;
  if (conn->state == SILENT)
    put_events(conn, 1);
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
  make_vectors();
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
      else if (conn && conn->state == ANSWERING)
        run_answer(conn);
      else if (conn)
        flush(conn);
    }
  }
}
