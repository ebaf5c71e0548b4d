// See endpoint_json.h: endpoints. plugin_json.c has the rest.
#include "endpoint_json.h"

#include <stdio.h>
#include <time.h>

#include "../base/memory.h"
#include "choices.h"
#include "endpoint_book_parts.h"

// What both kinds of endpoints are shown by.
typedef struct {
  const char *id, *plugin, *name, *hook_id, *origin;
  bool is_enabled;
  const char *problem;             // JSON, or NULL
  const char *limits;              // JSON
  uint64_t created_ms, updated_ms; // 0: not known
} Shown;

static void add_text(Buffer *json, const char *name, const char *text)
{
  buffer_printf(json, "\"%s\":", name);
  buffer_json_string(json, text, strlen(text));
  buffer_char(json, ',');
}

void json_add_time(Buffer *json, const char *name, uint64_t ms)
{
  char text[40] = "null";
  time_t seconds = (time_t)(ms / 1000);
  struct tm tm;
  if (ms > 0 && gmtime_r(&seconds, &tm)) {
    size_t len = strftime(text, sizeof text, "\"%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, sizeof text - len, ".%03uZ\"", (unsigned)(ms % 1000));
  }
  buffer_printf(json, "\"%s\":%s,", name, text);
}

static void add_routes(Buffer *json, const Package *package, const Buffer *url)
{
  uint32_t i;
  buffer_string(json, "\"routes\":[");
  for (i = 0; package && i < package->declaration_count; i++) {
    const Declaration *declaration = &package->declarations[i];
    char **method;
    buffer_string(json, i ? ",{\"methods\":[" : "{\"methods\":[");
    for (method = declaration->methods; *method; method++)
      buffer_printf(json, "%s\"%s\"", method == declaration->methods ? "" : ",", *method);
    buffer_string(json, "],\"path\":");
    buffer_json_string(json, declaration->rule->text, strlen(declaration->rule->text));
    buffer_string(json, ",\"url\":");
    {
      Buffer whole = { 0 };
      buffer_append(&whole, url->bytes, url->len);
      buffer_string(&whole, declaration->rule->text);
      buffer_json_string(json, whole.bytes, whole.len);
      buffer_free(&whole);
    }
    buffer_printf(json, ",\"hidden\":%s}", declaration->is_hidden ? "true" : "false");
  }
  buffer_char(json, ']');
}

// Apps and models that the settings choose and nobody has.
static void add_warnings(const Keeper *keeper, const Package *package, Span settings, Buffer *json)
{
  Problems problems = { 0 };
  YamlNode *values = package ? yaml_from_json(settings.at, settings.len, NULL) : NULL;
  if (values)
    choices_check(keeper->config, package, values, NULL, &problems);
  buffer_string(json, "\"warnings\":");
  book_doubts_json(&problems, json);
  buffer_char(json, ',');
  problems_free(&problems);
  yaml_node_free(values);
}

static void show(const Keeper *keeper, const Shown *shown, const GivenSettings *given,
                 const char *shown_json, Buffer *json)
{
  const Served *served = keeper_find_plugin(keeper, shown->plugin);
  const Package *package = served ? served->package : NULL;
  Buffer url = { 0 }, settings = { 0 };
  keeper_append_url(keeper, shown->hook_id, &url);
  if (given)
    given_settings_show(given, package, &settings);
  else
    buffer_string(&settings, shown_json);
  buffer_char(json, '{');
  add_text(json, "id", shown->id);
  add_text(json, "plugin", served ? served->id : shown->plugin);
  add_text(json, "name", shown->name);
  add_text(json, "hook_id", shown->hook_id);
  add_text(json, "url", url.bytes);
  add_text(json, "origin", shown->origin);
  buffer_printf(json, "\"enabled\":%s,\"settings\":", shown->is_enabled ? "true" : "false");
  buffer_append(json, settings.bytes, settings.len);
  buffer_printf(json, ",\"limits\":%s,\"problem\":%s,", shown->limits,
                shown->problem ? shown->problem : "null");
  add_warnings(keeper, package, (Span){ settings.bytes, settings.len }, json);
  json_add_time(json, "created_at", shown->created_ms);
  json_add_time(json, "updated_at", shown->updated_ms);
  add_routes(json, package, &url);
  buffer_char(json, '}');
  buffer_free(&settings);
  buffer_free(&url);
}

