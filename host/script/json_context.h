// What the encoder and the decoder of bind_json.h share in one Lua state.
#ifndef MOONHOOK_SCRIPT_JSON_CONTEXT_H
#define MOONHOOK_SCRIPT_JSON_CONTEXT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "../base/json.h"

// Slots of the context, a table in the registry.
enum {
  ARRAY_META = 1,
  RAW_META,
  LAZY_META,       // nil when fast paths are off
  FIRST_NULL_META, // NULL_METAS of them: metatables of KIND_NULLS that were needed lately, or nil
  NULL_METAS = 32,
};

// What a value's metatable says about it. KIND_NULLS: the metatable's items are the names of the
// members that were null. KIND_LAZY, KIND_VIEW: see json_lazy.h, json_view.h.
enum { KIND_NONE, KIND_ARRAY, KIND_NULLS, KIND_RAW, KIND_LAZY, KIND_VIEW };

// Stack: [] -> [context]
void json_push_context(lua_State *L);
// The kind of the value at `index`. Stack: unchanged, but KIND_NULLS leaves [metatable].
int json_kind_of(lua_State *L, int index);
// Stack: [] -> [metatable of that kind]
void json_push_new_meta(lua_State *L, int kind);

// What a state allows a text that is being made outside of it: `room` bytes; `refuse` raises, when
// it needs more. NULL: nobody counts.
typedef struct {
  size_t (*room)(lua_State *L);
  void (*refuse)(lua_State *L);
} JsonMemory;
extern JsonMemory json_memory;

// These raise when Lua is out of memory; nothing is leaked then.
// Stack: [] -> [text], or [message] and false
bool json_push_encoded(lua_State *L, int index);
// is_plain: as decode_plain. A NUL stands behind the text. Stack: [] -> [value], or [message] and
// false
bool json_push_decoded(lua_State *L, const char *text, size_t len, bool is_plain);

// Puts the members of a text, which json_scan found good and an object, into the empty table at
// `index`, and gives it the metatable of a decoded one. Stack: unchanged
void json_fill_decoded(lua_State *L, int index, const char *text, size_t len,
                       const JsonFacts *facts);

#endif
