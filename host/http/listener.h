// A listening socket: one connection is taken per wake-up, so that workers who share it share the
// connections too. When the process is out of descriptors, waiting clients are turned away instead
// of waking us for ever.
#ifndef MOONHOOK_HTTP_LISTENER_H
#define MOONHOOK_HTTP_LISTENER_H

#include "../base/error.h"
#include "../base/loop.h"
#include "accept.h"

typedef struct Listener Listener;

// `on_connection` takes the descriptor. The error text is "bind HOST:PORT: reason".
Listener *listener_new(Loop *loop, const char *host, int port,
                       void (*on_connection)(void *context, const Accepted *accepted),
                       void *context, Err *err);
int listener_port(const Listener *listener);
void listener_close(Listener *listener, void (*on_closed)(void *context)); // frees it afterwards

#endif
