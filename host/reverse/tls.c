// See tls.h. OpenSSL reads from and writes to memory through a BIO of our own, which borrows its
// input instead of keeping a copy: a quiet TLS connection then costs what OpenSSL itself needs.
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/memory.h"

struct Tls {
  Loop *loop;
  SSL_CTX *context; // this and the next: made by the thread
  BIO_METHOD *memory;
  char *ca_file;
  bool is_loading, is_ready;
  char problem[256]; // "" when the certificates were read
  TlsWaiter waiting; // the head of a ring
  uv_work_t work;
  void (*on_closed)(void *context);
  void *closed_context;
};

struct TlsSession {
  SSL *ssl;
  SSL_SESSION **resume;
  Span input;
  Buffer output;
  bool is_established;
  char error[256];
};

// --- the BIO -------------------------------------------------------------------------------------

static int bio_read(BIO *bio, char *to, size_t size, size_t *read)
{
  TlsSession *session = BIO_get_data(bio);
  size_t len = session->input.len < size ? session->input.len : size;
  BIO_clear_retry_flags(bio);
  if (len == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  memcpy(to, session->input.at, len);
  session->input = (Span){ session->input.at + len, session->input.len - len };
  *read = len;
  return 1;
}

static int bio_write(BIO *bio, const char *from, size_t len, size_t *written)
{
  TlsSession *session = BIO_get_data(bio);
  buffer_append(&session->output, from, len);
  *written = len;
  return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *bio_method(void)
{
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "moonhook");
  if (!method)
    abort();
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
  return method;
}

// --- context and certificates --------------------------------------------------------------------

// Where distributions keep all trusted certificates in one file.
static const char *system_bundle(void)
{
  static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // OpenBSD, macOS
  };
  const char *chosen = getenv("SSL_CERT_FILE");
  size_t i;
  if (chosen && *chosen)
    return chosen;
  for (i = 0; i < sizeof places / sizeof *places; i++) {
    if (access(places[i], R_OK) == 0)
      return places[i];
  }
  return NULL;
}

// The peer gave a session that a later connection may resume. 1: we keep the reference.
static int on_new_session(SSL *ssl, SSL_SESSION *fresh)
{
  TlsSession *session = SSL_get_app_data(ssl);
  if (!session->resume)
    return 0;
  SSL_SESSION_free(*session->resume);
  *session->resume = fresh;
  return 1;
}

static SSL_CTX *make_context(void)
{
  static const unsigned char alpn[] = "\x08http/1.1";
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (!context)
    abort();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
  return context;
}

// Waking OpenSSL and reading the certificates takes some 40 ms: a host that calls nobody over TLS
// does without, and one that does goes on serving meanwhile.
static void load_in_thread(uv_work_t *work)
{
  Tls *tls = work->data;
  const char *file = tls->ca_file ? tls->ca_file : system_bundle();
  X509_STORE *store;
  tls->context = make_context();
  tls->memory = bio_method();
  store = SSL_CTX_get_cert_store(tls->context);
  if (file ? X509_STORE_load_file(store, file) != 1 : X509_STORE_set_default_paths(store) != 1)
    snprintf(tls->problem, sizeof tls->problem, "cannot read the trusted certificates%s%s",
             file ? " in " : "", file ? file : "");
  ERR_clear_error();
}

static void tls_free(Tls *tls)
{
  SSL_CTX_free(tls->context);
  BIO_meth_free(tls->memory);
  mem_free(tls->ca_file);
  if (tls->on_closed)
    tls->on_closed(tls->closed_context);
  mem_free(tls);
}

static void on_loaded(uv_work_t *work, int status)
{
  Tls *tls = work->data;
  TlsWaiter waiting = tls->waiting;
  (void)status;
  tls->is_ready = true;
  if (tls->on_closed) {
    tls_free(tls);
    return;
  }
  if (waiting.next == &tls->waiting)
    return;
  waiting.next->prev = waiting.prev->next = &waiting;
  tls->waiting.prev = tls->waiting.next = &tls->waiting;
  while (waiting.next != &waiting) {
    TlsWaiter *waiter = waiting.next;
    tls_cancel(waiter);
    waiter->on_ready(waiter);
  }
}

bool tls_prepare(Tls *tls, TlsWaiter *waiter)
{
  if (tls->is_ready)
    return true;
  waiter->prev = tls->waiting.prev;
  waiter->next = &tls->waiting;
  waiter->prev->next = waiter->next->prev = waiter;
  if (!tls->is_loading) {
    tls->is_loading = true;
    tls->work.data = tls;
    uv_queue_work(loop_uv(tls->loop), &tls->work, load_in_thread, on_loaded);
  }
  return false;
}

