// The keeper's endpoints: an address and settings for each, published to the worker's table; the
// settings that served last are kept for when the written ones do not fit any more.
#include <stdlib.h>

#include "../base/digest.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/scoreboard.h"
#include "../dispatch/hook_url.h"
#include "choices.h"
#include "demo_settings.h"
#include "endpoint_book_parts.h"

enum { REPUBLISH_MS = 500 };

static void kept_free(Kept *kept)
{
  mem_free(kept->id);
  mem_free(kept->plugin);
  mem_free(kept->name);
  mem_free(kept->hook_id);
  mem_free(kept->settings_json);
  mem_free(kept->shown_json);
  mem_free(kept->limits_json);
  mem_free(kept->problem);
  mem_free(kept->doubts);
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

const Kept *keeper_find_kept(const Keeper *keeper, Span id)
{
  uint32_t i;
  for (i = 0; i < keeper->kept_count; i++) {
    if (span_is(id, keeper->kept[i].id))
      return &keeper->kept[i];
  }
  return NULL;
}

bool keeper_has_hook(const Keeper *keeper, const char *hook_id)
{
  uint32_t i;
  for (i = 0; i < keeper->kept_count; i++) {
    if (keeper->kept[i].hook_id && strcmp(keeper->kept[i].hook_id, hook_id) == 0)
      return true;
  }
  return false;
}

bool keeper_has_name(const Keeper *keeper, const char *plugin, const char *name)
{
  uint32_t i;
  for (i = 0; i < keeper->kept_count; i++) {
    const Served *served = keeper_find_plugin(keeper, keeper->kept[i].plugin);
    if (strcmp(keeper->kept[i].name, name) == 0 && served && strcmp(served->id, plugin) == 0)
      return true;
  }
  return false;
}

// --- publishing ----------------------------------------------------------------------------------

static void begin(Keeper *keeper)
{
  registry_begin(keeper->registry);
  keeper->is_publishing = true;
}

static void on_republish(Timer *timer)
{
  keeper_apply_endpoints((Keeper *)((char *)timer - offsetof(Keeper, republish)));
}

static void commit(Keeper *keeper)
{
  bool is_changed;
  Err err;
  keeper->is_publishing = false;
  if (registry_commit(keeper->registry, &is_changed, &err) < 0) {
    log_event(LOG_ERROR, "what is served could not be published, trying again",
              LOG_S("error", err.text), LOG_I("in_ms", REPUBLISH_MS));
    timer_start(keeper->loop, &keeper->republish, REPUBLISH_MS, on_republish);
  }
  if (is_changed)
    scoreboard_raise();
}

// A single change; within a greater one it becomes part of that.
static bool begin_one(Keeper *keeper)
{
  if (keeper->is_publishing)
    return false;
  begin(keeper);
  return true;
}

static void commit_one(Keeper *keeper, bool has_begun)
{
  if (!has_begun)
    return;
  commit(keeper);
  if (keeper->on_publish)
    keeper->on_publish(keeper->context);
}

void keeper_publish_endpoint(Keeper *keeper, const RegistryEndpoint *endpoint)
{
  bool has_begun = begin_one(keeper);
  registry_put_endpoint(keeper->registry, endpoint);
  commit_one(keeper, has_begun);
}

void keeper_unpublish_endpoint(Keeper *keeper, const char *hook_id)
{
  bool has_begun = begin_one(keeper);
  registry_remove_endpoint(keeper->registry, hook_id);
  commit_one(keeper, has_begun);
}

// --- endpoints of the configuration --------------------------------------------------------------

// "cfg_" and base32 of what makes the endpoint the same one.
static char *id_of(const char *plugin, const char *name)
{
  static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
  unsigned char hash[DIGEST_BYTES];
  char id[4 + 26 + 1] = "cfg_";
  Buffer text = { 0 };
  size_t i;
  buffer_append(&text, plugin, strlen(plugin) + 1);
  buffer_string(&text, name);
  digest_of(text.bytes, text.len, hash);
  buffer_free(&text);
  for (i = 0; i < 26; i++)
    id[4 + i] = digits[hash[i] & 31];
  return mem_string(id);
}

// What the settings choose and nobody has, told when it is news.
static void doubt(const Keeper *keeper, const ConfigEndpoint *endpoint, const Package *package,
                  const Kept *before, Kept *kept)
{
  Problems problems = { 0 };
  Buffer all = { 0 };
  size_t i;
  choices_check(keeper->config, package, endpoint->settings, keeper->config->file, &problems);
  for (i = 0; i < problems.count; i++)
    buffer_printf(&all, "%s\n", problems.items[i].text);
  for (i = 0; i < problems.warning_count; i++)
    buffer_printf(&all, "%s\n", problems.warnings[i].text);
  if (all.len > 0 && (!before || !before->doubts || strcmp(before->doubts, all.bytes) != 0))
    keeper_log_doubts(&problems, package->name, endpoint->name);
  kept->doubts = all.len > 0 ? buffer_take(&all) : NULL;
  problems_free(&problems);
}

// The settings that handlers get; the last good ones, with a log record, when the written ones do
// not fit the plugin. NULL: there are none to serve with.
static char *settings_of(const Keeper *keeper, const ConfigEndpoint *endpoint,
                         const Package *package, const Kept *before, char **problem)
{
  Problems problems = { 0 };
  Buffer json = { 0 };
  char *result;
  if (!package) {
    keeper_tell_missing(keeper, endpoint->plugin, endpoint->name);
    *problem = book_problem_json(&problems, "the plugin is not loaded");
    return mem_string(before && before->settings_json ? before->settings_json
                                                      : "{}"); // answered with 503
  }
  if (package_settings(package, endpoint->settings, &json, &problems,
                       endpoint->line ? keeper->config->file : NULL) == 0) {
    result = json.len ? buffer_take(&json) : mem_string("{}");
  } else {
    bool has_old = before && before->settings_json;
    const char *serving = has_old ? "the last good settings" : "nothing";
    keeper_log_problems(&problems, package->name);
    log_event(LOG_ERROR, "endpoint settings do not fit", LOG_S("plugin", package->name),
              LOG_S("endpoint", endpoint->name), LOG_S("serving", serving));
    *problem = book_problem_json(
        &problems, has_old ? "the settings do not fit the plugin; the last ones that did are served"
                           : "the settings do not fit the plugin; the endpoint is not served");
    result = mem_string(has_old ? before->settings_json : NULL);
  }
  problems_free(&problems);
  buffer_free(&json);
  return result;
}

// Sealed a second time a text is another one: that would be a change, which is written and read,
// where there is none. So what is published of the same settings stays, if it has the present key.
static void seal_kept(const Keeper *keeper, const Kept *kept, Buffer *sealed)
{
  Secrets *secrets = endpoint_book_secrets(keeper->book);
  char *published = registry_find_settings(keeper->registry, kept->hook_id);
  Buffer clear = { 0 };
  Err unused;
  if (published && span_is(secrets_id_of(span_of(published)), secrets_key_id(secrets)) &&
      served_settings_open(secrets, kept->hook_id, published, &clear, &unused) == 0 &&
      span_is((Span){ clear.bytes, clear.len }, kept->settings_json))
    buffer_string(sealed, published);
  else
    served_settings_seal(secrets, true, kept->hook_id, span_of(kept->settings_json), sealed);
  buffer_free(&clear);
  mem_free(published);
}

static void publish_kept(Keeper *keeper, const Kept *kept, const Served *served)
{
  Buffer sealed = { 0 };
  if (served && package_has_secrets(served->package))
    seal_kept(keeper, kept, &sealed);
  else
    buffer_string(&sealed, kept->settings_json);
  keeper_publish_endpoint(
      keeper, &(RegistryEndpoint){ kept->hook_id, kept->name, served ? served->id : kept->plugin,
                                   sealed.bytes, kept->is_enabled, kept->limits_json });
  buffer_free(&sealed);
}

// Gives the endpoint its address. False, with a log record: it has none.
static bool find_address(Keeper *keeper, const ConfigEndpoint *endpoint, char *hook_id, size_t size)
{
  Err err = { 0 };
  const BookEntry *other;
  if (!endpoint->hook_id) {
    if (store_hook_id(keeper->store, endpoint->plugin, endpoint->name, hook_id, size, &err) == 0)
      return true;
  } else {
    snprintf(hook_id, size, "%s", endpoint->hook_id);
    other = endpoint_book_find_hook(keeper->book, hook_id);
    if (!other)
      return true;
    err_set(&err, UV_EEXIST, "the hook id is taken by the endpoint %s", other->row.id);
  }
  log_event(LOG_ERROR, "endpoint without address", LOG_S("plugin", endpoint->plugin),
            LOG_S("endpoint", endpoint->name), LOG_S("error", err.text));
  return false;
}

static bool keep_endpoint(Keeper *keeper, const ConfigEndpoint *endpoint, Kept *kept)
{
  const Served *served = keeper_find_plugin(keeper, endpoint->plugin);
  const Kept *before = find_kept(keeper, endpoint->plugin, endpoint->name);
  Buffer shown = { 0 }, limits = { 0 };
  char hook_id[64];
  if (!find_address(keeper, endpoint, hook_id, sizeof hook_id))
    return false;
  config_settings_show(endpoint->settings, served ? served->package : NULL, &shown);
  endpoint_limits_json(&endpoint->limits, &limits);
  *kept = (Kept){ .id = id_of(endpoint->plugin, endpoint->name),
                  .plugin = mem_string(endpoint->plugin),
                  .name = mem_string(endpoint->name),
                  .hook_id = mem_string(hook_id),
                  .shown_json = buffer_take(&shown),
                  .limits_json = buffer_take(&limits),
                  .is_enabled = endpoint->is_enabled };
  if (served)
    doubt(keeper, endpoint, served->package, before, kept);
  kept->settings_json =
      settings_of(keeper, endpoint, served ? served->package : NULL, before, &kept->problem);
  if (kept->settings_json)
    publish_kept(keeper, kept, served);
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
           keeper->public_port);
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

static bool keep_unasked(Keeper *keeper, const Served *served, Kept *kept)
{
  YamlDoc *settings = demo_settings(served->package, !keeper->config->file);
  bool is_plain = keeper_find_plugin(keeper, served->name) == served;
  const ConfigEndpoint endpoint = { .plugin = is_plain ? served->name : served->id,
                                    .name = served->name,
                                    .is_enabled = true,
                                    .settings = yaml_root(settings) };
  bool is_kept = keep_endpoint(keeper, &endpoint, kept);
  kept->is_unasked = is_kept;
  yaml_doc_free(settings);
  return is_kept;
}

void keeper_apply_endpoints(Keeper *keeper)
{
  const Config *config = keeper->config;
  const Served *served;
  uint32_t i, count = 0, room = config->endpoint_count;
  Kept *kept;
  begin(keeper);
  for (served = keeper->served; served; served = served->next) {
    room++;
    if (served->id)
      registry_put_plugin(keeper->registry, &(RegistryPlugin){ served->id, served->dir,
                                                               served->hash, served->folder });
  }
  kept = mem_zero(room, sizeof *kept);
  for (i = 0; i < config->endpoint_count; i++)
    count += keep_endpoint(keeper, &config->endpoints[i], &kept[count]);
  // While a plugin is being written it has an address without being asked for one.
  for (served = keeper->served; served && keeper->watches; served = served->next) {
    if (served->name && !has_endpoint(keeper, served))
      count += keep_unasked(keeper, served, &kept[count]);
  }
  endpoint_book_apply(keeper->book);
  registry_remove_others(keeper->registry);
  commit(keeper);
  keeper_free_endpoints(keeper);
  keeper->kept = kept;
  keeper->kept_count = count;
  warn_local_url(keeper);
}

// --- addresses -----------------------------------------------------------------------------------

void keeper_append_url(const Keeper *keeper, const char *hook_id, Buffer *url)
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
    keeper_append_url(keeper, kept->hook_id, &url);
    for (j = 0; served && kept->settings_json && j < served->package->declaration_count; j++) {
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
    if (!keeper->kept[i].settings_json)
      continue;
    keeper_append_url(keeper, keeper->kept[i].hook_id, &url);
    log_event(LOG_INFO, "endpoint", LOG_S("plugin", slash ? slash + 1 : keeper->kept[i].plugin),
              LOG_S("name", keeper->kept[i].name), LOG_S("url", url.bytes));
    buffer_free(&url);
  }
}
