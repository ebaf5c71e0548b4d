// See endpoint_table.h. Open addressing; hook ids are random, so that a plain hash serves.
#include "endpoint_table.h"

#include "../base/memory.h"
#include "endpoint_secrets.h"

struct EndpointTable {
  Endpoint **slots; // power of two of them
  size_t size, count;
  PluginSlot *plugins;
  uint32_t next_serial;
};

static size_t hash_of(Span text)
{
  uint64_t hash = 14695981039346656037u;
  size_t i;
  for (i = 0; i < text.len; i++)
    hash = (hash ^ (unsigned char)text.at[i]) * 1099511628211u;
  return (size_t)(hash ^ hash >> 32);
}

EndpointTable *endpoint_table_new(void)
{
  EndpointTable *table = mem_zero(1, sizeof *table);
  table->size = 16;
  table->slots = mem_zero(table->size, sizeof *table->slots);
  return table;
}

Endpoint *endpoint_hold(Endpoint *endpoint)
{
  endpoint->references++;
  return endpoint;
}

void endpoint_release(Endpoint *endpoint)
{
  if (!endpoint || --endpoint->references > 0)
    return;
  endpoint_secrets_show(endpoint);
  mem_free(endpoint->hook_id);
  mem_free(endpoint->name);
  mem_free(endpoint->settings_json);
  mem_free(endpoint);
}

void plugin_slot_set(PluginSlot *plugin, Generation *generation)
{
  router_free(plugin->router);
  generation_release(plugin->live);
  plugin->live = generation;
  plugin->router = generation ? router_new(generation_package(generation)) : NULL;
}

void endpoint_table_free(EndpointTable *table)
{
  size_t i;
  for (i = 0; i < table->size; i++) {
    if (table->slots[i])
      endpoint_release(table->slots[i]);
  }
  while (table->plugins) {
    PluginSlot *plugin = table->plugins;
    table->plugins = plugin->next;
    plugin_slot_set(plugin, NULL);
    timer_stop(&plugin->turn);
    mem_free(plugin->name);
    mem_free(plugin);
  }
  mem_free(table->slots);
  mem_free(table);
}

PluginSlot *endpoint_table_plugin(EndpointTable *table, const char *name)
{
  PluginSlot *plugin;
  for (plugin = table->plugins; plugin; plugin = plugin->next) {
    if (strcmp(plugin->name, name) == 0)
      return plugin;
  }
  plugin = mem_zero(1, sizeof *plugin);
  plugin->name = mem_string(name);
  plugin->next = table->plugins;
  table->plugins = plugin;
  return plugin;
}

static Endpoint **place_of(const EndpointTable *table, Span hook_id)
{
  size_t i = hash_of(hook_id) & (table->size - 1);
  while (table->slots[i] && !span_is(hook_id, table->slots[i]->hook_id))
    i = (i + 1) & (table->size - 1);
  return &table->slots[i];
}

// Moves every endpoint into a table of twice as many slots.
static void grow(EndpointTable *table)
{
  Endpoint **old = table->slots;
  size_t i, old_size = table->size;
  table->size = old_size * 2;
  table->slots = mem_zero(table->size, sizeof *table->slots);
  for (i = 0; i < old_size; i++) {
    if (old[i])
      *place_of(table, span_of(old[i]->hook_id)) = old[i];
  }
  mem_free(old);
}

void endpoint_table_set(EndpointTable *table, const char *hook_id, const char *name,
                        PluginSlot *plugin, const char *settings_json, const EndpointLimits *limits,
                        bool is_enabled)
{
  Endpoint **place, *endpoint = mem_zero(1, sizeof *endpoint);
  if ((table->count + 1) * 2 > table->size)
    grow(table);
  endpoint->references = 1;
  endpoint->hook_id = mem_string(hook_id);
  endpoint->name = mem_string(name);
  endpoint->plugin = plugin;
  endpoint->settings_json = mem_string(settings_json);
  endpoint->is_enabled = is_enabled;
  if (limits)
    endpoint->limits = *limits;
  endpoint_secrets_hide(endpoint);
  place = place_of(table, span_of(hook_id));
  if (*place && strcmp((*place)->settings_json, settings_json) == 0)
    endpoint->serial = (*place)->serial;
  else
    endpoint->serial = ++table->next_serial;
  if (*place)
    endpoint_release(*place);
  else
    table->count++;
  *place = endpoint;
}

void endpoint_table_remove(EndpointTable *table, Span hook_id)
{
  Endpoint **place = place_of(table, hook_id);
  size_t at;
  if (!*place)
    return;
  endpoint_release(*place);
  *place = NULL;
  table->count--;
  // What stands behind it may have been pushed there by it: each finds its place anew.
  for (at = (size_t)(place - table->slots + 1) & (table->size - 1); table->slots[at];
       at = (at + 1) & (table->size - 1)) {
    Endpoint *moved = table->slots[at];
    table->slots[at] = NULL;
    *place_of(table, span_of(moved->hook_id)) = moved;
  }
}

void endpoint_table_clear(EndpointTable *table)
{
  size_t i;
  for (i = 0; i < table->size; i++) {
    endpoint_release(table->slots[i]);
    table->slots[i] = NULL;
  }
  table->count = 0;
}

void endpoint_table_hide(EndpointTable *table, const PluginSlot *plugin)
{
  size_t i;
  for (i = 0; i < table->size; i++) {
    if (table->slots[i] && table->slots[i]->plugin == plugin)
      endpoint_secrets_hide(table->slots[i]);
  }
}

size_t endpoint_table_count(const EndpointTable *table)
{
  return table->count;
}

Endpoint *endpoint_table_find(const EndpointTable *table, Span hook_id)
{
  return *place_of(table, hook_id);
}
