// The part of host.reverse that reads: heads, pieces, headers. What an upstream said is cleaned of
// the key that it was sent, and of a piece that is like one before it but for a text only that text
// becomes a string of Lua's.
#include <string.h>

#include "../base/memory.h"
#include "bind.h"
#include "json_like.h"
#include "reverse_handle.h"
#include "slice.h"

enum {
  MIN_KEY_BYTES = 8, // a shorter one is a word such as "none", which others may say, too
  MAX_EXPECTED_BYTES = 16 * 1024,
};

struct Expected {
  Span known;           // its own bytes
  size_t before, after; // bytes of it around the string
  bool is_whole;        // a piece that is like it is given whole
  Charge charge;
  char bytes[];
};

void reverse_forget_expected(ReverseHandle *handle)
{
  if (handle->expected)
    charge_set(&handle->expected->charge, 0);
  mem_free(handle->expected);
  handle->expected = NULL;
}

static int push_error(lua_State *L, ReverseHandle *handle)
{
  const StreamError *error = &handle->stream->error;
  bool has_time = error->retry_after_s >= 0;
  if (strcmp(error->code, "upstream_timeout") != 0)
    reverse_forget_farewell(handle); // there is nobody to say it to
  push_failure(L, error->code, error->message);
  if (has_time)
    lua_pushinteger(L, error->retry_after_s);
  reverse_close(handle);
  return has_time ? 4 : 3;
}

// Pushes what an upstream said. Some repeat what they were told, when they refuse a key above all:
// the key itself is not for plugins.
static void push_said(lua_State *L, const ReverseHandle *handle, Span said)
{
  size_t key_len = handle->key ? strlen(handle->key) : 0;
  Buffer clean = { 0 };
  const char *found;
  while (key_len >= MIN_KEY_BYTES && said.len >= key_len &&
         (found = memmem(said.at, said.len, handle->key, key_len))) {
    buffer_append(&clean, said.at, (size_t)(found - said.at));
    buffer_string(&clean, "***");
    said.len -= (size_t)(found - said.at) + key_len;
    said.at = found + key_len;
  }
  if (clean.len) {
    buffer_append(&clean, said.at, said.len);
    slice_push_buffer(L, &clean);
  } else {
    lua_pushlstring(L, said.at ? said.at : "", said.len);
  }
}

static bool says_key(const ReverseHandle *handle, Span said)
{
  size_t key_len = handle->key ? strlen(handle->key) : 0;
  return key_len >= MIN_KEY_BYTES && said.len >= key_len &&
         memmem(said.at, said.len, handle->key, key_len);
}

// The key would begin or end in the text, which alone is not known.
static bool says_key_around(const ReverseHandle *handle, Span piece, Span text)
{
  size_t before = (size_t)(text.at - piece.at), after = piece.len - before - text.len;
  size_t reach = handle->key ? strlen(handle->key) : 0;
  if (before > reach)
    before = reach;
  if (after > reach)
    after = reach;
  return says_key(handle, (Span){ text.at - before, before + text.len + after });
}

// Stack: [] -> [piece], or [text or piece, true] when it was expected
static int push_piece(lua_State *L, const ReverseHandle *handle, Span piece)
{
  const Expected *expected = handle->expected;
  Span text;
  if (!expected ||
      !json_is_like(expected->known, expected->before, expected->after, piece, &text) ||
      says_key_around(handle, piece, text)) {
    push_said(L, handle, piece);
    return 1;
  }
  if (expected->is_whole)
    text = piece;
  lua_pushlstring(L, text.at, text.len);
  lua_pushboolean(L, 1);
  return 2;
}

