// One call of the client: its attempts, its reply, its stream of pieces.
#ifndef MOONHOOK_REVERSE_EXCHANGE_H
#define MOONHOOK_REVERSE_EXCHANGE_H

#include "client.h"
#include "pool.h"

enum {
  EXCHANGE_MAX_READY_BYTES = 64 * 1024,  // more that nobody has read: the socket is not read
  EXCHANGE_MAX_UNSENT_BYTES = 64 * 1024, // more of a streamed body: its sender has to wait
  EXCHANGE_MAX_BODY_BYTES = 32 * 1024 * 1024,
  EXCHANGE_MAX_REFUSAL_BYTES = 1024 * 1024, // the body of a reply that is not 2xx
};

// `streams` counts the ones that are open.
Stream *exchange_new(Loop *loop, Pool *pool, uint32_t *streams, const ClientCall *call);
void exchange_decode(Stream *stream, BodyDecoder decoder);
ClientRoom exchange_send(Stream *stream, const void *bytes, size_t len);
ClientRoom exchange_room(Stream *stream);
void exchange_send_end(Stream *stream);
const char *exchange_event_name(Stream *stream);
const char *exchange_event_id(Stream *stream);
const HeaderList *exchange_headers(Stream *stream);

#endif
