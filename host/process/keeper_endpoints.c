// The keeper's endpoints: an address and settings for each, published to the worker's table; the
// settings that served last are kept for when the written ones do not fit any more.
#include <stdlib.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../dispatch/hook_url.h"
#include "keeper_parts.h"

static void kept_free(Kept *kept)
{
  mem_free(kept->plugin);
  mem_free(kept->name);
  mem_free(kept->hook_id);
  mem_free(kept->settings_json);
}

static const Kept *find_kept(const Keeper *keeper, const char *plugin, const char *name)
{
  uint32_t i;
  for (i = 0; i < keeper->kept_count; i++) {
    if (strcmp(keeper->kept[i].plugin, plugin) == 0 && strcmp(keeper->kept[i].name, name) == 0)
      return &keeper->kept[i];
  }
  return NULL;
}

// The settings that handlers get; the last good ones, with a log record, when the written ones do
// not fit the plugin. NULL: there are none to serve with.
static char *settings_of(const Keeper *keeper, const ConfigEndpoint *endpoint,
                         const Package *package, const Kept *before)
{
  const char *file = keeper->config->file ? keeper->config->file : "moonhook.yaml";
  Problems problems = { 0 };
  Buffer json = { 0 };
  char *result;
  if (!package) {
    log_event(LOG_WARN, "endpoint without plugin", LOG_S("endpoint", endpoint->name),
              LOG_S("plugin", endpoint->plugin));
    return mem_string(before ? before->settings_json : "{}"); // answered with 503
  }
  if (package_settings(package, endpoint->settings, &json, &problems, file) == 0) {
    result = json.len ? buffer_take(&json) : mem_string("{}");
  } else {
    keeper_log_problems(&problems, package->name);
    log_event(LOG_ERROR, "endpoint settings do not fit", LOG_S("plugin", package->name),
              LOG_S("endpoint", endpoint->name),
              LOG_S("serving", before ? "the last good settings" : "nothing"));
    result = mem_string(before ? before->settings_json : NULL);
  }
  problems_free(&problems);
  buffer_free(&json);
  return result;
}

static bool keep_endpoint(Keeper *keeper, const ConfigEndpoint *endpoint, Kept *kept)
{
  const Served *served = keeper_find_plugin(keeper, endpoint->plugin);
  const char *plugin = endpoint->plugin;
  const Kept *before = find_kept(keeper, plugin, endpoint->name);
  char hook_id[64];
  Err err;
  char *settings = settings_of(keeper, endpoint, served ? served->package : NULL, before);
  if (!settings)
    return false;
  if (endpoint->hook_id) {
    snprintf(hook_id, sizeof hook_id, "%s", endpoint->hook_id);
  } else if (store_hook_id(keeper->store, plugin, endpoint->name, hook_id, sizeof hook_id, &err) <
             0) {
    log_event(LOG_ERROR, "endpoint without address", LOG_S("plugin", plugin),
              LOG_S("endpoint", endpoint->name), LOG_S("error", err.text));
    mem_free(settings);
    return false;
  }
  *kept = (Kept){ mem_string(plugin), mem_string(endpoint->name), mem_string(hook_id), settings };
  endpoint_table_set(
      worker_endpoints(keeper->worker), hook_id, endpoint->name,
      endpoint_table_plugin(worker_endpoints(keeper->worker), served ? served->id : plugin),
      settings, endpoint->is_enabled);
  return true;
}

static bool has_endpoint(const Keeper *keeper, const Served *served)
{
  uint32_t i;
  for (i = 0; i < keeper->config->endpoint_count; i++) {
    if (keeper_find_plugin(keeper, keeper->config->endpoints[i].plugin) == served)
      return true;
  }
  return false;
}

void keeper_free_endpoints(Keeper *keeper)
{
  uint32_t i;
  for (i = 0; i < keeper->kept_count; i++)
    kept_free(&keeper->kept[i]);
  mem_free(keeper->kept);
  keeper->kept = NULL;
  keeper->kept_count = 0;
}

