// See client_socket.h.
#include "client_socket.h"

#include <string.h>

#include "../base/memory.h"

typedef struct {
  uv_write_t request; // first member
  char bytes[];
} Write;

static void tell(ClientSocket *socket)
{
  if (socket->is_told)
    return;
  socket->is_told = true;
  bed_tell(socket->bed, EVENT_DATA, socket->id);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
  ClientSocket *socket = (ClientSocket *)handle;
  (void)size;
  *buffer = uv_buf_init(socket->read_buffer, sizeof socket->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
  ClientSocket *socket = (ClientSocket *)stream;
  if (count > 0) {
    buffer_append(&socket->in, buffer->base, (size_t)count);
  } else if (count < 0) {
    socket->is_eof = true;
    uv_read_stop(stream);
  }
  if (count != 0)
    tell(socket);
}

static void on_connect(uv_connect_t *connect, int status)
{
  ClientSocket *socket = (ClientSocket *)connect->handle;
  if (uv_is_closing((uv_handle_t *)socket))
    return;
  if (status == 0)
    status = uv_read_start((uv_stream_t *)&socket->tcp, on_alloc, on_read);
  if (status == 0)
    return;
  socket->is_eof = true;
  tell(socket);
}

ClientSocket *client_socket_open(Bed *bed, int port)
{
  ClientSocket *socket = mem_zero(1, sizeof *socket);
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  socket->bed = bed;
  socket->id = bed_new_id(bed);
  socket->next = bed->sockets;
  bed->sockets = socket;
  uv_tcp_init(loop_uv(bed->loop), &socket->tcp);
  uv_tcp_nodelay(&socket->tcp, 1);
  if (uv_tcp_connect(&socket->connect, &socket->tcp, (const struct sockaddr *)&address,
                     on_connect) < 0) {
    socket->is_eof = true;
    tell(socket);
  }
  return socket;
}

ClientSocket *client_socket_find(const Bed *bed, uint32_t id)
{
  ClientSocket *socket = bed->sockets;
  while (socket && socket->id != id)
    socket = socket->next;
  return socket;
}

static void on_written(uv_write_t *request, int status)
{
  (void)status; // a reader sees it, too
  mem_free(request);
}

void client_socket_send(ClientSocket *socket, Span bytes)
{
  Write *write = mem_alloc(sizeof *write + bytes.len);
  uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned)bytes.len);
  memcpy(write->bytes, bytes.at, bytes.len);
  if (uv_write(&write->request, (uv_stream_t *)&socket->tcp, &buffer, 1, on_written) < 0)
    mem_free(write);
}

static void on_shut(uv_shutdown_t *request, int status)
{
  (void)status;
  mem_free(request);
}

void client_socket_shut(ClientSocket *socket)
{
  uv_shutdown_t *request = mem_zero(1, sizeof *request);
  if (uv_shutdown(request, (uv_stream_t *)&socket->tcp, on_shut) < 0)
    mem_free(request);
}

static void on_closed(uv_handle_t *handle)
{
  ClientSocket *socket = (ClientSocket *)handle;
  buffer_free(&socket->in);
  mem_free(socket);
}

void client_socket_close(Bed *bed, uint32_t id)
{
  ClientSocket **link, *socket;
  for (link = &bed->sockets; (socket = *link); link = &socket->next) {
    if (socket->id != id)
      continue;
    *link = socket->next;
    uv_close((uv_handle_t *)&socket->tcp, on_closed);
    return;
  }
}
