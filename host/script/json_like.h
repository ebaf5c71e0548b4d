// Texts that repeat: the events of a stream mostly differ in one string alone. Whoever has decoded
// one of them knows what the others say, but for that string.
#ifndef MOONHOOK_SCRIPT_JSON_LIKE_H
#define MOONHOOK_SCRIPT_JSON_LIKE_H

#include <lua.h>
#include <stdbool.h>

#include "../base/buffer.h"

// Whether `text` is `known` but for the bytes behind known's first `before` and in front of its
// last `after`, the inside of a JSON string, and has something there that needs no unescaping:
// `found`, inside of `text`. Then it is good JSON if `known` is. Never, while fast paths are off.
bool json_is_like(Span known, size_t before, size_t after, Span text, Span *found);

int json_l_text_like(lua_State *L); // host.json.text_like

#endif
