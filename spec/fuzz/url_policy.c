// URLs of outgoing calls and the address policy: whatever is accepted leads to a host that is
// settled (reading it again gives the same), has no byte that could end a line, and no spelling of
// an address that is not public passes the policy.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/base/buffer.h"
#include "host/base/memory.h"
#include "host/reverse/policy.h"
#include "host/reverse/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim, const char *what)
{
  if (claim)
    return;
  fprintf(stderr, "broken promise: %s\n", what);
  abort();
}

static void check_url(const char *text)
{
  Buffer again = { 0 };
  Url url, second;
  struct in_addr number;
  unsigned char binary[16];
  const char *c;
  if (url_parse(text, &url, NULL) < 0)
    return;
  must(url.host[0] && strlen(url.host) <= URL_MAX_HOST && url.port > 0, "a host and a port");
  for (c = url.host; *c; c++)
    must(*c > ' ' && *c < 0x7f && !strchr("/?#@\\[]", *c) && !(*c >= 'A' && *c <= 'Z'), "a host");
  for (c = url.target; *c; c++)
    must(*c > ' ' && *c < 0x7f && *c != '#', "a target without controls");
  must(!*url.target || *url.target == '/' || *url.target == '?', "a target");
  if (!url.is_ipv6) // what getaddrinfo would take for a number stands in the usual form
    must(!inet_aton(url.host, &number) || inet_pton(AF_INET, url.host, binary) == 1, "one form");
  buffer_printf(&again, "%s://%s%s%s:%u%s", url.is_tls ? "https" : "http", url.is_ipv6 ? "[" : "",
                url.host, url.is_ipv6 ? "]" : "", url.port, url.target);
  must(url_parse(again.bytes, &second, NULL) == 0, "it can be read again");
  must(strcmp(url.host, second.host) == 0 && url.port == second.port &&
           url.is_tls == second.is_tls && strcmp(url.target, second.target) == 0,
       "and says the same");
  buffer_free(&again);
}

// An IPv4 address in all the ways that IPv6 has for it.
static void check_embedded(const uint8_t *four)
{
  static const unsigned char prefixes[][12] = {
    { [10] = 0xff, [11] = 0xff }, { 0 }, { 0, 0x64, 0xff, 0x9b }, { 0, 0x64, 0xff, 0x9b, 0, 1 }
  };
  Address address = { .any.sa_family = AF_INET6 };
  size_t i;
  for (i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
    memcpy(&address.v6.sin6_addr, prefixes[i], 12);
    memcpy((char *)&address.v6.sin6_addr + 12, four, 4);
    must(address_kind(&address) != NULL, "no IPv4 address inside IPv6 is public");
  }
}

static bool is_inside(uint32_t ip, uint32_t block, unsigned bits)
{
  return bits == 0 || (ip ^ block) >> (32 - bits) == 0;
}

static void check_v4(const uint8_t *four)
{
  Address address = { .any.sa_family = AF_INET };
  uint32_t ip =
      (uint32_t)four[0] << 24 | (uint32_t)four[1] << 16 | (uint32_t)four[2] << 8 | four[3];
  bool is_inward = is_inside(ip, 0x7f000000, 8) || is_inside(ip, 0x0a000000, 8) ||
                   is_inside(ip, 0xac100000, 12) || is_inside(ip, 0xc0a80000, 16) ||
                   is_inside(ip, 0xa9fe0000, 16) || is_inside(ip, 0x64400000, 10) ||
                   is_inside(ip, 0, 8) || ip >= 0xe0000000;
  memcpy(&address.v4.sin_addr, four, 4);
  if (is_inward)
    must(address_kind(&address) != NULL, "no address of ours is public");
}

static void check_pattern(const char *text)
{
  AddressBlock block;
  Policy *policy = policy_new();
  if (policy_allow(policy, text, NULL) == 0 && address_block_parse(text, &block) < 0) {
    const char *host = strncmp(text, "*.", 2) == 0 ? text + 1 : text;
    Buffer below = { 0 };
    buffer_printf(&below, "a%s%s", *host == '.' ? "" : ".", host);
    must(host_pattern_has(text, host == text ? text : host + 1) == (host == text),
         "a name is itself, and not below itself");
    must(host_pattern_has(text, below.bytes) == (host != text), "what is below is below");
    buffer_free(&below);
  }
  policy_release(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = mem_bytes(data, size);
  Buffer url = { 0 };
  check_url(text);
  buffer_printf(&url, "http://%s", text);
  check_url(url.bytes);
  check_pattern(text);
  if (size >= 4) {
    check_v4(data);
    check_embedded(data);
  }
  buffer_free(&url);
  mem_free(text);
  return 0;
}
