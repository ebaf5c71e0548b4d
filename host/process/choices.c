// See choices.h. Which backend carries a call is decided by lua/moonhook/session/catalogue.lua;
// this says beforehand what it would not find.
#include "choices.h"

#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "demo_settings.h"

typedef struct {
  const Config *config;
  const Setting *setting;
  const char *file;
  Problems *problems;
} Choice;

// Names to choose from; the texts are borrowed.
typedef struct {
  const char **items; // NULL behind the last
  size_t count;
} Names;

static void add_name(Names *names, const char *name)
{
  names->items = mem_resize(names->items, (names->count + 2) * sizeof *names->items);
  names->items[names->count++] = name;
  names->items[names->count] = NULL;
}

static bool has_dify(const Config *config)
{
  uint32_t i;
  for (i = 0; i < config->backend_count && config->backends[i].type != BACKEND_DIFY; i++)
    ;
  return i < config->backend_count;
}

// The field that the next problem is of; `field` has room for it.
enum { FIELD_BYTES = 160 };

static void name_field(const Choice *choice, const char *member, char field[FIELD_BYTES])
{
  snprintf(field, FIELD_BYTES, "settings.%.100s.%s", choice->setting->name, member);
  choice->problems->field = field;
}

static void complain(const Choice *choice, const YamlNode *node, const char *member,
                     const char *expected, const Names *names)
{
  const char *near = names && names->items ? yaml_nearest(node->text, names->items) : NULL;
  char field[FIELD_BYTES];
  name_field(choice, member, field);
  problems_add(choice->problems, choice->file, node->line, node->column,
               "%s: expected %s, got \"%.100s\"%s%s%s", field, expected, node->text,
               near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
  choice->problems->field = NULL;
}

// --- apps ----------------------------------------------------------------------------------------

// Whether a scope ("chat&completion") holds a mode.
static bool scope_holds(const char *scope, const char *mode)
{
  const char *at = scope;
  while (at && *at) {
    size_t len;
    at += strspn(at, "& ");
    len = strcspn(at, "& ");
    if (span_is((Span){ at, len }, mode) || span_is((Span){ at, len }, "all"))
      return true;
    at += len;
  }
  return !scope;
}

static void check_mode(const Choice *choice, const YamlNode *app_id, const YamlNode *app)
{
  const YamlNode *mode = yaml_get(app, "mode");
  char expected[160];
  if (!mode || scope_holds(choice->setting->scope, mode->text))
    return;
  snprintf(expected, sizeof expected, "an app of the scope %.60s, not a %.20s app",
           choice->setting->scope, mode->text);
  complain(choice, app_id, "app_id", expected, NULL);
}

static void check_app(const Choice *choice, const YamlNode *value)
{
  const Config *config = choice->config;
  const YamlNode *app_id = yaml_get(value, "app_id"), *app;
  Names names = { 0 };
  YamlNode *apps;
  uint32_t i, j;
  Err unused;
  if (!app_id || !app_id->text)
    return;
  apps = yaml_from_json(config->apps_catalog_json, strlen(config->apps_catalog_json), &unused);
  app = apps ? yaml_get(apps, app_id->text) : NULL;
  for (i = 0; apps && i < apps->count; i++)
    add_name(&names, apps->pairs[i].key->text);
  for (i = 0; i < config->backend_count; i++) {
    for (j = 0; j < config->backends[i].app_count; j++)
      add_name(&names, config->backends[i].apps[j].app_id);
  }
  for (i = 0; i < names.count && strcmp(names.items[i], app_id->text) != 0; i++)
    ;
  if (app)
    check_mode(choice, app_id, app);
  else if (i == names.count && !has_dify(config))
    complain(choice, app_id, "app_id", "an app of `apps` or of a dify-service backend", &names);
  mem_free(names.items);
  yaml_node_free(apps);
}

// --- models --------------------------------------------------------------------------------------

static const ConfigBackend *find_backend(const Config *config, const char *name)
{
  uint32_t i;
  for (i = 0; i < config->backend_count; i++) {
    if (strcmp(config->backends[i].name, name) == 0)
      return &config->backends[i];
  }
  return NULL;
}

static void check_provider(const Choice *choice, const YamlNode *provider)
{
  const Config *config = choice->config;
  Names names = { 0 };
  uint32_t i;
  if (has_dify(config))
    return;
  add_name(&names, "local");
  for (i = 0; i < config->backend_count; i++)
    add_name(&names, config->backends[i].name);
  complain(choice, provider, "provider", "local, or the name of a backend", &names);
  mem_free(names.items);
}

static void check_local(const Choice *choice, const YamlNode *model, const char *type)
{
  const char *own = demo_model(type);
  char expected[120];
  if (own && strcmp(own, model->text) == 0)
    return;
  if (own)
    snprintf(expected, sizeof expected, "%s, which is local's only model of the type %.40s", own,
             type);
  else
    snprintf(expected, sizeof expected, "another provider: local has no model of the type %.40s",
             type);
  complain(choice, model, "model", expected, NULL);
}

// The upstream may have models that nobody declared, so this is only a warning.
static void check_declared(const Choice *choice, const YamlNode *model, const char *type,
                           const ConfigBackend *backend)
{
  YamlNode *models;
  const YamlNode *list;
  Names names = { 0 };
  const char *near;
  char field[FIELD_BYTES];
  size_t i;
  Err unused;
  if (!backend->models_json)
    return;
  models = yaml_from_json(backend->models_json, strlen(backend->models_json), &unused);
  list = models ? yaml_get(models, type) : NULL;
  for (i = 0; list && list->type == YAML_LIST && i < list->count; i++)
    add_name(&names, list->items[i]->text);
  for (i = 0; i < names.count && strcmp(names.items[i], model->text) != 0; i++)
    ;
  if (i == names.count) {
    near = names.items ? yaml_nearest(model->text, names.items) : NULL;
    name_field(choice, "model", field);
    problems_warn(choice->problems, choice->file, model->line, model->column,
                  "%s: the backend %s declares no %s model \"%.100s\"%s%s%s", field, backend->name,
                  type, model->text, near ? ", did you mean " : "", near ? near : "",
                  near ? "?" : "");
    choice->problems->field = NULL;
  }
  mem_free(names.items);
  yaml_node_free(models);
}

static void check_model(const Choice *choice, const YamlNode *value)
{
  const YamlNode *provider = yaml_get(value, "provider"), *model = yaml_get(value, "model");
  const YamlNode *given = yaml_get(value, "model_type");
  const ConfigBackend *backend;
  const char *type;
  if (!provider || !provider->text || !model || !model->text)
    return;
  type = given && given->type == YAML_STRING ? given->text : setting_model_type(choice->setting);
  backend = find_backend(choice->config, provider->text);
  if (!backend && strcmp(provider->text, "local") != 0)
    check_provider(choice, provider);
  else if (type && !backend)
    check_local(choice, model, type);
  else if (type)
    check_declared(choice, model, type, backend);
}

// --- settings ------------------------------------------------------------------------------------

static void check_value(const Choice *choice, const YamlNode *value)
{
  size_t i;
  for (i = 0; value->type == YAML_LIST && i < value->count; i++)
    check_value(choice, value->items[i]);
  if (value->type != YAML_MAP)
    return;
  if (choice->setting->type == SETTING_APP)
    check_app(choice, value);
  else if (choice->setting->type == SETTING_MODEL)
    check_model(choice, value);
}

void choices_check(const Config *config, const Package *package, const YamlNode *settings,
                   const char *file, Problems *problems)
{
  uint32_t i;
  for (i = 0; i < package->setting_count; i++) {
    const Choice choice = { config, &package->settings[i], file, problems };
    const YamlNode *value = yaml_get(settings, package->settings[i].name);
    if (value)
      check_value(&choice, value);
  }
}
