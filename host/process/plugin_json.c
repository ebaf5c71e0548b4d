// See endpoint_json.h: plugins, and what selectors choose from.
#include <stdio.h>

#include "../base/scoreboard.h"
#include "../dispatch/quarantine.h"
#include "endpoint_book_parts.h"
#include "endpoint_json.h"

static void add_string(Buffer *json, const char *name, const char *text)
{
  buffer_printf(json, "\"%s\":", name);
  if (text)
    buffer_json_string(json, text, strlen(text));
  else
    buffer_string(json, "null");
}

static void add_json(Buffer *json, const char *name, const char *value)
{
  buffer_printf(json, ",\"%s\":%s", name, value ? value : "null");
}

static void show_setting(const Setting *setting, Buffer *json)
{
  buffer_char(json, '{');
  add_string(json, "name", setting->name);
  buffer_printf(json, ",\"type\":\"%s\",\"required\":%s,\"multiple\":%s,",
                setting_type_name(setting->type), setting->is_required ? "true" : "false",
                setting->is_multiple ? "true" : "false");
  add_string(json, "scope", setting->scope);
  add_json(json, "default", setting->default_json);
  add_json(json, "options", setting->options_json);
  add_json(json, "label", setting->label_json);
  add_json(json, "help", setting->help_json);
  add_json(json, "placeholder", setting->placeholder_json);
  buffer_char(json, ',');
  add_string(json, "url", setting->url);
  buffer_char(json, '}');
}

static void show_declaration(const Declaration *declaration, Buffer *json)
{
  char **method;
  buffer_char(json, '{');
  add_string(json, "path", declaration->rule->text);
  buffer_string(json, ",\"methods\":[");
  for (method = declaration->methods; *method; method++)
    buffer_printf(json, "%s\"%s\"", method == declaration->methods ? "" : ",", *method);
  buffer_printf(json, "],\"hidden\":%s}", declaration->is_hidden ? "true" : "false");
}

// What the live version did to workers.
static void show_trouble(const Served *served, Buffer *json)
{
  const Suspect *suspect = served->package ? quarantine_find(served->id, served->hash) : NULL;
  uint64_t until_ms = suspect ? suspect->until_ms : 0;
  buffer_string(json, "\"trouble\":");
  if (!suspect || (until_ms == 0 && !suspect->is_watched)) {
    buffer_string(json, "null,");
    return;
  }
  buffer_printf(json, "{\"state\":\"%s\",", until_ms > 0 ? "quarantined" : "suspect");
  json_add_time(json, "until_at", until_ms > 0 ? until_ms : suspect->kills_ms[0] + SUSPECT_MS);
  json_add_time(json, "killed_at", suspect->kills_ms[0]);
  add_string(json, "reason", suspect->cause[0] ? suspect->cause : "before the host was started");
  buffer_string(json, "},");
}

// A folder whose plugin could never be loaded is shown by the folder's name.
static void show_plugin(const Served *served, Buffer *json)
{
  const Package *package = served->package;
  const char *slash = strrchr(served->folder, '/');
  uint32_t i;
  buffer_char(json, '{');
  add_string(json, "id", served->id);
  buffer_char(json, ',');
  add_string(json, "author", package ? package->author : NULL);
  buffer_char(json, ',');
  add_string(json, "name", package ? package->name : slash ? slash + 1 : served->folder);
  buffer_char(json, ',');
  add_string(json, "version", package ? package->version : NULL);
  add_json(json, "label", package ? package->label_json : NULL);
  buffer_printf(json, ",\"state\":\"%s\",", served->error ? "error" : "loaded");
  add_string(json, "error", served->error);
  buffer_char(json, ',');
  add_string(json, "hash", package ? served->hash : NULL);
  buffer_char(json, ',');
  show_trouble(served, json);
  buffer_string(json, "\"endpoints\":[");
  for (i = 0; package && i < package->declaration_count; i++) {
    buffer_string(json, i ? "," : "");
    show_declaration(&package->declarations[i], json);
  }
  buffer_string(json, "],\"settings\":[");
  for (i = 0; package && i < package->setting_count; i++) {
    buffer_string(json, i ? "," : "");
    show_setting(&package->settings[i], json);
  }
  buffer_string(json, "]}");
}

