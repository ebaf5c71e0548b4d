// See admin_dispatch.h. A dispatch of its own with one endpoint, whose plugin is the library.
#include "admin_dispatch.h"

#include "../base/memory.h"
#include "bind_admin.h"
#include "dispatch_state.h"
#include "hook_request.h"

enum { ADMIN_BODY_BYTES = 1024 * 1024 };
struct AdminDispatch {
  Dispatch *dispatch;
  Endpoint *endpoint; // the table's
};

static const HostModule modules[] = { { "host.http", luaopen_host_http },
                                      { "host.admin", luaopen_host_admin },
                                      { NULL, NULL } };

// What stands in the log for the API, and a rule, since every package has one.
static Package *make_package(void)
{
  Package *package = mem_zero(1, sizeof *package);
  package->name = mem_string("admin");
  package->author = mem_string("moonhook");
  package->version = mem_string(MOONHOOK_VERSION);
  package->declarations = mem_zero(1, sizeof *package->declarations);
  package->declaration_count = 1;
  package->declarations[0].rule = rule_parse("/api/<path:path>", NULL, NULL);
  package->declarations[0].methods = mem_zero(1, sizeof(char *));
  return package;
}

AdminDispatch *admin_dispatch_new(Runtime *runtime, const AdminHost *host, Err *err)
{
  const DispatchConfig config = { 0 };
  Package *package = make_package();
  Generation *generation =
      generation_load_library(runtime, package, "moonhook.admin.api", DISPATCH_ENTRY, modules, err);
  AdminDispatch *admin;
  PluginSlot *slot;
  if (!generation) {
    package_free(package);
    return NULL;
  }
  bind_admin_host(generation_state(generation), host);
  admin = mem_zero(1, sizeof *admin);
  admin->dispatch = dispatch_new(runtime, &config);
  slot = endpoint_table_plugin(dispatch_endpoints(admin->dispatch), "admin");
  plugin_slot_set(slot, generation);
  endpoint_table_set(dispatch_endpoints(admin->dispatch), "admin", "admin", slot, "{}", NULL, true);
  admin->endpoint = endpoint_table_find(dispatch_endpoints(admin->dispatch), span_of("admin"));
  return admin;
}

void admin_dispatch_free(AdminDispatch *admin)
{
  dispatch_free(admin->dispatch);
  mem_free(admin);
}

void admin_dispatch_head(AdminDispatch *admin, Request *request)
{
  Err err;
  request->body_limit = ADMIN_BODY_BYTES;
  if (dispatch_begin(admin->dispatch, request, admin->endpoint, &err) < 0)
    reply_error(request, 400, "bad_request", err.text, NULL);
}

void admin_dispatch_request(AdminDispatch *admin, Request *request)
{
  dispatch_handler.on_request(admin->dispatch, request);
}

void admin_dispatch_drain(AdminDispatch *admin, Request *request)
{
  dispatch_handler.on_drain(admin->dispatch, request);
}

void admin_dispatch_over(AdminDispatch *admin, Request *request, bool is_complete,
                         const char *ended_by)
{
  dispatch_handler.on_over(admin->dispatch, request, is_complete, ended_by);
}
