// The server as the world outside the room sees it: its connections, its start and its end.
#include "server.h"

#include <assert.h>
#include <endian.h>
#include <unistd.h>

#include "../base/memory.h"
#include "../base/random.h"
#include "conn.h"
#include "listener.h"

// Connections above max_connections that are told so; more are just closed.
enum { REFUSED_AT_ONCE = 64, SPARE_PARSERS = 64 };

static void on_connection(void *context, const Accepted *accepted);
static bool may_accept(void *context);
static void on_listener_closed(void *context);
static void tell_closed(HttpServer *server);
static uint64_t mix(uint64_t x);
static void put_hex(char *at, uint64_t number);

void http_server_set_limits(HttpServer *server, const HttpLimits *limits)
{
  server->limits = *limits;
  server->budget.limit = limits->worker_body_bytes;
}

HttpServer *http_server_new(Loop *loop, int fd, const HttpLimits *limits,
                            const HttpHandler *handler, void *context, Err *err)
{
  HttpServer *server = mem_zero(1, sizeof *server);
  ListenerEvents events = { on_connection, may_accept, server };
  server->loop = loop;
  http_server_set_limits(server, limits);
  server->handler = *handler;
  server->context = context;
  random_source.fill(server->id_seed, sizeof server->id_seed);
  server->listener = listener_new(loop, fd, &events, err);
  if (!server->listener) {
    mem_free(server);
    return NULL;
  }
  return server;
}

void http_server_share(HttpServer *server, bool (*may_accept_now)(const HttpServer *server),
                       _Atomic uint32_t *gauge)
{
  server->may_accept = may_accept_now;
  server->gauge = gauge;
}

void http_server_join(HttpServer *server, int out_fd, int in_fd, _Atomic uint64_t *count)
{
  server->passed_on = count;
  server->passing = passing_new(server->loop, out_fd, in_fd, conn_on_passed, server);
}

void http_server_listen_passed(HttpServer *server, bool is_on)
{
  if (server->passing)
    passing_listen(server->passing, is_on);
}

void http_server_take_passed(HttpServer *server)
{
  if (server->passing)
    passing_take(server->passing);
}

int http_server_port(const HttpServer *server)
{
  return server->listener ? listener_port(server->listener) : 0;
}

uint32_t http_server_connections(const HttpServer *server)
{
  return server->conn_count;
}

void http_server_retire(HttpServer *server)
{
  if (server->is_retiring)
    return;
  server->is_retiring = true;
  listener_close(server->listener, on_listener_closed);
}

void http_server_stop(HttpServer *server, bool is_now, void (*on_closed)(void *context),
                      void *context)
{
  Conn *conn, *next;
  server->on_closed = on_closed;
  server->closed_context = context;
  http_server_retire(server);
  server->is_stopping = true;
  for (conn = server->conns; conn; conn = next) {
    next = conn->next;
    if (is_now)
      conn_break(conn, "server");
    else
      conn_stop(conn);
  }
  tell_closed(server); // after http_server_retire nothing may be left
}

void http_server_free(HttpServer *server)
{
  assert(!server->listener && !server->conns);
  passing_close(server->passing);
  while (server->parsers) {
    RequestParser *parser = server->parsers;
    server->parsers = parser->next;
    mem_free(parser);
  }
  buffer_free(&server->scratch);
  mem_free(server);
}

void server_forget(Conn *conn)
{
  HttpServer *server = conn->server;
  if (conn->prev)
    conn->prev->next = conn->next;
  else
    server->conns = conn->next;
  if (conn->next)
    conn->next->prev = conn->prev;
  server->conn_count--;
  if (server->gauge)
    *server->gauge = server->conn_count;
  tell_closed(server);
}

RequestParser *server_take_parser(HttpServer *server)
{
  RequestParser *parser = server->parsers;
  if (!parser)
    return mem_alloc(sizeof *parser);
  server->parsers = parser->next;
  server->parser_count--;
  return parser;
}

void server_give_parser(HttpServer *server, RequestParser *parser)
{
  if (server->parser_count == SPARE_PARSERS) {
    mem_free(parser);
    return;
  }
  parser->next = server->parsers;
  server->parsers = parser;
  server->parser_count++;
}

// Unique, not secret: a counter stirred into two random numbers of this process.
void server_make_id(HttpServer *server, char id[REQUEST_ID_SIZE])
{
  uint64_t count = ++server->id_count;
  put_hex(id, mix(server->id_seed[0] + count * 0x9e3779b97f4a7c15ull));
  put_hex(id + 16, mix(server->id_seed[1] ^ count));
  id[32] = '\0';
}

static void on_connection(void *context, const Accepted *accepted)
{
  HttpServer *server = context;
  uint32_t most = server->limits.max_connections;
  if (server->conn_count >= most + REFUSED_AT_ONCE)
    close(accepted->fd);
  else
    conn_new(server, accepted->fd, accepted->address, accepted->port, server->conn_count >= most);
  if (server->gauge)
    *server->gauge = server->conn_count;
}

static bool may_accept(void *context)
{
  HttpServer *server = context;
  return !server->may_accept || server->may_accept(server);
}

static void on_listener_closed(void *context)
{
  HttpServer *server = context;
  server->listener = NULL;
  tell_closed(server);
}

static void tell_closed(HttpServer *server)
{
  if (server->on_closed && !server->listener && !server->conns)
    server->on_closed(server->closed_context);
}

// The finalizer of splitmix64.
static uint64_t mix(uint64_t x)
{
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Sixteen hex digits, eight at a time: this runs for every request.
static void put_hex(char *at, uint64_t number)
{
  const uint64_t ones = ~(uint64_t)0 / 255;
  int i;
  for (i = 0; i < 2; i++) {
    uint64_t text = i ? number & UINT32_MAX : number >> 32; // then a digit in each byte
    text = (text | text << 16) & 0x0000ffff0000ffff;
    text = (text | text << 8) & 0x00ff00ff00ff00ff;
    text = (text | text << 4) & ones * 15;
    text += ones * '0' + (((text + ones * 6) >> 4) & ones) * ('a' - '0' - 10);
    text = htobe64(text); // the first digit first
    memcpy(at + 8 * i, &text, 8);
  }
}
