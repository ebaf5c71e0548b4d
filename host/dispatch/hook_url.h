// The public URL of a hook, the same whoever asks: a handler, the log, the admin API.
#ifndef MOONHOOK_DISPATCH_HOOK_URL_H
#define MOONHOOK_DISPATCH_HOOK_URL_H

#include "../base/buffer.h"

// What is known of the outside. The operator's word counts first, then what a request tells.
typedef struct {
  const char *public_url;  // "https://example.com/base", no final slash; NULL: not configured
  const char *base_domain; // "{hook_id}.BASE_DOMAIN" is the host then; NULL: not configured
  const char *scheme;      // "http" or "https", of the request; NULL: unknown
  Span host;               // of the request or the listener, with its port
  Span prefix;             // what a proxy took off the path, no final slash; may be empty
} HookPlaceOutside;

// Appends the URL up to and with the hook id, no final slash.
void hook_url_append(const HookPlaceOutside *outside, const char *hook_id, Buffer *out);
const char *hook_url_scheme(const HookPlaceOutside *outside); // "http" or "https"
// Whether the URL's host can be this machine only: a loopback address, localhost, 0.0.0.0 or [::].
bool hook_url_is_local(const HookPlaceOutside *outside);

#endif
