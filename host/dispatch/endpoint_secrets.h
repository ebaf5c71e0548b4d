// The secret settings of an endpoint, kept out of the log for as long as the endpoint lives.
#ifndef MOONHOOK_DISPATCH_ENDPOINT_SECRETS_H
#define MOONHOOK_DISPATCH_ENDPOINT_SECRETS_H

#include "endpoint_table.h"

// Finds them by what the plugin's live version declares, instead of those that were hidden before.
// Without a live version nothing runs that could tell them.
void endpoint_secrets_hide(Endpoint *endpoint);
void endpoint_secrets_show(Endpoint *endpoint);
// Appends the text with each of them masked, those too that are so short that the log as a whole
// must not mask them; of four bytes or more.
void endpoint_secrets_mask(const Endpoint *endpoint, Span text, Buffer *out);

#endif
