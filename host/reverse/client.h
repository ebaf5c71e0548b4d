// The outgoing HTTP client: one exchange at a time per connection, keep-alive pool, TCP and TLS,
// decoders from bytes to pieces, timeouts, retries, cancellation, back-pressure. No Lua.
#ifndef MOONHOOK_REVERSE_CLIENT_H
#define MOONHOOK_REVERSE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/header_list.h"
#include "../base/loop.h"
#include "../base/stream.h"
#include "backend.h"
#include "policy.h"

typedef struct Client Client;

typedef struct {
  uint32_t connect_ms;    // 5 s, name look-up, TCP and TLS together
  uint32_t first_byte_ms; // 60 s from the sent request to the reply's head
  uint32_t idle_ms;       // 60 s between pieces
  uint32_t total_ms;      // 0: none
} ClientTimes;

typedef struct {
  const char *ca_file; // NULL: the system's; else a PEM bundle that replaces it
} ClientConfig;

typedef struct {
  const char *method;
  const char *url;           // absolute, http or https
  const HeaderList *headers; // may be NULL; Host, Content-Length, Accept-Encoding are the client's
  const void *body;          // copied
  size_t body_len;
  BodyDecoder decoder; // of a 2xx reply; any other reply comes whole, as one piece of at most 1 MiB
  bool is_raw;         // the decoder is for every reply, whatever its status and content encoding
  bool streams_body;   // the body comes by client_send; `body` is not looked at
  Policy *policy;      // where the call may go; NULL: anywhere
  ClientTimes times;   // client_times_default()
  bool may_repeat;
  const char *kind; // for /metrics, static: "llm"; NULL: "http"
} ClientCall;

ClientTimes client_times_default(void);
Client *client_new(Loop *loop, const ClientConfig *config, Err *err);
// Closes pooled connections; every stream must have been closed. on_closed from the loop.
void client_close(Client *client, void (*on_closed)(void *context), void *context);

// Starts the exchange; never NULL. Nothing blocks; failures come as STREAM_ERROR with the codes
// upstream_error, upstream_timeout, and more exact ones behind it in the message:
// connect_refused, dns, tls_verify, upstream_protocol, upstream_truncated, event_too_large, and
// those of frame.h.
// head: the HTTP status. Pieces: BODY_SSE: an event's data (other fields of an event: see
// client_event_name); BODY_FRAMES: a frame's data; BODY_WHOLE: the body; BODY_BYTES: as they come.
// A reply to a BODY_SSE call that calls itself JSON comes whole: some servers put an error there,
// or ignore that they were to stream.
//
// More codes: blocked_address (see policy.h) and upstream_unavailable (see breaker.h; the error has
// retry_after_s).
//
// The socket is read only as far as the stream is: with 64 KiB waiting, the peer has to wait as
// well. A stream that is closed before its end takes its socket with it, at once, unless the
// reply's end is among the bytes that have arrived.
Stream *client_open(Client *client, const ClientCall *call);
// Makes a call that nobody waits for: its answer is thrown away, and it is given up after
// CLIENT_NOTIFY_MS, or when the client is closed.
void client_notify(Client *client, const ClientCall *call);
enum { CLIENT_NOTIFY_MS = 2000 };
// After the head, before the first read: cuts the body in another way.
void client_decode(Stream *stream, BodyDecoder decoder);
const char *client_event_name(Stream *stream); // of the last SSE piece; "" when it had none
const char *client_event_id(Stream *stream);   // the last that the stream has told, or ""
const HeaderList *client_reply_headers(Stream *stream); // after head; NULL before

// --- a body that is streamed ---------------------------------------------------------------------

typedef enum {
  CLIENT_ROOM, // more may be sent
  CLIENT_FULL, // enough is waiting for the socket; on_ready will be called once
  CLIENT_OVER, // nothing more is wanted: the call failed, or was answered before its end
} ClientRoom;

ClientRoom client_send(Stream *stream, const void *bytes, size_t len); // copies; not after FULL
ClientRoom client_room(Stream *stream);
void client_send_end(Stream *stream); // the body is complete

#endif
