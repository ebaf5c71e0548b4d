// The request target and the Host field, as RFC 9112 section 3.2 and RFC 9110 section 7.2 have
// them.
#ifndef MOONHOOK_HTTP_TARGET_H
#define MOONHOOK_HTTP_TARGET_H

#include <stdbool.h>

#include "../base/buffer.h"

typedef struct {
  Span path;  // raw, starts with '/'; "*" for the asterisk form
  Span query; // raw, without '?'; at == NULL when there is no '?'
  Span host;  // of the absolute form; at == NULL otherwise
} Target;

// Takes origin-form, absolute-form with http or https, and "*". The spans point into `raw` (or to a
// constant). False: malformed.
bool target_split(Span raw, Target *target);
// A name, an IPv4 address or an IPv6 address in brackets, with or without a port.
bool host_is_valid(Span host);

#endif