void tls_cancel(TlsWaiter *waiter)
{
  if (!waiter->next)
    return;
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  waiter->prev = waiter->next = NULL;
}

const char *tls_problem(const Tls *tls)
{
  return tls->problem[0] ? tls->problem : NULL;
}

Tls *tls_new(Loop *loop, const char *ca_file)
{
  Tls *tls = mem_zero(1, sizeof *tls);
  tls->loop = loop;
  tls->ca_file = mem_string(ca_file);
  tls->waiting.prev = tls->waiting.next = &tls->waiting;
  return tls;
}

static void on_turn(uv_handle_t *handle)
{
  tls_free(handle->data);
  mem_free(handle);
}

void tls_close(Tls *tls, void (*on_closed)(void *context), void *context)
{
  uv_idle_t *turn;
  tls->on_closed = on_closed;
  tls->closed_context = context;
  if (tls->is_loading && !tls->is_ready)
    return; // on_loaded does the rest
  turn = mem_alloc(sizeof *turn);
  uv_idle_init(loop_uv(tls->loop), turn);
  turn->data = tls;
  uv_close((uv_handle_t *)turn, on_turn);
}

// --- a session -----------------------------------------------------------------------------------

TlsSession *tls_session_new(Tls *tls, const char *host, SSL_SESSION **resume)
{
  TlsSession *session = mem_zero(1, sizeof *session);
  BIO *bio = BIO_new(tls->memory);
  X509_VERIFY_PARAM *verify;
  session->ssl = SSL_new(tls->context);
  if (!bio || !session->ssl)
    abort();
  session->resume = resume;
  BIO_set_data(bio, session);
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl, bio, bio);
  SSL_set_app_data(session->ssl, session);
  SSL_set_connect_state(session->ssl);
  verify = SSL_get0_param(session->ssl);
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, host) != 1) { // not an address: a name
    X509_VERIFY_PARAM_set1_host(verify, host, 0);
    SSL_set_tlsext_host_name(session->ssl, host);
  }
  if (resume && *resume)
    SSL_set_session(session->ssl, *resume);
  ERR_clear_error();
  return session;
}

void tls_session_free(TlsSession *session)
{
  if (!session)
    return;
  SSL_free(session->ssl);
  buffer_free(&session->output);
  mem_free(session);
}

void tls_session_feed(TlsSession *session, const char *bytes, size_t len)
{
  session->input = (Span){ bytes, len };
}

static TlsStatus fail(TlsSession *session)
{
  long verdict = SSL_get_verify_result(session->ssl);
  const char *reason = ERR_reason_error_string(ERR_peek_error());
  if (!session->is_established && verdict != X509_V_OK)
    snprintf(session->error, sizeof session->error, "tls_verify: %s",
             X509_verify_cert_error_string(verdict));
  else
    snprintf(session->error, sizeof session->error, "%s: %s",
             session->is_established ? "tls" : "tls_handshake", reason ? reason : "broken");
  ERR_clear_error();
  return TLS_FAILED;
}

// What a result <= 0 of an SSL call means. The error queue was empty before the call.
static TlsStatus judge(TlsSession *session, int result)
{
  switch (SSL_get_error(session->ssl, result)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    return TLS_MORE;
  case SSL_ERROR_ZERO_RETURN:
    return TLS_CLOSED;
  default:
    return fail(session);
  }
}

TlsStatus tls_session_handshake(TlsSession *session)
{
  int rc;
  ERR_clear_error();
  rc = SSL_do_handshake(session->ssl);
  if (rc != 1)
    return judge(session, rc);
  session->is_established = true;
  return TLS_OK;
}

TlsStatus tls_session_read(TlsSession *session, char *bytes, size_t size, size_t *len)
{
  int rc;
  ERR_clear_error();
  rc = SSL_read_ex(session->ssl, bytes, size, len);
  return rc == 1 ? TLS_OK : judge(session, rc);
}

TlsStatus tls_session_write(TlsSession *session, const char *bytes, size_t len)
{
  size_t written;
  int rc;
  if (len == 0)
    return TLS_OK;
  ERR_clear_error();
  rc = SSL_write_ex(session->ssl, bytes, len, &written);
  return rc == 1 ? TLS_OK : fail(session);
}

Buffer *tls_session_output(TlsSession *session)
{
  return &session->output;
}

void tls_session_end(TlsSession *session)
{
  ERR_clear_error();
  if (session->is_established)
    SSL_shutdown(session->ssl);
  ERR_clear_error();
}

const char *tls_session_error(const TlsSession *session)
{
  return session->error;
}