// Pushes what the stream has; -1 when it has nothing yet.
static int push_result(lua_State *L, ReverseHandle *handle)
{
  Stream *stream = handle->stream;
  Span piece = { NULL, 0 };
  int http_status = 200;
  StreamStatus status;
  if (handle->want == WANT_HEAD)
    status = stream->class->head ? stream->class->head(stream, &http_status) : STREAM_PIECE;
  else
    status = stream->class->read(stream, &piece);
  if ((status == STREAM_WAIT || status == STREAM_PIECE) &&
      !state_has_room(state_of(L), piece.len)) {
    reverse_close(handle);
    return push_no_room(L);
  }
  switch (status) {
  case STREAM_WAIT:
    return -1;
  case STREAM_ERROR:
    return push_error(L, handle);
  case STREAM_END:
    reverse_forget_farewell(handle);
    reverse_close(handle);
    lua_pushnil(L);
    return 1;
  case STREAM_PIECE:
    break;
  }
  if (handle->want == WANT_PIECE)
    return push_piece(L, handle, piece);
  lua_pushinteger(L, http_status);
  return 1;
}

static int push_waited(lua_State *co, void *op)
{
  ReverseHandle *handle = op;
  int count;
  if (!handle->stream)
    return push_failure(co, "closed", "the call is closed");
  count = push_result(co, handle);
  if (count >= 0)
    handle->want = WANT_NONE;
  return count;
}

static void cancel_wait(void *op)
{
  ReverseHandle *handle = op;
  if (handle)
    reverse_close(handle); // the source stops at once, the task will be told
}

static int read_or_wait(lua_State *L, int want)
{
  ReverseHandle *handle = reverse_handle(L);
  Task *task = task_current(L);
  int count;
  if (!handle->stream && task && task_is_cancelled(task))
    return task_await(L, (TaskWait){ 0 }); // says why
  if (!handle->stream)
    return push_failure(L, "closed", "the call is closed");
  handle->want = want;
  count = push_result(L, handle);
  if (count >= 0) {
    handle->want = WANT_NONE;
    return count;
  }
  handle->task = task_current(L);
  return task_await(L, (TaskWait){ handle, push_waited, cancel_wait });
}

int reverse_l_head(lua_State *L)
{
  return read_or_wait(L, WANT_HEAD);
}

int reverse_l_read(lua_State *L)
{
  return read_or_wait(L, WANT_PIECE);
}

int reverse_l_expect(lua_State *L)
{
  ReverseHandle *handle = reverse_handle(L);
  Span known;
  lua_Integer first, last;
  Expected *expected;
  reverse_forget_expected(handle);
  if (lua_gettop(L) == 1 || !handle->stream)
    return 0;
  known.at = luaL_checklstring(L, 2, &known.len);
  first = luaL_checkinteger(L, 3);
  last = luaL_checkinteger(L, 4);
  luaL_argcheck(L, first >= 1 && (size_t)first <= known.len, 3, "not a place in the text");
  luaL_argcheck(L, last >= first - 1 && (size_t)last <= known.len, 4, "not a place in the text");
  if (known.len > MAX_EXPECTED_BYTES || !state_has_room(handle->state, known.len))
    return 0;
  expected = mem_alloc(sizeof *expected + known.len);
  memcpy(expected->bytes, known.at, known.len);
  expected->known = (Span){ expected->bytes, known.len };
  expected->before = (size_t)first - 1;
  expected->after = known.len - (size_t)last;
  expected->is_whole = lua_toboolean(L, 5);
  expected->charge = (Charge){ 0 };
  charge_to(&expected->charge, state_charges(handle->state));
  charge_set(&expected->charge, sizeof *expected + known.len);
  handle->expected = expected;
  return 0;
}

int reverse_l_header(lua_State *L)
{
  ReverseHandle *handle = reverse_handle(L);
  const char *name = luaL_checkstring(L, 2);
  const HeaderList *headers;
  Span value;
  if (!handle->stream || !handle->stream->class->head)
    return 0;
  headers = client_reply_headers(handle->stream);
  value = headers ? header_list_get(headers, name) : (Span){ NULL, 0 };
  if (!value.at)
    return 0;
  push_said(L, handle, value);
  return 1;
}
