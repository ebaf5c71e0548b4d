// See storage_parts.h: what changes an item. Each looks first and then writes, inside the
// transaction that its caller began.
#include <stdio.h>

#include "storage_parts.h"

static const int64_t max_number = (int64_t)1 << 53; // what a Lua number holds exactly

static int64_t cost_of(Span key, Span value)
{
  return (int64_t)(key.len + value.len) + STORAGE_OVERHEAD_BYTES;
}

// Puts the value under the key, if there is room: else the refusal stands in the result.
static int put(Storage *storage, const StorageRequest *request, int kind, uint64_t now_ms,
               Place *place, Span value, int64_t expires_ms, StorageResult *result, Err *err)
{
  sqlite3_stmt *put_item = storage_statement(storage, PUT_ITEM);
  sqlite3_stmt *change = storage_statement(storage, CHANGE_ITEM);
  int64_t cost = cost_of(request->key, value), more = cost - place->cost_bytes;
  int code = storage_check_room(storage, request, now_ms, more, place, result, err);
  if (code < 0 || result->code < 0)
    return code;
  if (place->item) {
    sqlite3_bind_int64(change, 1, place->item);
    sqlite3_bind_int64(change, 2, expires_ms);
    sqlite3_bind_int64(change, 3, cost);
    bind_bytes(change, 4, value);
    code = statement_run(storage, change, err);
  } else {
    sqlite3_bind_int64(put_item, 1, place->space);
    sqlite3_bind_int(put_item, 2, kind);
    bind_bytes(put_item, 3, request->key);
    sqlite3_bind_int64(put_item, 4, expires_ms);
    sqlite3_bind_int64(put_item, 5, cost);
    bind_bytes(put_item, 6, value);
    code = statement_run(storage, put_item, err);
  }
  if (code == 0 && more != 0)
    code = storage_add_used(storage, place->space, more, err);
  return code;
}

static int read_value(Storage *storage, int64_t item, Buffer *value, Err *err)
{
  sqlite3_stmt *read = storage_statement(storage, READ_VALUE);
  bool has_row;
  int code;
  sqlite3_bind_int64(read, 1, item);
  code = statement_step(storage, read, &has_row, err);
  if (code < 0)
    return code;
  if (has_row) {
    Span bytes = column_bytes(read, 0);
    buffer_append(value, bytes.at, bytes.len);
  }
  statement_done(read);
  return 0;
}

// An integer in decimal, within what a Lua number holds exactly.
static bool is_number(const Buffer *text, int64_t *number)
{
  size_t i = text->len > 0 && text->bytes[0] == '-';
  if (text->len == i || text->len > i + 16)
    return false;
  *number = 0;
  for (; i < text->len; i++) {
    if (text->bytes[i] < '0' || text->bytes[i] > '9')
      return false;
    *number = *number * 10 + (text->bytes[i] - '0');
  }
  if (text->bytes[0] == '-')
    *number = -*number;
  return *number >= -max_number && *number <= max_number;
}

static int increment(Storage *storage, const StorageRequest *request, uint64_t now_ms, Place *place,
                     int64_t expires_ms, StorageResult *result, Err *err)
{
  Buffer old = { 0 }, text = { 0 };
  int code = 0;
  result->number = 0;
  if (place->item) {
    expires_ms = place->expires_ms;
    code = read_value(storage, place->item, &old, err);
    if (code == 0 && !is_number(&old, &result->number)) {
      result->code = UV_ERANGE;
      snprintf(result->text, sizeof result->text, "the value is no integer");
    }
  }
  result->number += request->by; // both are far from the ends of their type
  if (code == 0 && result->code == 0 &&
      (result->number > max_number || result->number < -max_number)) {
    result->code = UV_ERANGE;
    snprintf(result->text, sizeof result->text, "the sum is beyond 2^53");
  }
  if (code == 0 && result->code == 0) {
    buffer_integer(&text, result->number);
    code = put(storage, request, KIND_ITEM, now_ms, place, (Span){ text.bytes, text.len },
               expires_ms, result, err);
  }
  buffer_free(&old);
  buffer_free(&text);
  return code;
}

static int swap(Storage *storage, const StorageRequest *request, uint64_t now_ms, Place *place,
                int64_t expires_ms, StorageResult *result, Err *err)
{
  Buffer old = { 0 };
  int code = place->item ? read_value(storage, place->item, &old, err) : 0;
  Span there = { old.bytes, old.len };
  result->found =
      request->old.at ? place->item && compare_bytes(there, request->old) == 0 : place->item == 0;
  if (code == 0 && result->found)
    code = put(storage, request, KIND_ITEM, now_ms, place, request->value, expires_ms, result, err);
  buffer_free(&old);
  return code;
}

int storage_write(Storage *storage, const StorageRequest *request, uint64_t now_ms,
                  StorageResult *result, Err *err)
{
  int kind = request->verb == STORAGE_ONCE ? KIND_ONCE : KIND_ITEM;
  int64_t expires_ms = request->ttl_ms ? (int64_t)(now_ms + request->ttl_ms) : 0;
  Place place = { 0 };
  int code = storage_find(storage, request, kind, now_ms, &place, err);
  if (code < 0)
    return code;
  switch (request->verb) {
  case STORAGE_SET:
    return put(storage, request, kind, now_ms, &place, request->value, expires_ms, result, err);
  case STORAGE_DELETE:
    result->found = place.item != 0;
    return place.item ? storage_remove(storage, place.space, place.item, place.cost_bytes, err) : 0;
  case STORAGE_INCREMENT:
    return increment(storage, request, now_ms, &place, expires_ms, result, err);
  case STORAGE_SWAP:
    return swap(storage, request, now_ms, &place, expires_ms, result, err);
  default: // STORAGE_ONCE
    result->found = place.item == 0;
    if (place.item)
      return 0;
    return put(storage, request, kind, now_ms, &place, (Span){ 0 }, expires_ms, result, err);
  }
}
