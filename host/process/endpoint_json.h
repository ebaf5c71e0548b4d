// Endpoints and plugins as the admin API shows them (docs/operations.md). Secrets are masked.
#ifndef MOONHOOK_PROCESS_ENDPOINT_JSON_H
#define MOONHOOK_PROCESS_ENDPOINT_JSON_H

#include "endpoint_book.h"

// Appends "NAME":"2026-01-31T10:00:00.000Z", with the comma; 0 is null.
void json_add_time(Buffer *json, const char *name, uint64_t ms);
void endpoint_json_of_entry(const Keeper *keeper, const BookEntry *entry, Buffer *json);
// As AdminHost says. Endpoints of the configuration come first, in its order.
void endpoint_json_page(const Keeper *keeper, Span after, uint32_t limit, Span plugin, Buffer *json,
                        Buffer *next);
bool endpoint_json_find(const Keeper *keeper, Span id, Buffer *json);
bool plugin_json_list(const Keeper *keeper, Span id, Buffer *json);
void catalogue_json(const Keeper *keeper, Buffer *json);
void status_json(const Keeper *keeper, Buffer *json);

#endif
