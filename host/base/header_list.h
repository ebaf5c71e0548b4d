// HTTP header fields in their order, repeats included, bytes as they came. One block of memory.
#ifndef MOONHOOK_BASE_HEADER_LIST_H
#define MOONHOOK_BASE_HEADER_LIST_H

#include <stdint.h>

#include "buffer.h"

typedef struct {
  uint32_t name_at, name_len, value_at, value_len; // offsets into HeaderList.bytes
} HeaderField;

// Start with `HeaderList list = { 0 };`.
typedef struct {
  Buffer bytes;
  HeaderField *fields;
  uint32_t count, cap;
} HeaderList;

void header_list_add(HeaderList *list, Span name, Span value);
Span header_list_name(const HeaderList *list, uint32_t i);
Span header_list_value(const HeaderList *list, uint32_t i);
// The first field of that name, ignoring case; `at` is NULL when there is none.
Span header_list_get(const HeaderList *list, const char *name);
void header_list_clear(HeaderList *list); // memory kept
void header_list_free(HeaderList *list);
void header_list_copy(HeaderList *to, const HeaderList *from);

#endif