bool plugin_json_list(const Keeper *keeper, Span id, Buffer *json)
{
  const Served *served;
  uint32_t shown = 0;
  if (!id.at)
    buffer_char(json, '[');
  for (served = keeper->served; served; served = served->next) {
    if (id.at && (!served->id || !span_is(id, served->id)))
      continue;
    buffer_string(json, shown++ ? "," : "");
    show_plugin(served, json);
    if (id.at)
      break;
  }
  if (!id.at)
    buffer_char(json, ']');
  return !id.at || shown > 0;
}

static void show_backend(const ConfigBackend *backend, Buffer *json)
{
  uint32_t i;
  buffer_json_string(json, backend->name, strlen(backend->name));
  buffer_printf(json, ":{\"type\":\"%s\"", backend_type_name(backend->type));
  if (backend->models_json)
    buffer_printf(json, ",\"models\":%s", backend->models_json);
  buffer_string(json, ",\"apps\":[");
  for (i = 0; i < backend->app_count; i++) {
    buffer_string(json, i ? "," : "");
    buffer_json_string(json, backend->apps[i].app_id, strlen(backend->apps[i].app_id));
  }
  buffer_string(json, "]}");
}

void catalogue_json(const Keeper *keeper, Buffer *json)
{
  const Config *config = keeper->config;
  uint32_t i;
  buffer_string(json, "{\"backends\":{");
  for (i = 0; i < config->backend_count; i++) {
    buffer_string(json, i ? "," : "");
    show_backend(&config->backends[i], json);
  }
  buffer_printf(json, "},\"apps\":%s}", config->apps_catalog_json);
}

static void show_processes(Buffer *json)
{
  const ScoreLine *line;
  const char *comma = "";
  uint32_t i;
  buffer_string(json, "\"processes\":[");
  for (i = 0; (line = scoreboard_line(i)) != NULL; i++) {
    char name[32];
    if (line->pid == 0)
      continue;
    scoreboard_name(line, name, sizeof name);
    buffer_printf(json,
                  "%s{\"name\":\"%s\",\"pid\":%d,\"ready\":%s,\"ending\":%s,"
                  "\"calls_filtered\":%s,\"files_confined\":%s}",
                  comma, name, (int)line->pid, line->is_ready ? "true" : "false",
                  line->is_draining ? "true" : "false", line->has_calls_filtered ? "true" : "false",
                  line->has_files_confined ? "true" : "false");
    comma = ",";
  }
  buffer_string(json, "],");
}

void status_json(const Keeper *keeper, Buffer *json)
{
  const Served *served;
  uint32_t plugins = 0, broken = 0, problems = 0, i;
  for (served = keeper->served; served; served = served->next) {
    plugins++;
    broken += served->error != NULL;
  }
  for (i = 0; i < keeper->kept_count; i++)
    problems += keeper->kept[i].problem != NULL;
  for (i = 0; i < endpoint_book_count(keeper->book); i++)
    problems += endpoint_book_at(keeper->book, i)->problem != NULL;
  buffer_printf(json,
                "{\"version\":\"%s\",\"plugins\":%u,\"plugins_with_error\":%u,"
                "\"endpoints\":%u,\"endpoints_with_problem\":%u,",
                MOONHOOK_VERSION, plugins, broken,
                keeper->kept_count + endpoint_book_count(keeper->book), problems);
  show_processes(json);
  add_string(json, "config_file", keeper->config->file);
  buffer_char(json, ',');
  add_string(json, "data", keeper->config->data_dir);
  buffer_char(json, ',');
  add_string(json, "secret_key_id", secrets_key_id(endpoint_book_secrets(keeper->book)));
  buffer_char(json, '}');
}
