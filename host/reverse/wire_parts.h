// What wire.c and dial.c share, and nobody else sees.
#ifndef MOONHOOK_REVERSE_WIRE_PARTS_H
#define MOONHOOK_REVERSE_WIRE_PARTS_H

#include "wire.h"

// A TCP handle with its own life: it outlasts its wire until libuv has closed it.
typedef struct Socket {
  uv_tcp_t tcp;
  Net *net;
  Wire *wire; // NULL once the wire let go of it
  Wire *dead; // freed together with the socket
} Socket;

typedef struct Dial Dial;

struct Wire {
  Net *net;
  Route *route;
  const WireEvents *events;
  void *owner;
  Socket *socket; // NULL while the name is looked up
  Dial *dial;     // NULL once open
  TlsSession *tls;
  bool wants_read, is_freed, has_ended, has_sent;
};

// wire.c
int wire_send_raw(Wire *wire, const char *bytes, size_t len);
int wire_flush_tls(Wire *wire);
void wire_start_reading(Wire *wire);
void wire_end(Wire *wire, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void wire_take_bytes(Wire *wire, const char *bytes, size_t len); // raw ones, of an open wire
void wire_drain_tls(Wire *wire); // hands on what the TLS session was fed
Socket *socket_new(Wire *wire);
void socket_close(Socket *socket);

// dial.c
void dial_start(Wire *wire);
void dial_free(Dial *dial); // NULL is fine
void dial_take_bytes(Wire *wire, const char *bytes, size_t len);
void dial_ended(Wire *wire, int code); // the peer closed while we were not open yet

#endif
