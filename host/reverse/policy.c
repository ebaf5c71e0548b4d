// See policy.h.
#include "policy.h"

#include <string.h>
#include <uv.h>

#include "../base/memory.h"
#include "url.h"

typedef struct {
  AddressBlock block;
  char *host; // NULL: the block counts
} Exception;

struct Policy {
  uint32_t holds;
  Exception *exceptions;
  uint32_t count;
  bool uses_proxy;
};

Policy *policy_new(void)
{
  Policy *policy = mem_zero(1, sizeof *policy);
  policy->holds = 1;
  return policy;
}

Policy *policy_hold(Policy *policy)
{
  policy->holds++;
  return policy;
}

void policy_release(Policy *policy)
{
  uint32_t i;
  if (!policy || --policy->holds > 0)
    return;
  for (i = 0; i < policy->count; i++)
    mem_free(policy->exceptions[i].host);
  mem_free(policy->exceptions);
  mem_free(policy);
}

int policy_allow(Policy *policy, const char *text, Err *err)
{
  Exception exception = { .host = NULL };
  if (address_block_parse(text, &exception.block) < 0) {
    if (!host_pattern_is_valid(text) || strchr(text, '/'))
      return err_set(err, UV_EINVAL,
                     "expected an address, a block such as 10.0.0.0/8, or a host's name in lower "
                     "case, got \"%.100s\"",
                     text);
    exception.host = mem_string(text);
  }
  policy->exceptions =
      mem_resize(policy->exceptions, (policy->count + 1) * sizeof *policy->exceptions);
  policy->exceptions[policy->count++] = exception;
  return 0;
}

void policy_use_proxy(Policy *policy, bool is_used)
{
  policy->uses_proxy = is_used;
}

bool policy_uses_proxy(const Policy *policy)
{
  return policy->uses_proxy;
}

bool policy_equals(const Policy *a, const Policy *b)
{
  uint32_t i;
  if (a->count != b->count || a->uses_proxy != b->uses_proxy)
    return false;
  for (i = 0; i < a->count; i++) {
    const Exception *one = &a->exceptions[i], *other = &b->exceptions[i];
    if (!one->host != !other->host || one->block.bits != other->block.bits ||
        memcmp(&one->block.first, &other->block.first, sizeof one->block.first) != 0 ||
        (one->host && strcmp(one->host, other->host) != 0))
      return false;
  }
  return true;
}

const char *policy_objection(const Policy *policy, const char *host, const Address *address)
{
  const char *kind = address_kind(address);
  uint32_t i;
  for (i = 0; kind && i < policy->count; i++) {
    const Exception *exception = &policy->exceptions[i];
    if (exception->host ? host_pattern_has(exception->host, host)
                        : address_block_has(&exception->block, address))
      return NULL;
  }
  return kind;
}

bool host_pattern_is_valid(const char *pattern)
{
  const char *at = strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern;
  unsigned char binary[sizeof(struct in6_addr)];
  size_t label = 0;
  if (uv_inet_pton(AF_INET6, pattern, binary) == 0)
    return true;
  if (strlen(at) > URL_MAX_HOST)
    return false;
  for (; *at; at++) {
    if (*at == '.' ? label == 0 : !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *at))
      return false;
    label = *at == '.' ? 0 : label + 1;
  }
  return label > 0;
}

bool host_pattern_has(const char *pattern, const char *host)
{
  size_t host_len = strlen(host), len;
  if (strcmp(pattern, "*") == 0)
    return true;
  if (strncmp(pattern, "*.", 2) != 0)
    return strcmp(pattern, host) == 0;
  len = strlen(++pattern); // from its dot on
  return host_len > len && strcmp(host + host_len - len, pattern) == 0;
}
