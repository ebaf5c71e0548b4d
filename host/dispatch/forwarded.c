// See forwarded.h.
#include "forwarded.h"

#include <string.h>
#include <uv.h>

enum { MAX_HOST_BYTES = 255, MAX_PREFIX_BYTES = 255, MIN_ID_BYTES = 8, MAX_ID_BYTES = 64 };

// --- lists in fields -----------------------------------------------------------------------------
//
// A field may stand on several lines, and each line may be a list: together they are one list, of
// which the last item is the nearest proxy's.

static Span trim(Span text)
{
  while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
    text = (Span){ text.at + 1, text.len - 1 };
  while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
    text.len--;
  return text;
}

// The item `index` from the end, counted from 0; `at` is NULL behind the first.
static Span item_from_end(const HeaderList *headers, const char *name, uint32_t index)
{
  uint32_t i;
  for (i = headers->count; i > 0; i--) {
    Span line = header_list_value(headers, i - 1);
    size_t end = line.len;
    if (!span_is_ignoring_case(header_list_name(headers, i - 1), name))
      continue;
    for (;;) {
      size_t start = end;
      while (start > 0 && line.at[start - 1] != ',')
        start--;
      if (index-- == 0)
        return trim((Span){ line.at + start, end - start });
      if (start == 0)
        break;
      end = start - 1;
    }
  }
  return (Span){ NULL, 0 };
}

// The item that belongs to a hop, or the first there is: a proxy that sets a field, instead of
// adding to it, leaves one item.
static Span item_of_hop(const HeaderList *headers, const char *name, uint32_t hop)
{
  Span item = item_from_end(headers, name, hop);
  while (!item.at && hop > 0)
    item = item_from_end(headers, name, --hop);
  return item;
}

// --- addresses -----------------------------------------------------------------------------------

// "1.2.3.4", "1.2.3.4:567", "::1", "[::1]", "[::1]:567". IPv4 in IPv6 is IPv4.
static bool read_address(Span text, Address *address)
{
  static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
  AddressBlock block;
  char copy[64];
  const char *colon;
  if (text.len > 0 && text.at[0] == '[') {
    const char *end = memchr(text.at, ']', text.len);
    if (!end)
      return false;
    text = (Span){ text.at + 1, (size_t)(end - text.at - 1) };
  } else if ((colon = memchr(text.at, ':', text.len)) &&
             !memchr(colon + 1, ':', (size_t)(text.at + text.len - colon - 1))) {
    text.len = (size_t)(colon - text.at);
  }
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, '/', text.len))
    return false;
  memcpy(copy, text.at, text.len);
  copy[text.len] = '\0';
  if (address_block_parse(copy, &block) < 0)
    return false;
  *address = block.first;
  if (address->any.sa_family == AF_INET6 &&
      memcmp(&address->v6.sin6_addr, mapped, sizeof mapped) == 0) {
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    memcpy(&v4.sin_addr, (const char *)&address->v6.sin6_addr + sizeof mapped, sizeof v4.sin_addr);
    address->v4 = v4;
  }
  return true;
}

static bool is_trusted(const TrustedProxies *proxies, const Address *address)
{
  uint32_t i;
  for (i = 0; i < proxies->count; i++) {
    if (address_block_has(&proxies->blocks[i], address))
      return true;
  }
  return false;
}

bool forwarded_is_trusted(const TrustedProxies *proxies, const Request *request)
{
  Address peer;
  return proxies->count > 0 && read_address(span_of(request->remote_addr), &peer) &&
         is_trusted(proxies, &peer);
}

static void write_address(const Address *address, char text[46])
{
  if (address->any.sa_family == AF_INET)
    uv_ip4_name(&address->v4, text, 46);
  else
    uv_ip6_name(&address->v6, text, 46);
}

// Goes from the nearest hop to the farthest, as long as each is a proxy of ours. Returns how many
// of them stand in X-Forwarded-For.
static uint32_t find_client(const TrustedProxies *proxies, const Request *request, char client[46])
{
  uint32_t hops = 0;
  Address address;
  Span item;
  for (;;) {
    item = item_from_end(&request->headers, "X-Forwarded-For", hops);
    if (!item.at || !read_address(item, &address))
      return hops;
    write_address(&address, client);
    if (!is_trusted(proxies, &address))
      return hops;
    hops++;
  }
}

// --- the address that was used -------------------------------------------------------------------

static bool has_only(Span text, const char *others)
{
  size_t i;
  for (i = 0; i < text.len; i++) {
    char c = text.at[i];
    bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!is_plain && (c == '\0' || !strchr(others, c)))
      return false;
  }
  return true;
}

bool forwarded_is_sane_id(Span id)
{
  return id.len >= MIN_ID_BYTES && id.len <= MAX_ID_BYTES && has_only(id, "._-");
}

static Span read_prefix(Span text)
{
  static const Span none = { "", 0 };
  while (text.len > 0 && text.at[text.len - 1] == '/')
    text.len--;
  if (text.len == 0 || text.len > MAX_PREFIX_BYTES || text.at[0] != '/' ||
      !has_only(text, "/-._~%") || memmem(text.at, text.len, "//", 2) ||
      memmem(text.at, text.len, "/..", 3))
    return none;
  return text;
}

static void read_outside(const HeaderList *headers, uint32_t hop, Forwarded *out)
{
  Span scheme = item_of_hop(headers, "X-Forwarded-Proto", hop);
  Span host = item_of_hop(headers, "X-Forwarded-Host", hop);
  if (span_is_ignoring_case(scheme, "https"))
    out->scheme = "https";
  else if (span_is_ignoring_case(scheme, "http"))
    out->scheme = "http";
  if (host.len > 0 && host.len <= MAX_HOST_BYTES && has_only(host, ".-:[]_"))
    out->host = host;
  out->prefix = read_prefix(item_of_hop(headers, "X-Forwarded-Prefix", hop));
}

void forwarded_read(const TrustedProxies *proxies, const Request *request, Forwarded *out)
{
  memset(out, 0, sizeof *out);
  memcpy(out->client, request->remote_addr, sizeof out->client);
  out->host = request->host;
  out->is_trusted = forwarded_is_trusted(proxies, request);
  if (out->is_trusted)
    read_outside(&request->headers, find_client(proxies, request, out->client), out);
}