static HookPlaceOutside outside_of(const Keeper *keeper, char listener[80])
{
  const Config *config = keeper->config;
  const char *host = config->public_listen.host;
  bool is_v6 = strchr(host, ':') != NULL;
  snprintf(listener, 80, "%s%s%s:%d", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
           worker_port(keeper->worker));
  return (HookPlaceOutside){ .public_url = config->public_url,
                             .base_domain = config->base_domain,
                             .host = span_of(listener) };
}

// Told once for each address: clients elsewhere cannot use such URLs.
static void warn_local_url(Keeper *keeper)
{
  char listener[80];
  HookPlaceOutside outside = outside_of(keeper, listener), own = { .host = outside.host };
  bool is_local = hook_url_is_local(&outside) &&
                  (!hook_url_is_local(&own) || strncmp(listener, "0.0.0.0:", 8) == 0 ||
                   strncmp(listener, "[::]:", 5) == 0);
  if (is_local && !keeper->is_url_told)
    log_event(LOG_WARN, "endpoints' URLs lead to this machine only, set public.url",
              LOG_S("url", outside.public_url ? outside.public_url : listener),
              LOG_S("listener", listener));
  keeper->is_url_told = is_local;
}

void keeper_apply_endpoints(Keeper *keeper)
{
  static const YamlNode no_settings = { .type = YAML_MAP, .line = 1, .column = 1 };
  const Config *config = keeper->config;
  const Served *served;
  uint32_t i, count = 0, room = config->endpoint_count;
  Kept *kept;
  for (served = keeper->served; served; served = served->next)
    room++;
  kept = mem_zero(room, sizeof *kept);
  for (i = 0; i < config->endpoint_count; i++)
    count += keep_endpoint(keeper, &config->endpoints[i], &kept[count]);
  // While a plugin is being written it has an address without being asked for one.
  for (served = keeper->served; served && keeper->watches; served = served->next) {
    bool is_plain = served->name && keeper_find_plugin(keeper, served->name) == served;
    const ConfigEndpoint endpoint = { .plugin = is_plain ? served->name : served->id,
                                      .name = served->name,
                                      .is_enabled = true,
                                      .settings = &no_settings };
    if (served->name && !has_endpoint(keeper, served))
      count += keep_endpoint(keeper, &endpoint, &kept[count]);
  }
  endpoint_table_sweep(worker_endpoints(keeper->worker));
  keeper_free_endpoints(keeper);
  keeper->kept = kept;
  keeper->kept_count = count;
  warn_local_url(keeper);
}

// --- addresses -----------------------------------------------------------------------------------

static void append_base(const Keeper *keeper, const char *hook_id, Buffer *url)
{
  char listener[80];
  HookPlaceOutside outside = outside_of(keeper, listener);
  hook_url_append(&outside, hook_id, url);
}

void keeper_print_urls(const Keeper *keeper, FILE *out)
{
  uint32_t i, j;
  for (i = 0; i < keeper->kept_count; i++) {
    const Kept *kept = &keeper->kept[i];
    const Served *served = keeper_find_plugin(keeper, kept->plugin);
    Buffer url = { 0 };
    append_base(keeper, kept->hook_id, &url);
    for (j = 0; served && j < served->package->declaration_count; j++) {
      const Declaration *declaration = &served->package->declarations[j];
      fprintf(out, "%-7s %s%s  (%s: %s)\n", declaration->methods[0], url.bytes,
              declaration->rule->text, kept->plugin, kept->name);
    }
    buffer_free(&url);
  }
  fflush(out);
}

void keeper_log_urls(const Keeper *keeper)
{
  uint32_t i;
  for (i = 0; i < keeper->kept_count; i++) {
    const char *slash = strchr(keeper->kept[i].plugin, '/');
    Buffer url = { 0 };
    append_base(keeper, keeper->kept[i].hook_id, &url);
    log_event(LOG_INFO, "endpoint", LOG_S("plugin", slash ? slash + 1 : keeper->kept[i].plugin),
              LOG_S("name", keeper->kept[i].name), LOG_S("url", url.bytes));
    buffer_free(&url);
  }
}
