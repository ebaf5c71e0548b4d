// One request on its way through a plugin: what HTTP knows, what Lua sees, and the reply between
// them. Lives until both the HTTP request and the task are over, whichever is last.
#ifndef MOONHOOK_DISPATCH_HOOK_REQUEST_H
#define MOONHOOK_DISPATCH_HOOK_REQUEST_H

#include "../base/scoreboard.h"
#include "../http/server.h"
#include "../plugin/generation.h"
#include "../script/task.h"
#include "dispatch_state.h"
#include "endpoint_table.h"
#include "forwarded.h"
#include "hook_url.h"

typedef struct HookRequest HookRequest;

typedef enum {
  REPLY_NONE,  // nothing decided
  REPLY_WHOLE, // sent by http.reply
  REPLY_RAW,   // a generator; its pieces as they are
  REPLY_SSE,   // a generator; each piece is an event
} ReplyMode;

// Streams that wait have one each: no holes between the fields.
struct HookRequest {
  Dispatch *dispatch;
  Request *request;       // NULL: over on the HTTP side
  Task *task;             // NULL: over on the Lua side, or not started
  uint32_t place;         // of Lua's handle, in bind_request.c; counted from 1, 0: none
  uint32_t idle_ms;       // between two pieces, at most
  Generation *generation; // held
  Endpoint *endpoint;     // held: it may change meanwhile
  Span path;              // decoded, behind the hook id; valid while `request` is there
  char *decoded_path;     // its bytes where they are not the request's own; else NULL
  uint32_t declaration;   // index in the package
  uint32_t capture_count;
  Capture *captures;         // of the path, until the handler has them; NULL: none
  uint8_t mode;              // ReplyMode
  bool is_begun;             // the head is out
  bool is_waiting;           // for the client to read
  bool has_left;             // the client: a call was refused for that
  bool is_decoded;           // its body was, as JSON
  bool is_in_care;           // counted as running, see care.h
  bool is_finished;          // the reply was ended before the task: session:after_response goes on
  bool is_queued;            // until the plugin has room, see care.h; no task yet
  int status;                // REPLY_RAW, REPLY_SSE: of the head to come
  uint32_t pass_count;       // how often it came by before
  const char *told;          // code of the failure that is in the log; NULL: none
  int64_t length;            // of a streamed body when the plugin knows it, else -1
  HeaderList headers;        // of the head to come
  Charge body, unsent;       // to the state: what came, and what waits for the client
  char *passes;              // see passes.h; NULL: not asked for yet
  Timer deadline;            // to the head, then between pieces
  Suspect *probe;            // this request tries a plugin that was in quarantine; else NULL
  HookRequest *next, **link; // in dispatch->hooks, or among the free ones
  HookRequest *next_waiting;
};

// Pushes the arguments of moonhook.serve onto `co`: handler, handle, values, settings.
int hook_request_push(lua_State *co, void *owner);
void hook_request_close_handle(HookRequest *hook); // from now on Lua is told "closed"
int luaopen_host_http(lua_State *L);
HookRequest *request_of_handle(lua_State *L);   // of the first argument; NULL: closed
int request_push_closed(lua_State *L);          // nil, "closed"
int l_declared(lua_State *L);                   // bind_declared.c
int l_json(lua_State *L);                       // bind_body.c
void request_add_reply_functions(lua_State *L); // to the table at the top (bind_reply.c)

// What the request's endpoint and plugin were granted.
PluginLimits hook_request_limits(const HookRequest *hook);
// Whether the state has room to keep `bytes` more for the request.
bool hook_request_has_room(const HookRequest *hook, size_t bytes);
void hook_request_charge_unsent(HookRequest *hook, size_t bytes); // so much waits for the client
void hook_request_charge_body(HookRequest *hook); // to the state of its generation, whichever it is
void hook_request_discharge(HookRequest *hook);   // nothing is kept any more

// What the proxies in front say about the request.
void hook_request_forwarded(const HookRequest *hook, Forwarded *out);
// What its URL is made of.
HookPlaceOutside hook_request_outside(const HookRequest *hook);
// Whether a header field is kept from handlers.
bool hook_request_hides(const HookRequest *hook, Span name);
// Appends the request's public URL up to and with the hook id, no final slash.
void hook_request_url(const HookRequest *hook, Buffer *out);

#endif
