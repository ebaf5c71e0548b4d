// What stands in front of the host: proxies that the operator trusts tell who the client is and
// which address it used (X-Forwarded-For, -Proto, -Host, -Prefix). Anybody else's word is
// worth nothing: there the connection and the Host field count.
#ifndef MOONHOOK_DISPATCH_FORWARDED_H
#define MOONHOOK_DISPATCH_FORWARDED_H

#include "../http/server.h"
#include "../reverse/address.h"

typedef struct {
  AddressBlock *blocks; // NULL: nobody is trusted
  uint32_t count;
} TrustedProxies;

typedef struct {
  bool is_trusted;    // the peer is one of the proxies
  char client[46];    // the nearest address that is no proxy of ours, without port
  const char *scheme; // "http" or "https"; NULL: nobody said
  Span host;          // with its port; empty: unknown
  Span prefix;        // "/base", no final slash; empty: none
} Forwarded;

// The spans point into the request.
void forwarded_read(const TrustedProxies *proxies, const Request *request, Forwarded *out);
// Whether the request came from one of the proxies.
bool forwarded_is_trusted(const TrustedProxies *proxies, const Request *request);
// An identifier of a request that may stand in logs and headers as it is: 8 to 64 characters of
// letters, digits, '.', '_' and '-'.
bool forwarded_is_sane_id(Span id);

#endif
