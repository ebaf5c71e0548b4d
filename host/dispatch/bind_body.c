// request:get_json: a client's JSON as a Lua value, when it fits.
#include "../script/bind_json.h"
#include "../script/deadline.h"
#include "hook_request.h"

enum {
  LARGE_BODY = 64 * 1024, // smaller ones are not worth a look at the clock
  VALUE_BYTES = 72,       // of memory: an item or a member, or a table itself, without text
};

// Stack: [message] -> [nil, status, code, message]
static int refuse_body(lua_State *L, int status, const char *code)
{
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushinteger(L, status);
  lua_insert(L, -2);
  lua_pushstring(L, code);
  lua_insert(L, -2);
  return 4;
}

// Stack: [] -> [value] or [nil, status, code, message]
static int push_json(lua_State *L, HookRequest *hook, Span text)
{
  State *state = generation_state(hook->generation);
  uint32_t most = hook_request_limits(hook).json_values;
  JsonFacts facts;
  Err err;
  if (json_scan(text.at, text.len, &facts, &err) < 0) {
    lua_pushfstring(L, "the body is not JSON: %s", err.text);
    return refuse_body(L, 400, "bad_request");
  }
  if (facts.values > most) {
    lua_pushfstring(L, "the body has more than %d values", (int)most);
    return refuse_body(L, 413, "payload_too_large");
  }
  // Without room its code would be stopped in the middle.
  if (text.len >= LARGE_BODY &&
      !state_has_room(state, text.len + (facts.values + facts.tables) * VALUE_BYTES)) {
    lua_pushliteral(L, "the endpoint's plugin is out of memory");
    return refuse_body(L, 503, "plugin_memory_limit");
  }
  json_push_checked(L, text.at, text.len, &facts);
  return 1;
}

typedef struct {
  HookRequest *hook;
  Span text;
} Document;

static int push_document(lua_State *L)
{
  const Document *document = lua_touserdata(L, 1);
  lua_settop(L, 0);
  return push_json(L, document->hook, document->text);
}

// As push_json, and its time is not counted, whatever it raises.
static int push_uncounted(lua_State *L, Document document)
{
  int top = lua_gettop(L), rc;
  luaL_checkstack(L, 2, "cannot decode");
  lua_pushcfunction(L, push_document);
  lua_pushlightuserdata(L, &document);
  deadline_pause();
  rc = lua_pcall(L, 1, LUA_MULTRET, 0);
  deadline_resume();
  return rc == 0 ? lua_gettop(L) - top : lua_error(L);
}

// json(handle): the body decoded as by host.json.decode_plain, or nil, status, code, message. The
// time of the first one is the client's doing, so the code is not stopped for it.
int l_json(lua_State *L)
{
  HookRequest *hook = request_of_handle(L);
  Buffer *body;
  Span text;
  if (!hook)
    return request_push_closed(L);
  body = &hook->request->body;
  buffer_reserve(body, 0);
  body->bytes[body->len] = '\0'; // the decoder's
  text = (Span){ body->bytes, body->len };
  if (text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0) // a byte order mark
    text = (Span){ text.at + 3, text.len - 3 };
  if (hook->is_decoded || text.len < LARGE_BODY)
    return push_json(L, hook, text);
  hook->is_decoded = true;
  return push_uncounted(L, (Document){ hook, text });
}
