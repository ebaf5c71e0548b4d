// A body that is streamed: its pieces are chunks, its sender waits while the socket is full.
#include "exchange_parts.h"

// Body bytes on their way: kept until there is a connection, then the wire's.
static void send_bytes(Exchange *exchange, const char *bytes, size_t len)
{
  int rc;
  if (exchange->state < EXCHANGE_ASKING) {
    buffer_append(&exchange->request, bytes, len);
    exchange_weigh(exchange);
    return;
  }
  rc = wire_write(exchange->wire, bytes, len);
  exchange->unsent = wire_unsent(exchange->wire);
  exchange_weigh(exchange);
  // A peer that does not want the rest answers and closes: what it said is still to be read, and
  // the reading side tells how the connection ended.
  if (rc < 0)
    exchange->is_sending = false;
}

ClientRoom exchange_room(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  const Inlet *inlet = &exchange->inlet;
  size_t unsent;
  if (!exchange->is_sending || exchange->state >= EXCHANGE_DONE ||
      (exchange->state == EXCHANGE_ANSWERING &&
       (inlet->response.status >= 300 || inlet->has_ended)))
    return CLIENT_OVER;
  unsent = exchange->state < EXCHANGE_ASKING ? exchange->request.len : wire_unsent(exchange->wire);
  if (unsent < EXCHANGE_MAX_UNSENT_BYTES)
    return CLIENT_ROOM;
  exchange->is_waiting = true;
  return CLIENT_FULL;
}

ClientRoom exchange_send(Stream *stream, const void *bytes, size_t len)
{
  Exchange *exchange = exchange_of(stream);
  ClientRoom room = exchange_room(stream);
  Buffer chunk = { 0 };
  if (room == CLIENT_OVER || len == 0)
    return room;
  buffer_reserve(&chunk, len + 24);
  buffer_printf(&chunk, "%zx\r\n", len);
  buffer_append(&chunk, bytes, len);
  buffer_string(&chunk, "\r\n");
  send_bytes(exchange, chunk.bytes, chunk.len);
  buffer_free(&chunk);
  return exchange_room(stream);
}

void exchange_send_end(Stream *stream)
{
  Exchange *exchange = exchange_of(stream);
  if (exchange_room(stream) == CLIENT_OVER)
    return;
  exchange->is_waiting = false;
  exchange->is_sending = false;
  if (exchange->state == EXCHANGE_ASKING)
    exchange_start_timer(exchange, exchange->times.first_byte_ms);
  send_bytes(exchange, "0\r\n\r\n", 5);
}

void exchange_on_drain(Wire *wire)
{
  Exchange *exchange = wire_owner(wire);
  exchange_weigh(exchange);
  if (!exchange->is_sending)
    return;
  if (exchange->state == EXCHANGE_ASKING) {
    exchange->unsent = wire_unsent(wire);
    exchange_start_timer(exchange, exchange->times.first_byte_ms);
  }
  if (wire_unsent(wire) < EXCHANGE_MAX_UNSENT_BYTES / 2)
    exchange_wake(exchange);
}
