// An absolute http or https URL, taken apart. Nothing is decoded or normalised but the host: it is
// put in lower case, loses a final dot, and when it is a number in any of the old spellings (127.1,
// 0x7f000001, 2130706433) it becomes the IPv4 address that these mean.
#ifndef MOONHOOK_REVERSE_URL_H
#define MOONHOOK_REVERSE_URL_H

#include <stdbool.h>
#include <stdint.h>

enum { URL_MAX_HOST = 253 };

typedef struct {
  bool is_tls;
  bool is_ipv6; // the host is an IPv6 address; it stands here without its brackets
  uint16_t port;
  char host[URL_MAX_HOST + 1]; // lower case
  const char *target;          // path and query, inside the parsed text; may be ""
} Url;

// Returns 0, or UV_EINVAL with `*why` (may be NULL) saying what was expected. User names,
// fragments, spaces and control characters are refused: they have no business in a backend's
// address.
int url_parse(const char *text, Url *url, const char **why);

#endif
