// The HTTP/1.1 and 1.0 server: bytes to a Request, and a reply back to bytes. It knows neither
// plugins nor Lua; what a request means is decided by the handler that it is given.
//
// A connection handles one request at a time. Bytes that arrive behind it are kept (up to 64 KiB,
// then the socket is not read) and parsed when its reply is complete, so replies leave in order.
// Everything written in one turn leaves in one write, at the end of the turn.
#ifndef MOONHOOK_HTTP_SERVER_H
#define MOONHOOK_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/header_list.h"
#include "../base/loop.h"

typedef struct HttpServer HttpServer;
typedef struct Request Request;

// Limits and times; http_limits_default() gives the documented ones.
typedef struct {
  uint32_t target_bytes;          // 8 KiB: 414
  uint32_t head_bytes;            // 32 KiB of header lines together: 431
  uint32_t header_count;          // 100: 431
  uint64_t body_bytes;            // 10 MiB: 413
  uint64_t worker_body_bytes;     // 256 MiB of bodies being buffered at once: 503
  uint32_t chunk_extension_bytes; // 4 KiB per message: 400
  uint32_t unsent_bytes;          // 64 KiB: the high-water mark of request_wants_more
  uint32_t head_ms;               // 10 s from the first byte of a head to its end: 408
  uint32_t body_ms;               // 30 s without progress in a body, or slower than 500 B/s: 408
  uint32_t idle_ms;               // 75 s between requests: closed
  uint32_t stalled_ms;            // 30 s without the client reading anything: reset
  uint32_t max_connections;       // 10000: above it 503 and close
} HttpLimits;

HttpLimits http_limits_default(void);
void http_parser_version(char *text, size_t size); // "9.2.1", of llhttp

typedef struct {
  // The head is complete, no body byte was buffered yet. The handler may reply at once (the body is
  // then never read: the connection closes after the reply if a body was announced), or set
  // request->body_limit.
  void (*on_head)(void *context, Request *request);
  // The body is complete too. Not called when on_head replied.
  void (*on_request)(void *context, Request *request);
  // Unsent bytes fell below the high-water mark again, after request_wants_more said no.
  void (*on_drain)(void *context, Request *request);
  // The request is over and will be freed when this returns: the reply is complete and flushed to
  // the kernel's hands (is_complete), or the connection broke, the client left or timed out.
  // Called exactly once for every request that on_head has seen. `ended_by`: "reply", "client",
  // "timeout", "server" (shutdown, abort).
  void (*on_over)(void *context, Request *request, bool is_complete, const char *ended_by);
  // At the end of a turn: how many bytes of the reply wait for the client to read, when that
  // changed since it was last told. Not told when the request is over: then none do. May be NULL.
  void (*on_unsent)(void *context, Request *request, size_t bytes);
} HttpHandler;

enum { REQUEST_ID_SIZE = 65 };

struct Request {
  // What came, valid until on_over returns. Spans are not NUL-terminated.
  Span method; // upper case as sent
  Span target; // raw, as sent (absolute-form included)
  Span path;   // raw path part, starts with '/'; "*" for OPTIONS *
  Span query;  // raw, without '?'; at == NULL when there was no '?'
  Span host;   // of an absolute target, else of the Host header; empty for HTTP/1.0 without one
  HeaderList headers;
  Buffer body;
  char remote_addr[46]; // address without port
  uint16_t remote_port;
  uint8_t version_minor; // 0 or 1
  bool is_head;          // HEAD: the body of the reply is counted but not sent
  bool has_body;         // one was announced
  uint64_t body_limit;   // set by on_head; limits.body_bytes at first
  uint64_t started_us;   // monotonic, first byte of the head
  // The request's id: 32 hex digits, made by the server. on_head may put another in its place, of
  // letters, digits, '.', '_' and '-'.
  char id[REQUEST_ID_SIZE];
  // For the handler alone.
  void *user;
  // For log lines, kept by the server.
  int status;             // of the reply, 0 before
  uint64_t bytes_out;     // of the reply's body
  uint64_t first_byte_us; // monotonic, when the head was written; 0 before
};

