// The bytes of an outgoing request.
#ifndef MOONHOOK_REVERSE_REQUEST_H
#define MOONHOOK_REVERSE_REQUEST_H

#include "client.h"
#include "url.h"

// Writes head and body of the call to `url` into `out`. Returns 0, or UV_EINVAL when a header or
// the method has bytes that would break the request apart. Fields that are the client's are left
// out.
int request_compose(const ClientCall *call, const Url *url, Buffer *out);

#endif
