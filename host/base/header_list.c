// See header_list.h.
#include "header_list.h"

#include "memory.h"

void header_list_add(HeaderList *list, Span name, Span value)
{
  HeaderField *field;
  if (list->count == list->cap) {
    list->cap = list->cap ? list->cap * 2 : 8;
    list->fields = mem_resize(list->fields, list->cap * sizeof *list->fields);
  }
  field = &list->fields[list->count++];
  field->name_at = (uint32_t)list->bytes.len;
  field->name_len = (uint32_t)name.len;
  buffer_append(&list->bytes, name.at, name.len);
  field->value_at = (uint32_t)list->bytes.len;
  field->value_len = (uint32_t)value.len;
  buffer_append(&list->bytes, value.at, value.len);
}

Span header_list_name(const HeaderList *list, uint32_t i)
{
  return (Span){ list->bytes.bytes + list->fields[i].name_at, list->fields[i].name_len };
}

Span header_list_value(const HeaderList *list, uint32_t i)
{
  return (Span){ list->bytes.bytes + list->fields[i].value_at, list->fields[i].value_len };
}

Span header_list_get(const HeaderList *list, const char *name)
{
  uint32_t i;
  for (i = 0; i < list->count; i++) {
    if (span_is_ignoring_case(header_list_name(list, i), name))
      return header_list_value(list, i);
  }
  return (Span){ NULL, 0 };
}

void header_list_clear(HeaderList *list)
{
  buffer_clear(&list->bytes);
  list->count = 0;
}

void header_list_free(HeaderList *list)
{
  buffer_free(&list->bytes);
  mem_free(list->fields);
  *list = (HeaderList){ 0 };
}

void header_list_copy(HeaderList *to, const HeaderList *from)
{
  uint32_t i;
  for (i = 0; i < from->count; i++)
    header_list_add(to, header_list_name(from, i), header_list_value(from, i));
}