void endpoint_json_of_entry(const Keeper *keeper, const BookEntry *entry, Buffer *json)
{
  const StoredEndpoint *row = &entry->row;
  const GivenSettings given = { row->settings, row->secrets };
  const Shown shown = { row->id,         row->plugin,     row->name,      row->hook_id,
                        "api",           row->is_enabled, entry->problem, row->limits,
                        row->created_ms, row->updated_ms };
  show(keeper, &shown, &given, NULL, json);
}

static void show_kept(const Keeper *keeper, const Kept *kept, Buffer *json)
{
  const Shown shown = { .id = kept->id,
                        .plugin = kept->plugin,
                        .name = kept->name,
                        .hook_id = kept->hook_id,
                        .origin = "config",
                        .is_enabled = kept->is_enabled,
                        .problem = kept->problem,
                        .limits = kept->limits_json };
  show(keeper, &shown, NULL, kept->shown_json, json);
}

bool endpoint_json_find(const Keeper *keeper, Span id, Buffer *json)
{
  const Kept *kept = keeper_find_kept(keeper, id);
  const BookEntry *entry = kept ? NULL : endpoint_book_find(keeper->book, id);
  if (kept)
    show_kept(keeper, kept, json);
  else if (entry)
    endpoint_json_of_entry(keeper, entry, json);
  return kept || entry;
}

// --- pages ---------------------------------------------------------------------------------------

static bool is_of(const Keeper *keeper, const char *plugin, Span wanted)
{
  const Served *served;
  if (!wanted.at)
    return true;
  served = keeper_find_plugin(keeper, plugin);
  return span_is(wanted, served ? served->id : plugin);
}

// A plugin that is meant, "name" or "author/name", by its id.
static Span id_of(const Keeper *keeper, Span plugin)
{
  char *name = plugin.at ? mem_bytes(plugin.at, plugin.len) : NULL;
  const Served *served = name ? keeper_find_plugin(keeper, name) : NULL;
  mem_free(name);
  return served ? span_of(served->id) : plugin;
}

// The index in the configuration's endpoints to go on with.
static uint32_t kept_behind(const Keeper *keeper, Span after)
{
  uint32_t i;
  if (after.len == 0)
    return 0;
  for (i = 0; i < keeper->kept_count; i++) {
    if (span_is(after, keeper->kept[i].id))
      return i + 1;
  }
  return keeper->kept_count;
}

void endpoint_json_page(const Keeper *keeper, Span after, uint32_t limit, Span plugin, Buffer *json,
                        Buffer *next)
{
  const EndpointBook *book = keeper->book;
  uint32_t shown = 0, i;
  const char *last = NULL;
  bool is_api = after.len > 3 && memcmp(after.at, "ep_", 3) == 0;
  plugin = id_of(keeper, plugin);
  buffer_char(json, '[');
  for (i = kept_behind(keeper, after); i < keeper->kept_count && shown <= limit; i++) {
    const Kept *kept = &keeper->kept[i];
    if (!is_of(keeper, kept->plugin, plugin))
      continue;
    if (shown++ == limit)
      break;
    buffer_string(json, shown > 1 ? "," : "");
    show_kept(keeper, kept, json);
    last = kept->id;
  }
  for (i = is_api ? endpoint_book_behind(book, after) : 0;
       i < endpoint_book_count(book) && shown <= limit; i++) {
    const BookEntry *entry = endpoint_book_at(book, i);
    if (plugin.at && !span_is(plugin, entry->row.plugin))
      continue;
    if (shown++ == limit)
      break;
    buffer_string(json, shown > 1 ? "," : "");
    endpoint_json_of_entry(keeper, entry, json);
    last = entry->row.id;
  }
  buffer_char(json, ']');
  if (shown > limit && last)
    buffer_string(next, last);
}
