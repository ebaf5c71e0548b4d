// See client.h. The client owns what all calls share and takes it down in order; calls are
// exchange.c.
#include "client.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "../base/memory.h"
#include "exchange.h"
#include "notice.h"

struct Client {
  Net net; // first member: on_no_sockets casts back
  Pool *pool;
  uint32_t streams; // open ones
  Notices notices;
  int parts_open; // while closing
  void (*on_closed)(void *context);
  void *closed_context;
};

ClientTimes client_times_default(void)
{
  return (ClientTimes){ .connect_ms = 5000, .first_byte_ms = 60000, .idle_ms = 60000 };
}

Client *client_new(Loop *loop, const ClientConfig *config, Err *err)
{
  const char *ca_file = config ? config->ca_file : NULL;
  Client *client;
  if (ca_file && access(ca_file, R_OK) < 0) {
    err_set(err, uv_translate_sys_error(errno), "client.ca_file: cannot read %s: %s", ca_file,
            uv_strerror(uv_translate_sys_error(errno)));
    return NULL;
  }
  client = mem_zero(1, sizeof *client);
  if (proxy_from_environment(&client->net.proxy, err) < 0) {
    mem_free(client);
    return NULL;
  }
  client->net.loop = loop;
  client->net.resolver = resolver_new(loop);
  client->net.tls = tls_new(loop, ca_file);
  client->net.read_buffer = mem_alloc(WIRE_READ_BYTES);
  client->net.plain_buffer = mem_alloc(WIRE_READ_BYTES);
  client->pool = pool_new(&client->net);
  return client;
}

static void on_part_closed(void *context)
{
  Client *client = context;
  void (*on_closed)(void *) = client->on_closed;
  void *closed_context = client->closed_context;
  if (--client->parts_open > 0)
    return;
  proxy_free(&client->net.proxy);
  mem_free(client->net.read_buffer);
  mem_free(client->net.plain_buffer);
  mem_free(client);
  if (on_closed)
    on_closed(closed_context);
}

static void on_no_sockets(Net *net)
{
  net->on_no_sockets = NULL;
  on_part_closed(net);
}

void client_close(Client *client, void (*on_closed)(void *context), void *context)
{
  notices_close(&client->notices);
  assert(client->streams == 0);
  client->on_closed = on_closed;
  client->closed_context = context;
  client->parts_open = 2;
  pool_free(client->pool);
  if (client->net.sockets > 0) {
    client->parts_open++;
    client->net.on_no_sockets = on_no_sockets;
  }
  resolver_close(client->net.resolver, on_part_closed, client);
  tls_close(client->net.tls, on_part_closed, client);
}

Stream *client_open(Client *client, const ClientCall *call)
{
  return exchange_new(client->net.loop, client->pool, &client->streams, call);
}

void client_notify(Client *client, const ClientCall *call)
{
  ClientCall notice = *call;
  notice.times.total_ms = CLIENT_NOTIFY_MS;
  notices_take(&client->notices, client->net.loop, client_open(client, &notice));
}

void client_decode(Stream *stream, BodyDecoder decoder)
{
  exchange_decode(stream, decoder);
}

ClientRoom client_send(Stream *stream, const void *bytes, size_t len)
{
  return exchange_send(stream, bytes, len);
}

ClientRoom client_room(Stream *stream)
{
  return exchange_room(stream);
}

void client_send_end(Stream *stream)
{
  exchange_send_end(stream);
}

const char *client_event_name(Stream *stream)
{
  return exchange_event_name(stream);
}

const char *client_event_id(Stream *stream)
{
  return exchange_event_id(stream);
}

const HeaderList *client_reply_headers(Stream *stream)
{
  return exchange_headers(stream);
}
