// See wire.h. This file moves bytes over an open wire; dial.c opens it.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../base/memory.h"
#include "wire_parts.h"

enum { KEEPALIVE_S = 60 };

typedef struct {
  uv_write_t req; // first member: on_written casts back, then frees the block
  char bytes[];   // what the socket did not take at once
} Write;

// --- the socket ----------------------------------------------------------------------------------

Socket *socket_new(Wire *wire)
{
  Socket *socket = mem_zero(1, sizeof *socket);
  socket->net = wire->net;
  socket->wire = wire;
  uv_tcp_init(loop_uv(wire->net->loop), &socket->tcp);
  socket->tcp.data = socket;
  wire->net->sockets++;
  return socket;
}

static void on_socket_closed(uv_handle_t *handle)
{
  Socket *socket = handle->data;
  Net *net = socket->net;
  mem_free(socket->dead);
  mem_free(socket);
  if (--net->sockets == 0 && net->on_no_sockets)
    net->on_no_sockets(net);
}

void socket_close(Socket *socket)
{
  socket->wire = NULL;
  uv_close((uv_handle_t *)&socket->tcp, on_socket_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  Socket *socket = handle->data;
  (void)suggested;
  *buf = uv_buf_init(socket->net->read_buffer, WIRE_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
  Socket *socket = stream->data;
  Wire *wire = socket->wire;
  if (!wire || count == 0)
    return;
  if (count > 0) {
    if (wire->dial)
      dial_take_bytes(wire, buf->base, (size_t)count);
    else
      wire_take_bytes(wire, buf->base, (size_t)count);
    return;
  }
  uv_read_stop(stream);
  if (wire->dial)
    dial_ended(wire, (int)count);
  else if (count != UV_EOF)
    wire_end(wire, (int)count, "upstream_truncated: the connection broke: %s",
             uv_strerror((int)count));
  else if (wire->tls)
    wire_end(wire, UV_ECONNRESET, "upstream_truncated: the TLS connection ended without its close");
  else
    wire_end(wire, UV_EOF, "upstream_truncated: the connection was closed");
}

void wire_start_reading(Wire *wire)
{
  wire->wants_read = true;
  uv_tcp_nodelay(&wire->socket->tcp, 1);
  uv_tcp_keepalive(&wire->socket->tcp, 1, KEEPALIVE_S);
  uv_read_start((uv_stream_t *)&wire->socket->tcp, on_alloc, on_read);
}

void wire_read(Wire *wire, bool is_on)
{
  if (wire->wants_read == is_on || !wire->socket || wire->has_ended)
    return;
  wire->wants_read = is_on;
  if (is_on)
    uv_read_start((uv_stream_t *)&wire->socket->tcp, on_alloc, on_read);
  else
    uv_read_stop((uv_stream_t *)&wire->socket->tcp);
}

// A failed write says nothing here: the end that the reading side sees is the better account, and a
// reply may stand before it.
static void on_written(uv_write_t *req, int status)
{
  Socket *socket = req->handle->data;
  Wire *wire = socket->wire;
  mem_free(req);
  if (status == 0 && wire && !wire->dial && wire->events->on_drain)
    wire->events->on_drain(wire);
}

int wire_send_raw(Wire *wire, const char *bytes, size_t len)
{
  uv_stream_t *stream = (uv_stream_t *)&wire->socket->tcp;
  Write *write;
  uv_buf_t buf;
  if (len && uv_stream_get_write_queue_size(stream) == 0) {
    int rc;
    buf = uv_buf_init((char *)bytes, (unsigned)(len < INT32_MAX ? len : INT32_MAX));
    rc = uv_try_write(stream, &buf, 1);
    if (rc < 0 && rc != UV_EAGAIN)
      return rc;
    if (rc > 0) {
      wire->has_sent = true;
      bytes += rc;
      len -= (size_t)rc;
    }
  }
  if (len == 0)
    return 0;
  write = mem_alloc(sizeof *write + len);
  memcpy(write->bytes, bytes, len);
  buf = uv_buf_init(write->bytes, (unsigned)len);
  wire->has_sent = true; // it will, out of our sight
  return uv_write(&write->req, stream, &buf, 1, on_written);
}

int wire_flush_tls(Wire *wire)
{
  Buffer *output = tls_session_output(wire->tls);
  int rc = output->len ? wire_send_raw(wire, output->bytes, output->len) : 0;
  buffer_free(output);
  return rc;
}

// --- an open wire --------------------------------------------------------------------------------

void wire_end(Wire *wire, int code, const char *format, ...)
{
  char text[256];
  va_list args;
  if (wire->has_ended || wire->is_freed)
    return;
  wire->has_ended = true;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  wire->events->on_end(wire, code, text);
}

void wire_take_bytes(Wire *wire, const char *bytes, size_t len)
{
  if (!wire->tls) {
    wire->events->on_bytes(wire, bytes, len);
    return;
  }
  tls_session_feed(wire->tls, bytes, len);
  wire_drain_tls(wire);
}

void wire_drain_tls(Wire *wire)
{
  TlsStatus status;
  for (;;) {
    size_t plain_len = 0;
    status = tls_session_read(wire->tls, wire->net->plain_buffer, WIRE_READ_BYTES, &plain_len);
    if (status != TLS_OK)
      break;
    wire->events->on_bytes(wire, wire->net->plain_buffer, plain_len);
    if (wire->is_freed) // its memory stays until the socket is closed
      return;
  }
  wire_flush_tls(wire);
  if (status == TLS_CLOSED)
    wire_end(wire, UV_EOF, "upstream_truncated: the connection was closed");
  else if (status == TLS_FAILED)
    wire_end(wire, UV_EPROTO, "upstream_protocol: %s", tls_session_error(wire->tls));
}

Wire *wire_new(Net *net, Route *route, const WireEvents *events, void *owner)
{
  Wire *wire = mem_zero(1, sizeof *wire);
  wire->net = net;
  wire->route = route;
  wire->events = events;
  wire->owner = owner;
  dial_start(wire);
  return wire;
}

void wire_free(Wire *wire)
{
  wire->is_freed = true;
  dial_free(wire->dial);
  wire->dial = NULL;
  if (wire->tls && wire->socket && !wire->has_ended) {
    tls_session_end(wire->tls);
    wire_flush_tls(wire);
  }
  tls_session_free(wire->tls);
  wire->tls = NULL;
  if (wire->socket) {
    wire->socket->dead = wire; // a caller further up may still look at is_freed
    socket_close(wire->socket);
  } else {
    mem_free(wire);
  }
}

void wire_give(Wire *wire, const WireEvents *events, void *owner)
{
  wire->events = events;
  wire->owner = owner;
}

void *wire_owner(const Wire *wire)
{
  return wire->owner;
}

int wire_write(Wire *wire, const char *bytes, size_t len)
{
  int rc;
  if (!wire->tls)
    return wire_send_raw(wire, bytes, len);
  if (tls_session_write(wire->tls, bytes, len) != TLS_OK)
    return UV_EPROTO;
  rc = wire_flush_tls(wire);
  return rc;
}

bool wire_has_sent(const Wire *wire)
{
  return wire->has_sent;
}

void wire_forget_sent(Wire *wire)
{
  wire->has_sent = false;
}

size_t wire_unsent(const Wire *wire)
{
  return wire->socket ? uv_stream_get_write_queue_size((const uv_stream_t *)&wire->socket->tcp) : 0;
}

bool wire_is_alive(const Wire *wire)
{
  uv_os_fd_t fd;
  char byte;
  ssize_t count;
  if (wire->has_ended || uv_fileno((const uv_handle_t *)&wire->socket->tcp, &fd) < 0)
    return false;
  count = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count < 0)
    return errno == EAGAIN || errno == EINTR;
  return count > 0 && wire->tls; // TLS may have something of its own to say, plain HTTP may not
}
