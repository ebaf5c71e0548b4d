// The endpoints that are served and the plugins behind them: hook id to endpoint, name to the
// plugin's live generation.
#ifndef MOONHOOK_DISPATCH_ENDPOINT_TABLE_H
#define MOONHOOK_DISPATCH_ENDPOINT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/per_second.h"
#include "../plugin/generation.h"
#include "route.h"

// A plugin by name. It stays while an endpoint names it, also when it could not be loaded.
typedef struct PluginSlot {
  struct PluginSlot *next;
  char *name;
  Generation *live;    // NULL: never loaded, or removed
  Router *router;      // of `live`
  uint64_t renewed_us; // when a fresh state was last tried, of the monotonic clock; see renewal.h
  // See care.h.
  uint64_t care_until_us; // of the monotonic clock
  uint32_t running, waiting_count;
  struct HookRequest *waiting; // oldest first
  Timer turn;
  PerSecond failures; // see hook_failure.h
} PluginSlot;

// Reference-counted: a request keeps the endpoint that it found.
typedef struct {
  uint32_t references;
  char *hook_id;
  char *name;
  PluginSlot *plugin;
  char *settings_json; // what handlers get, defaults filled in; "{}" when there are none
  EndpointLimits limits;
  bool is_enabled;
  uint32_t serial; // a new one whenever the settings change: decoded settings know theirs
  char **secrets;  // values of its secret settings, see endpoint_secrets.h
  uint32_t secret_count;
} Endpoint;

Endpoint *endpoint_hold(Endpoint *endpoint);
void endpoint_release(Endpoint *endpoint); // NULL is fine

typedef struct EndpointTable EndpointTable;

EndpointTable *endpoint_table_new(void);
void endpoint_table_free(EndpointTable *table);

PluginSlot *endpoint_table_plugin(EndpointTable *table, const char *name); // made when it is new
// Makes `generation` the live one (takes it); NULL removes the plugin.
void plugin_slot_set(PluginSlot *plugin, Generation *generation);

// Adds or replaces by hook id; copies its arguments. The same settings keep their serial. `limits`:
// as they are granted; NULL: the plugin's.
void endpoint_table_set(EndpointTable *table, const char *hook_id, const char *name,
                        PluginSlot *plugin, const char *settings_json, const EndpointLimits *limits,
                        bool is_enabled);
void endpoint_table_remove(EndpointTable *table, Span hook_id); // no effect when it is not there
void endpoint_table_clear(EndpointTable *table);                // of endpoints; plugins stay
// Looks again which settings of the plugin's endpoints are secret: after plugin_slot_set.
void endpoint_table_hide(EndpointTable *table, const PluginSlot *plugin);
size_t endpoint_table_count(const EndpointTable *table);
Endpoint *endpoint_table_find(const EndpointTable *table, Span hook_id);

#endif
