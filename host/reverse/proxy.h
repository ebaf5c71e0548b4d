// Which calls go through a proxy: HTTPS_PROXY and NO_PROXY of the environment, upper or lower case,
// read once. Only https calls do, by CONNECT: the proxy sees the host's name and no more.
#ifndef MOONHOOK_REVERSE_PROXY_H
#define MOONHOOK_REVERSE_PROXY_H

#include "../base/error.h"
#include "url.h"

typedef struct {
  Url url;             // of the proxy; host "" when there is none
  char *authorization; // the Proxy-Authorization header's value, or NULL
  char *except;        // NO_PROXY's text, or NULL
} Proxy;

// Returns 0, or UV_EINVAL when the variable's value is no http:// address.
int proxy_from_environment(Proxy *proxy, Err *err);
void proxy_free(Proxy *proxy);
// Does a call to `url` go through the proxy? NO_PROXY is a list of host names (with all below
// them), addresses, `*`, each with or without a port; a loopback address never goes through.
bool proxy_is_for(const Proxy *proxy, const Url *url);

#endif
