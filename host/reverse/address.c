// See address.h. The blocks are those of IANA's registries of special-purpose addresses; of IPv6
// only 2000::/3 is given to anybody, so that whatever lies outside of it is refused unseen: mapped
// and translated IPv4 addresses (::ffff:0:0/96, 64:ff9b::/96), unique-local ones, and all to come.
#include "address.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

typedef struct {
  unsigned char prefix[16];
  unsigned bits;
  const char *kind;
} Special;

static const Special v4_special[] = {
  { { 0 }, 8, "an unspecified address" },
  { { 10 }, 8, "a private address" },
  { { 100, 64 }, 10, "a carrier's private address" },
  { { 127 }, 8, "a loopback address" },
  { { 169, 254 }, 16, "a link-local address" },
  { { 172, 16 }, 12, "a private address" },
  { { 192, 0, 0 }, 24, "a reserved address" },
  { { 192, 0, 2 }, 24, "a documentation address" },
  { { 192, 88, 99 }, 24, "a reserved address" },
  { { 192, 168 }, 16, "a private address" },
  { { 198, 18 }, 15, "a benchmark address" },
  { { 198, 51, 100 }, 24, "a documentation address" },
  { { 203, 0, 113 }, 24, "a documentation address" },
  { { 224 }, 4, "a multicast address" },
  { { 240 }, 4, "a reserved address" },
};

// Looked at in this order; what none of the outer ones names and 2000::/3 does not hold is refused.
static const Special v6_special[] = {
  { { 0 }, 128, "an unspecified address" },
  { { [15] = 1 }, 128, "a loopback address" },
  { { 0 }, 80, "an IPv4 address written as IPv6" }, // ::a.b.c.d and ::ffff:a.b.c.d are below it
  { { 0x00, 0x64, 0xff, 0x9b }, 32, "a translated IPv4 address" },
  { { 0xfe, 0x80 }, 10, "a link-local address" },
  { { 0xfe, 0xc0 }, 10, "a private address" },
  { { 0xfc }, 7, "a private address" },
  { { 0xff }, 8, "a multicast address" },
  { { 0x20, 0x01 }, 23, "a reserved address" }, // Teredo and ORCHID too
  { { 0x20, 0x01, 0x0d, 0xb8 }, 32, "a documentation address" },
  { { 0x20, 0x02 }, 16, "a translated IPv4 address" },
  { { 0x3f, 0xff }, 20, "a documentation address" },
};

static bool has_prefix(const unsigned char *bytes, const unsigned char *prefix, unsigned bits)
{
  unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(bytes, prefix, whole) != 0)
    return false;
  return rest == 0 || ((bytes[whole] ^ prefix[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static const unsigned char *bytes_of(const Address *address)
{
  return address->any.sa_family == AF_INET6 ? (const unsigned char *)&address->v6.sin6_addr
                                            : (const unsigned char *)&address->v4.sin_addr;
}

static const char *find(const Special *list, size_t count, const unsigned char *bytes)
{
  size_t i;
  for (i = 0; i < count; i++) {
    if (has_prefix(bytes, list[i].prefix, list[i].bits))
      return list[i].kind;
  }
  return NULL;
}

const char *address_kind(const Address *address)
{
  const unsigned char *bytes = bytes_of(address);
  const char *kind;
  if (address->any.sa_family == AF_INET)
    return find(v4_special, sizeof v4_special / sizeof *v4_special, bytes);
  if (address->any.sa_family != AF_INET6)
    return "an address of another kind";
  kind = find(v6_special, sizeof v6_special / sizeof *v6_special, bytes);
  if (!kind && (bytes[0] & 0xe0) != 0x20)
    return "a reserved address";
  return kind;
}

int address_block_parse(const char *text, AddressBlock *block)
{
  const char *slash = strchr(text, '/');
  size_t len = slash ? (size_t)(slash - text) : strlen(text);
  char host[INET6_ADDRSTRLEN + 1];
  unsigned most;
  memset(block, 0, sizeof *block);
  if (len >= sizeof host || memchr(text, '%', len))
    return UV_EINVAL;
  memcpy(host, text, len);
  host[len] = '\0';
  if (uv_ip4_addr(host, 0, &block->first.v4) == 0)
    most = 32;
  else if (uv_ip6_addr(host, 0, &block->first.v6) == 0)
    most = 128;
  else
    return UV_EINVAL;
  block->bits = most;
  if (!slash)
    return 0;
  len = strspn(slash + 1, "0123456789");
  if (len == 0 || len > 3 || slash[1 + len] != '\0')
    return UV_EINVAL;
  block->bits = (unsigned)strtoul(slash + 1, NULL, 10);
  return block->bits <= most ? 0 : UV_EINVAL;
}

bool address_block_has(const AddressBlock *block, const Address *address)
{
  return block->first.any.sa_family == address->any.sa_family &&
         has_prefix(bytes_of(address), bytes_of(&block->first), block->bits);
}