// --- replying ------------------------------------------------------------------------------------
// `headers` may be NULL. The server adds Date, Connection, Content-Length or Transfer-Encoding, and
// X-Request-Id; fields of these names (and Keep-Alive, Trailer, Upgrade, TE, Proxy-Connection) in
// `headers` are dropped. Status 204 and 304, and HEAD, never carry body bytes; 204 and 304 carry no
// framing headers. Names and values must have been checked (header_is_valid).

// A whole reply.
void reply_full(Request *request, int status, const HeaderList *headers, const void *body,
                size_t len);
// {"error":{"code":...,"message":...,"request_id":...}} as application/json; `headers` may be NULL.
void reply_error(Request *request, int status, const char *code, const char *message,
                 const HeaderList *headers);
// A streamed reply: head, pieces, end. Chunked in HTTP/1.1, until close in HTTP/1.0. `length` is
// the body's length when it is known beforehand, else -1.
void reply_begin(Request *request, int status, const HeaderList *headers, int64_t length);
void reply_piece(Request *request, const void *bytes, size_t len); // len 0: nothing
void reply_end(Request *request);
// Ends a begun reply without its last chunk, so that it never looks finished; flushes what was
// written, then closes. Without a begun reply: closes the connection.
void reply_abort(Request *request);
// In on_head, in place of a reply: the connection goes on in another process, this request's head
// first, and on_over is not called here; on_head is called again if none took it at once. If none
// takes it for some seconds the reply is a 503. False: there is no other process.
bool request_pass_on(Request *request);
// Whether the client closed its side, be it that nobody has read so far: asks the socket.
bool request_has_left(const Request *request);
// False when the client should drain first; then on_drain follows. `is_pressed`: all of it, as
// there is no memory for more.
bool request_wants_more(Request *request, bool is_pressed);
// What on_unsent tells, at once; it counts as told.
size_t request_unsent_bytes(Request *request);

// RFC 9110: a token for the name; no control characters but tab in the value.
bool header_is_valid(Span name, Span value);

// --- serving -------------------------------------------------------------------------------------

// A socket that listens on host:port (port 0: any). The error text is "bind HOST:PORT: reason", the
// code UV_EADDRINUSE for a port that is taken.
int http_bind(const char *host, int port, Err *err);
int http_bound_port(int fd); // 0: it is none

// Serves what comes to the listening socket `fd`, which it takes: it is closed after an error, too.
HttpServer *http_server_new(Loop *loop, int fd, const HttpLimits *limits,
                            const HttpHandler *handler, void *context, Err *err);
// Other limits from now on, for the connections that there are, too.
void http_server_set_limits(HttpServer *server, const HttpLimits *limits);
// Shares the socket with other processes: `may_accept` (NULL: always) says whether the next
// connection is for this one, `gauge` is kept at the number of its connections.
void http_server_share(HttpServer *server, bool (*may_accept)(const HttpServer *server),
                       _Atomic uint32_t *gauge);
// The two ends of the pair of datagram sockets through which processes pass connections on; they
// stay open until after http_server_free.
// `count` is raised by each that goes away.
void http_server_join(HttpServer *server, int out_fd, int in_fd, _Atomic uint64_t *count);
// Takes what others pass on. Say it again from time to time: it pauses without free descriptors.
void http_server_listen_passed(HttpServer *server, bool is_on);
void http_server_take_passed(HttpServer *server); // what they have passed on up to now
int http_server_port(const HttpServer *server);   // 0: it listens no more
uint32_t http_server_connections(const HttpServer *server);
// Stops accepting; idle connections stay, and each closes after its next reply.
void http_server_retire(HttpServer *server);
// Stops accepting and closes idle connections now. Active ones close after their reply. on_closed
// is called (from the loop) when the last is gone; with is_now they are broken at once.
void http_server_stop(HttpServer *server, bool is_now, void (*on_closed)(void *context),
                      void *on_closed_context);
void http_server_free(HttpServer *server); // after on_closed

#endif
