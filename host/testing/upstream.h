// The upstreams of a plugin under test, played by the spec: an HTTP server of its own that hands
// every call to the spec's Lua code and answers what that says. Model servers, Dify and the rest of
// the world are all the same here; what a call means is decided in Lua.
#ifndef MOONHOOK_TESTING_UPSTREAM_H
#define MOONHOOK_TESTING_UPSTREAM_H

#include "../http/server.h"
#include "bed.h"

struct Call {
  Call *next;
  uint32_t id;
  Subject *subject; // whose upstream was called
  Request *request;
};

// For http_server_new; the context is the Subject.
extern const HttpHandler upstream_handler;

Call *upstream_find(const Bed *bed, uint32_t id); // NULL: over

#endif
