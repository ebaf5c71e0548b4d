// A wire: one outgoing connection, TCP or TLS, straight or through a proxy. It carries plain bytes
// for whoever owns it at the moment and knows nothing of HTTP but the CONNECT that a proxy wants.
#ifndef MOONHOOK_REVERSE_WIRE_H
#define MOONHOOK_REVERSE_WIRE_H

#include "../base/loop.h"
#include "policy.h"
#include "proxy.h"
#include "resolver.h"
#include "tls.h"
#include "url.h"

// What all wires of a client share.
typedef struct Net {
  Loop *loop;
  Resolver *resolver;
  Tls *tls;
  Proxy proxy;
  char *read_buffer,
      *plain_buffer; // of WIRE_READ_BYTES each; their content is gone after a callback
  uint32_t sockets;  // that are not closed yet
  void (*on_no_sockets)(struct Net *net); // may be NULL; called when the last one is closed
} Net;

enum { WIRE_READ_BYTES = 64 * 1024 };

// Where a wire leads.
typedef struct {
  Url url; // host, port, is_tls; no target
  bool has_proxy;
  Policy *policy;       // where it may lead; NULL: anywhere
  SSL_SESSION *session; // to resume; NULL at first
} Route;

typedef struct Wire Wire;

// Called from the loop only, never from within a function below. The owner may close the wire in
// any of them.
typedef struct {
  void (*on_open)(Wire *wire);
  void (*on_bytes)(Wire *wire, const char *bytes, size_t len); // borrowed
  // The end, once. UV_EOF: the peer closed properly; else `text` tells, beginning with its exact
  // code
  // ("connect_refused: ...").
  void (*on_end)(Wire *wire, int code, const char *text);
  void (*on_drain)(Wire *wire); // may be NULL: some of what waited for the socket was sent
} WireEvents;

// Begins to connect; never NULL. `route` must outlive the wire. An open wire is read at once.
Wire *wire_new(Net *net, Route *route, const WireEvents *events, void *owner);
void wire_free(Wire *wire);                                        // closes the socket at once
void wire_give(Wire *wire, const WireEvents *events, void *owner); // to a new owner
void *wire_owner(const Wire *wire);
// Sends what the socket takes, keeps a copy of the rest. Returns 0, or an error when the wire
// turned out to be broken; wire_has_sent tells whether the kernel ever took a byte of what was
// written.
int wire_write(Wire *wire, const char *bytes, size_t len);
bool wire_has_sent(const Wire *wire);
void wire_forget_sent(Wire *wire);      // before the next request on it
size_t wire_unsent(const Wire *wire);   // bytes that wait for the socket
void wire_read(Wire *wire, bool is_on); // off: the kernel's buffer fills, the peer has to wait
bool wire_is_alive(const Wire *wire);   // asks the kernel whether the peer has closed it meanwhile

#endif
