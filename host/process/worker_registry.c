// Following the registry: what the keeper published is served by the request after it.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "confine.h"
#include "endpoint_settings.h"
#include "worker_parts.h"

// A plugin whose requests hold more old versions than this loses the oldest of them.
enum { MAX_OLD_GENERATIONS = 32, GRACE_MS = 1000 };

// --- plugins -------------------------------------------------------------------------------------

static int load_plugin(Worker *worker, const RegistryPlugin *plugin, Err *err)
{
  Problems problems = { 0 };
  Package *package = package_read(plugin->dir, &problems);
  Generation *generation;
  PluginSlot *slot;
  if (!package) {
    err_set(err, UV_EINVAL, "%s", problems.count ? problems.items[0].text : "it cannot be read");
    problems_free(&problems);
    return err->code;
  }
  problems_free(&problems);
  scoreboard_place(plugin->id, plugin->hash, NULL, NULL);
  scoreboard_enter();
  generation = generation_load(&worker->runtime, package, plugin->dir, plugin->hash, DISPATCH_ENTRY,
                               dispatch_modules, err);
  scoreboard_leave();
  if (!generation) {
    package_free(package);
    return err->code;
  }
  slot = endpoint_table_plugin(worker_endpoints(worker), plugin->id);
  plugin_slot_set(slot, generation);
  endpoint_table_hide(worker_endpoints(worker), slot);
  dispatch_end_oldest(worker->dispatch, slot, MAX_OLD_GENERATIONS, "reloaded",
                      "the endpoint was replaced by newer versions", GRACE_MS);
  scoreboard_mine()->reloads++;
  return 0;
}

static void on_plugin(void *context, const RegistryPlugin *plugin, bool is_gone)
{
  Worker *worker = context;
  PluginSlot *slot = endpoint_table_plugin(worker_endpoints(worker), plugin->id);
  Err err = { 0 };
  if (is_gone) {
    plugin_slot_set(slot, NULL);
    return;
  }
  if (slot->live && strcmp(generation_hash(slot->live), plugin->hash) == 0)
    return;
  if (load_plugin(worker, plugin, &err) < 0)
    log_event(LOG_ERROR, "plugin not loaded by this worker", LOG_S("plugin", plugin->id),
              LOG_S("error", err.text),
              LOG_S("serving", slot->live ? "the version before" : "nothing"));
}

// --- endpoints -----------------------------------------------------------------------------------

static void on_withdrawn(Timer *timer)
{
  Worker *worker = (Worker *)((char *)timer - offsetof(Worker, withdrawn));
  dispatch_end_withdrawn(worker->dispatch, "disabled", "the endpoint was disabled", GRACE_MS);
}

static void set_endpoint(Worker *worker, const RegistryEndpoint *endpoint)
{
  EndpointTable *table = worker_endpoints(worker);
  EndpointLimits limits = endpoint_limits_from_json(endpoint->limits, &worker->plugin_limits);
  Buffer settings = { 0 };
  Err err = { 0 };
  if (served_settings_open(worker->secrets, endpoint->hook_id, endpoint->settings, &settings,
                           &err) < 0)
    log_event(LOG_ERROR, "endpoint not served", LOG_S("endpoint", endpoint->name),
              LOG_S("plugin", endpoint->plugin), LOG_S("error", err.text));
  else
    endpoint_table_set(table, endpoint->hook_id, endpoint->name,
                       endpoint_table_plugin(table, endpoint->plugin), settings.bytes, &limits,
                       endpoint->is_enabled);
  buffer_free(&settings);
}

static void on_endpoint(void *context, const RegistryEndpoint *endpoint, bool is_gone)
{
  Worker *worker = context;
  EndpointTable *table = worker_endpoints(worker);
  const Endpoint *before = endpoint_table_find(table, span_of(endpoint->hook_id));
  if (before && before->is_enabled && (is_gone || !endpoint->is_enabled))
    timer_start(worker->loop, &worker->withdrawn, worker->drain_ms, on_withdrawn);
  if (is_gone)
    endpoint_table_remove(table, span_of(endpoint->hook_id));
  else
    set_endpoint(worker, endpoint);
}

static void on_all(void *context)
{
  Worker *worker = context;
  endpoint_table_clear(worker_endpoints(worker)); // its plugins are compared by their hashes
}

// --- following -----------------------------------------------------------------------------------

// Whether this process may open what the configuration names; NULL: it could not be read.
static bool reaches_all(const Config *config, const Err *err)
{
  uint32_t i;
  if (!config)
    return !confine_is_on() || !strstr(err->text, "may not be read");
  for (i = 0; i < config->watched_count; i++) {
    if (!confine_reaches(config->watched[i]))
      return false;
  }
  return true;
}

static int take_config(Worker *worker, Err *err)
{
  ConfigSources sources = worker->sources;
  Buffer text = { 0 };
  uint64_t version;
  Config *config;
  int rc;
  if (scoreboard_config_version() == worker->config_version)
    return 0;
  version = scoreboard_config(&text);
  if (version == 0)
    return 0;
  sources.text = text.bytes ? text.bytes : "";
  sources.text_len = text.len;
  config = config_read(&sources, err);
  buffer_free(&text);
  worker->config_version = version; // what cannot be taken now is not tried again
  if (!reaches_all(config, err)) {
    log_event(LOG_INFO, "the configuration reads new folders, a fresh worker takes it",
              LOG_I("pid", getpid()));
    raise(SIGTERM); // in order
  }
  if (!config)
    return err->code;
  rc = worker_configure(worker, config, err);
  config_free(config);
  return rc;
}

static int read_all(Worker *worker, Err *err)
{
  static const RegistryReader reader = { on_plugin, on_endpoint, on_all };
  Err why;
  if (take_config(worker, &why) < 0)
    log_event(LOG_ERROR, "configuration not taken by this worker", LOG_S("error", why.text));
  return registry_read(worker->registry, &worker->version, &reader, worker, err);
}

bool worker_refresh(void *context)
{
  Worker *worker = context;
  Err err;
  if (read_all(worker, &err) == 0)
    return true;
  log_event(LOG_ERROR, "registry not read", LOG_S("error", err.text));
  return false;
}

void worker_look(Worker *worker)
{
  worker_look_passed(worker);
  if (worker->registry && !worker->is_stopping)
    dispatch_refresh(worker->dispatch);
}

int worker_follow(Worker *worker, const char *data_dir, const ConfigSources *sources,
                  uint64_t config_version, Err *err)
{
  worker->sources = *sources;
  worker->config_version = config_version;
  worker->secrets = secrets_open(data_dir, false, err);
  if (!worker->secrets)
    return err->code;
  worker->registry = registry_follow(data_dir, err);
  return worker->registry ? 0 : err->code;
}

void worker_unfollow(Worker *worker)
{
  registry_close(worker->registry);
  worker->registry = NULL;
  secrets_close(worker->secrets);
  worker->secrets = NULL;
}
