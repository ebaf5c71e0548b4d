// Where calls may go that a plugin addresses itself (session.http): to public addresses, and to
// what the operator has opened. It judges addresses, after the look-up and before the connection,
// so that no name and no spelling leads around it.
#ifndef MOONHOOK_REVERSE_POLICY_H
#define MOONHOOK_REVERSE_POLICY_H

#include <stdbool.h>

#include "../base/error.h"
#include "address.h"

typedef struct Policy
    Policy; // reference-counted: an open connection keeps the one it was made under

Policy *policy_new(void);
Policy *policy_hold(Policy *policy);
void policy_release(Policy *policy); // NULL is fine
// Opens an exception; only before the policy is in use. `text` is an address, a block of them
// (10.0.0.0/8), or a host's name (*.example.internal: all below it), which may then resolve to
// anything. Returns 0 or UV_EINVAL.
int policy_allow(Policy *policy, const char *text, Err *err);
// Whether https calls go through the proxy of the environment. There names are looked up by the
// proxy, out of our sight: then it must be the one that says where calls may go.
void policy_use_proxy(Policy *policy, bool is_used);
bool policy_uses_proxy(const Policy *policy);
bool policy_equals(const Policy *a, const Policy *b);
// NULL when a call to `host` may connect to this address; else what the address is.
const char *policy_objection(const Policy *policy, const char *host, const Address *address);

// A host's name in lower case, or `*.` and one; never empty labels. An address is a name too.
bool host_pattern_is_valid(const char *pattern);
// Whether a pattern names `host`: itself, for `*.name` whatever is below name, for `*` all.
bool host_pattern_has(const char *pattern, const char *host);

#endif
