// The inside of the room: one client's connection and the server that it belongs to. Handlers see
// server.h only.
#ifndef MOONHOOK_HTTP_CONN_H
#define MOONHOOK_HTTP_CONN_H

#include "../base/buffer.h"
#include "../base/loop.h"
#include "limits.h"
#include "passing.h"
#include "request.h"
#include "server.h"

enum {
  READ_BUFFER_BYTES = 64 * 1024, // one for all connections of a server
  KEPT_INPUT_BYTES = 64 * 1024,  // pipelined bytes above which a socket is not read
};

typedef struct Conn Conn;
typedef struct Hangup Hangup;     // hangup.h
typedef struct Listener Listener; // listener.h

typedef enum {
  CONN_IDLE,    // no byte of the next request came yet
  CONN_HEAD,    // some of its head
  CONN_BODY,    // on_head was called, the body is coming
  CONN_REPLY,   // the request is complete (or refused); the reply is made and sent
  CONN_PASSING, // another process shall go on with it, and has no room yet; the socket is not read
  CONN_LINGER,  // our side is shut down; input is thrown away until the client closes too
  CONN_CLOSING, // uv_close was called
} ConnPhase;

// How the end of the reply's body is told.
typedef enum { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_NO_BODY } Framing;

struct Conn {
  uv_tcp_t tcp; // first member
  HttpServer *server;
  Conn *prev, *next; // of the server's
  Cork cork;
  Timer timer;           // the one of the connection; `phase` says what for
  RequestParser *parser; // while a request is read; else NULL
  Request request;
  Buffer out;  // not yet given to the socket
  Buffer kept; // input behind the request at hand, from kept_at on
  size_t kept_at;
  Hangup *hangup;       // while the socket is not read; else NULL
  const char *ended_by; // for on_over; NULL: "reply"
  uint64_t since_ms;    // when the phase began
  uint64_t progress_ms; // when the client last sent body bytes, or took bytes of the reply
  uint64_t passing_ms;  // since when it waits to be passed on; 0: it does not
  uint64_t taken_bytes; // that the client had taken then
  uint64_t sent_bytes;  // given to the socket, the queue of libuv included
  size_t told_bytes;    // that the handler was told to be unsent
  size_t drain_bytes;   // unsent, when wants_drain is answered
  int64_t length_left;  // FRAMING_LENGTH: bytes that the reply still owes
  uint8_t phase;        // ConnPhase
  uint8_t framing;      // Framing
  bool keeps_alive;     // the client wants the connection to go on after this reply
  bool is_seen;         // on_head was called, on_over was not
  bool has_begun;       // the reply's head was written
  bool is_done;         // the reply is written to its end
  bool is_aborted;      // ... or never will be
  bool is_last;         // the connection ends with this reply
  bool is_broken;       // the socket refused bytes
  bool is_passed_on;    // on_head wants it in another process
  bool is_paused;       // the socket is not read: enough input is kept
  bool is_watched;      // for a client that does not read
  bool is_trimmed;      // while idle: spare memory was given back
  bool ignores_input;   // nothing behind this request is ever parsed
  bool wants_drain;     // request_wants_more said no
  bool is_eof;          // the client will send no more
  bool had_last_turn;   // the handler had a turn to reply since then
};

struct HttpServer {
  Loop *loop;
  HttpLimits limits;
  HttpHandler handler;
  void *context;
  BodyBudget budget;
  Conn *conns;
  uint32_t conn_count;
  Listener *listener; // NULL when it is closed
  bool is_retiring;   // takes no more connections, and none is kept after its next reply
  bool is_stopping;   // idle connections are closed, too
  bool (*may_accept)(const HttpServer *server);
  _Atomic uint32_t *gauge;     // NULL: nobody looks
  Passing *passing;            // NULL: there is no other process
  _Atomic uint64_t *passed_on; // through it
  void (*on_closed)(void *context);
  void *closed_context;
  uint64_t id_seed[2], id_count; // request ids
  Buffer scratch;                // error bodies are made here
  RequestParser *parsers;        // that are not in use
  uint32_t parser_count;
  char read_buffer[READ_BUFFER_BYTES];
};

// --- conn.c --------------------------------------------------------------------------------------

// Takes the socket. `is_refused`: answers 503 and closes. It may be closing when this returns.
Conn *conn_new(HttpServer *server, int fd, const char *remote_addr, uint16_t remote_port,
               bool is_refused);
// Breaks it now; on_over is told when a request is at hand.
void conn_break(Conn *conn, const char *ended_by);
void conn_stop(Conn *conn); // the server stops: closes it if idle, else after its reply
// Gives the socket what was written and `len` bytes more, at once as far as it takes them.
void conn_send(Conn *conn, const void *bytes, size_t len);
size_t conn_unsent_bytes(const Conn *conn);
void conn_cork(Conn *conn); // there is something to flush at the end of the turn

void conn_over(Conn *conn, bool is_complete, const char *ended_by); // tells the handler, once
void conn_close(Conn *conn, bool is_reset);

// --- conn_input.c --------------------------------------------------------------------------------

int conn_start_reading(Conn *conn);
void conn_drop_parser(Conn *conn); // the request at hand is read, or will not be
void conn_feed_kept(Conn *conn);   // parses what was kept
void conn_resume_reading(Conn *conn);

// --- conn_pass.c ---------------------------------------------------------------------------------

// Passes it on, from the head of the request at hand; `rest` was read behind that.
void conn_pass(Conn *conn, const char *rest, size_t len);
void conn_pass_again(Conn *conn);                      // in CONN_PASSING, after a while
void conn_on_passed(void *server, PassedConn *passed); // one came from another process

// --- conn_time.c ---------------------------------------------------------------------------------

void conn_wait_idle(Conn *conn);
void conn_watch_reader(Conn *conn, size_t unsent); // starts, feeds and ends the watch over a client
                                                   // that does not read
void conn_on_timer(Timer *timer);

// --- reply.c -------------------------------------------------------------------------------------

// Writes the server's own refusal as a reply.
void reply_refusal(Conn *conn, const Refusal *refusal);

// --- server.c ------------------------------------------------------------------------------------

void server_make_id(HttpServer *server, char id[REQUEST_ID_SIZE]); // a request id
RequestParser *server_take_parser(HttpServer *server);             // to be initialised
void server_give_parser(HttpServer *server, RequestParser *parser);
void server_forget(Conn *conn); // the connection is closed for good; frees nothing

#endif
