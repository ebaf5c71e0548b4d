// The field CDN-Loop (RFC 8586): who passes a request on adds its name, so that it can tell how
// often the request came by.
#ifndef MOONHOOK_HTTP_CDN_LOOP_H
#define MOONHOOK_HTTP_CDN_LOOP_H

#include "../base/buffer.h"

#define CDN_LOOP_NAME "moonhook"

// How often our name stands in a value of the field. Pure.
uint32_t cdn_loop_count(Span value);

#endif
