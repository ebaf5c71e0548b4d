// TLS for outgoing connections. One context per client, its trusted certificates read in the thread
// pool when the first https call needs them. A session turns cipher text into plain text and back;
// it owns no socket and does no input or output of its own.
#ifndef MOONHOOK_REVERSE_TLS_H
#define MOONHOOK_REVERSE_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/loop.h"

// --- the context ---------------------------------------------------------------------------------

typedef struct Tls Tls;

// Somebody who waits for the certificates; lives inside its owner. Zero-initialise.
typedef struct TlsWaiter {
  struct TlsWaiter *prev, *next;
  void (*on_ready)(struct TlsWaiter *waiter);
} TlsWaiter;

Tls *tls_new(Loop *loop, const char *ca_file); // ca_file NULL: the system's
// on_closed from the loop. Every session must be gone.
void tls_close(Tls *tls, void (*on_closed)(void *context), void *context);
// Starts reading the certificates unless that happened. True: they are there, or could not be read
// (tls_problem says so); false: on_ready will come.
bool tls_prepare(Tls *tls, TlsWaiter *waiter);
void tls_cancel(TlsWaiter *waiter);      // no effect when not waiting
const char *tls_problem(const Tls *tls); // NULL when the certificates are there

// --- a session -----------------------------------------------------------------------------------

typedef struct TlsSession TlsSession;

typedef enum {
  TLS_OK,     // go on
  TLS_MORE,   // all input is used up, nothing more to read
  TLS_CLOSED, // the peer ended the session properly
  TLS_FAILED, // see tls_session_error
} TlsStatus;

// A session with `host` (a name or an address), which its certificate must name. `*resume` holds
// the session to resume, or NULL; it is replaced as the peer sends newer ones, and must outlive
// this.
TlsSession *tls_session_new(Tls *tls, const char *host, SSL_SESSION **resume);
void tls_session_free(TlsSession *session);
// Gives it cipher text, borrowed until the next tls_session_read that says TLS_MORE.
void tls_session_feed(TlsSession *session, const char *bytes, size_t len);
TlsStatus tls_session_handshake(TlsSession *session); // TLS_OK: done
TlsStatus tls_session_read(TlsSession *session, char *bytes, size_t size, size_t *len);
TlsStatus tls_session_write(TlsSession *session, const char *bytes,
                            size_t len);         // takes all or fails
Buffer *tls_session_output(TlsSession *session); // cipher text to be sent; the caller clears it
void tls_session_end(TlsSession *session);       // puts a close_notify into the output
// "tls_verify: ..." when the certificate was refused, else "tls_handshake: ..." or "tls: ...".
const char *tls_session_error(const TlsSession *session);

#endif
