// The only room that knows both HTTP and Lua: finds the endpoint and the route of a request, starts
// its task, sends the reply, says what failed.
#ifndef MOONHOOK_DISPATCH_DISPATCH_H
#define MOONHOOK_DISPATCH_DISPATCH_H

#include "../http/server.h"
#include "../plugin/generation.h"
#include "endpoint_table.h"
#include "forwarded.h"

typedef struct Dispatch Dispatch;

typedef struct {
  const char *public_url;  // "https://hooks.example.com" without a final slash, or NULL
  const char *base_domain; // "hooks.example.com": {hook_id}.{base_domain} is served too; or NULL
  TrustedProxies proxies;  // whose X-Forwarded-* fields count; copied
  bool is_dev;             // routes in 404s, error pages
  // Called when the scoreboard's generation has moved, before the request that noticed goes on:
  // brings the endpoint table up to date. False: not possible now. NULL: nothing moves.
  bool (*refresh)(void *context);
  void *refresh_context;
} DispatchConfig;

Dispatch *dispatch_new(Runtime *runtime, const DispatchConfig *config); // copies the config
void dispatch_free(Dispatch *dispatch); // after the HTTP server is gone and every task has ended
void dispatch_configure(Dispatch *dispatch, const DispatchConfig *config);
EndpointTable *dispatch_endpoints(Dispatch *dispatch);
// Brings the endpoint table up to date if the generation has moved.
void dispatch_refresh(Dispatch *dispatch);
// Ends the requests that run now (of endpoints that are disabled or gone: those alone) with this
// code: event streams are told, other streams break off, the rest get it as their reply. A task has
// grace_ms to unwind.
void dispatch_end_all(Dispatch *dispatch, const char *code, const char *message, uint32_t grace_ms);
void dispatch_end_withdrawn(Dispatch *dispatch, const char *code, const char *message,
                            uint32_t grace_ms);
// While the plugin's requests hold more than `most` versions older than the live one, ends those of
// the oldest with this code.
void dispatch_end_oldest(Dispatch *dispatch, const PluginSlot *plugin, uint32_t most,
                         const char *code, const char *message, uint32_t grace_ms);

// For http_server_new; the context is the Dispatch.
extern const HttpHandler dispatch_handler;
// For generation_load.
extern const HostModule dispatch_modules[];
#define DISPATCH_ENTRY "moonhook.serve"

#endif
