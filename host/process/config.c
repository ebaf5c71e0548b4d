// Reading the configuration in its order: defaults, file, variables, flags (see config.h).
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "../base/file.h"
#include "../base/memory.h"
#include "config_read.h"
#include "demo_settings.h"

enum { MAX_FILE_BYTES = 1024 * 1024 };

// --- the file ------------------------------------------------------------------------------------

static int read_section(const Reader *reader, const char *key, const YamlNode *value)
{
  static const char *const tables[] = {
    "public", "admin", "limits", "client", "log", "demo", NULL
  };
  size_t i;
  if (value->type == YAML_NULL)
    return 0;
  if (strcmp(key, "plugins") == 0)
    return config_plugins(reader, value);
  if (strcmp(key, "http") == 0)
    return config_http(reader, value);
  if (strcmp(key, "backends") == 0)
    return config_backends(reader, value);
  if (strcmp(key, "apps") == 0)
    return config_apps(reader, value);
  if (strcmp(key, "endpoints") == 0)
    return config_endpoints(reader, value);
  for (i = 0; tables[i]; i++) {
    if (strcmp(tables[i], key) == 0)
      return config_section_fields(reader, key, value);
  }
  return config_top_field(reader, key, value);
}

// Takes the given text as the file's, or reads the file.
static int read_text(const Reader *reader, const ConfigSources *sources)
{
  Config *config = reader->config;
  Buffer bytes = { 0 };
  Err why = { 0 };
  int rc = 0;
  if (sources->text)
    buffer_append(&bytes, sources->text, sources->text_len);
  else
    rc = file_read(config->file, MAX_FILE_BYTES, &bytes, &why);
  config->text_len = bytes.len;
  config->text = buffer_take(&bytes);
  if (rc != 0)
    return config_fail(reader, NULL, "%s", why.text);
  config->doc = yaml_parse(config->text, config->text_len, &why);
  if (config->doc)
    return 0;
  problems_add_placed(reader->problems, config->file, why.text);
  return UV_EINVAL;
}

static bool has_word(const char *const *words, const char *word)
{
  while (*words && strcmp(*words, word) != 0)
    words++;
  return *words != NULL;
}

static int read_file(const Reader *reader, const ConfigSources *sources)
{
  static const char *const known[] = { "public",   "admin", "data",      "plugins", "workers",
                                       "backends", "apps",  "endpoints", "limits",  "client",
                                       "log",      "demo",  "http",      NULL };
  Config *config = reader->config;
  const YamlNode *root;
  size_t i;
  int rc;
  config_watch(config, config->file);
  if (read_text(reader, sources) != 0)
    return UV_EINVAL;
  root = yaml_root(config->doc);
  if (root->type == YAML_NULL)
    return 0;
  if (root->type != YAML_MAP)
    return config_fail(reader, root, "expected a map of settings, got %s", yaml_type_name(root));
  rc = config_check_keys(reader, root, "", known);
  for (i = 0; i < root->count; i++) {
    if (has_word(known, root->pairs[i].key->text) &&
        read_section(reader, root->pairs[i].key->text, root->pairs[i].value) != 0)
      rc = UV_EINVAL;
  }
  return rc;
}

// --- sources -------------------------------------------------------------------------------------

static const char *variable(const char *const *environment, const char *name)
{
  size_t len = strlen(name);
  for (; environment && *environment; environment++) {
    if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=' &&
        (*environment)[len + 1] != '\0')
      return *environment + len + 1;
  }
  return NULL;
}

static const char *choose_file(const ConfigSources *sources)
{
  const char *file =
      sources->file ? sources->file : variable(sources->environment, "MOONHOOK_CONFIG");
  if (file)
    return file;
  return access("moonhook.yaml", F_OK) == 0 ? "moonhook.yaml" : NULL;
}

static char *folder_of(const char *file)
{
  const char *slash = strrchr(file, '/');
  if (!slash)
    return mem_string(".");
  return mem_bytes(file, slash == file ? 1 : (size_t)(slash - file));
}

static int apply_flags(const Reader *reader, const ConfigSources *sources)
{
  const struct {
    const char *flag, *key, *value;
  } flags[] = {
    { "--listen", "public.listen", sources->listen },
    { "--admin", "admin.listen", sources->admin },
    { "--data", "data", sources->data },
    { "--workers", "workers", sources->workers },
    { "--log-level", "log.level", sources->log_level },
    { "--log-format", "log.format", sources->log_format },
  };
  char expected[96];
  size_t i;
  for (i = 0; i < sizeof flags / sizeof *flags; i++) {
    const ConfigField *field = config_field(flags[i].key);
    if (!flags[i].value)
      continue;
    if (config_field_set(reader, field, flags[i].value, expected) != 0)
      return config_fail(reader, NULL, "%s: expected %s, got \"%.100s\"", flags[i].flag, expected,
                         flags[i].value);
    config_field_origin(reader->config, field, (ConfigOrigin){ CONFIG_FLAG, 0, 0, flags[i].flag });
  }
  return sources->plugins && sources->plugins[0] ? config_plugins_flag(reader, sources->plugins)
                                                 : 0;
}

static bool is_backend(const Config *config, const char *name)
{
  uint32_t i;
  for (i = 0; i < config->backend_count; i++) {
    if (strcmp(config->backends[i].name, name) == 0 || config->backends[i].type == BACKEND_DIFY)
      return true; // Dify knows providers of its own
  }
  return strcmp(name, "local") == 0;
}

// An app's model names one of the backends.
static int check_providers(const Reader *reader)
{
  const YamlNode *apps = reader->config->doc ? yaml_get(yaml_root(reader->config->doc), "apps") : 0;
  size_t i;
  for (i = 0; apps && apps->type == YAML_MAP && i < apps->count; i++) {
    const YamlNode *provider = yaml_get(yaml_get(apps->pairs[i].value, "model"), "provider");
    char what[200];
    if (!provider || is_backend(reader->config, provider->text))
      continue;
    snprintf(what, sizeof what, "apps.%.100s.model.provider", apps->pairs[i].key->text);
    return config_expected(reader, provider, what, "local, or the name of a backend", provider);
  }
  return 0;
}

// What can only be judged when all sources were read.
static int check_whole(const Reader *reader)
{
  Config *config = reader->config;
  if (check_providers(reader) != 0 || config_endpoint_limits(reader) != 0)
    return UV_EINVAL;
  if (config->public_listen.port != 0 && config->public_listen.port == config->admin_listen.port &&
      config->admin_listen.is_asked && config->public_listen.is_asked &&
      strcmp(config->public_listen.host, config->admin_listen.host) == 0)
    return config_fail(
        reader, NULL,
        "admin.listen: expected another address than public.listen, got %s:%d for both",
        config->admin_listen.host, config->admin_listen.port);
  if (config->ca_file) {
    if (access(config->ca_file, R_OK) != 0)
      return config_fail(reader, NULL, "client.ca_file: %s: cannot be read", config->ca_file);
    config_watch(config, config->ca_file);
  }
  return 0;
}

Config *config_read_all(const ConfigSources *sources, Problems *problems)
{
  Config *config = mem_zero(1, sizeof *config);
  const char *file = choose_file(sources), *plugins;
  char *dir = file ? folder_of(file) : NULL;
  Reader from_file = { config, dir, problems }, from_outside = { config, NULL, problems };
  size_t before = problems->count;
  config_defaults(config);
  config->file = mem_string(file);
  if (file)
    read_file(&from_file, sources);
  config_environment(&from_outside, sources->environment);
  plugins = variable(sources->environment, "MOONHOOK_PLUGINS");
  if (plugins)
    config_plugins_variable(&from_outside, plugins);
  apply_flags(&from_outside, sources);
  if (problems->count == before)
    check_whole(&from_outside);
  if (problems->count == before) {
    config_default_data(&from_file);
    if (config->plugin_dir_count == 0)
      config_default_plugins(&from_file);
    if (!config->apps_json)
      config->apps_json = mem_string(config->file ? "{}" : DEMO_APPS);
    if (!config->apps_catalog_json)
      config->apps_catalog_json = mem_string(config->file ? "{}" : DEMO_CATALOG);
  }
  mem_free(dir);
  if (problems->count == before)
    return config;
  config_free(config);
  return NULL;
}

Config *config_read(const ConfigSources *sources, Err *err)
{
  Problems problems = { 0 };
  Config *config = config_read_all(sources, &problems);
  size_t more = problems.count > 1 ? problems.count - 1 : 0;
  if (!config && more > 0)
    err_set(err, UV_EINVAL, "%s (and %zu more: moonhook config check shows all)",
            problems.items[0].text, more);
  else if (!config)
    err_set(err, UV_EINVAL, "%s", problems.items[0].text);
  problems_free(&problems);
  return config;
}

char *config_admin_key_file(const Config *config)
{
  Buffer path = { 0 };
  if (config->admin_key_file)
    return mem_string(config->admin_key_file);
  buffer_printf(&path, "%s/admin.key", config->data_dir);
  return buffer_take(&path);
}

static void wipe(char *text)
{
  if (text)
    explicit_bzero(text, strlen(text));
  mem_free(text);
}

static void free_backend(ConfigBackend *backend)
{
  uint32_t i;
  for (i = 0; i < backend->app_count; i++) {
    mem_free(backend->apps[i].app_id);
    wipe(backend->apps[i].key);
  }
  mem_free(backend->apps);
  mem_free(backend->name);
  mem_free(backend->url);
  wipe(backend->key);
  mem_free(backend->models_json);
  mem_free(backend->tenant_id);
}

void config_free(Config *config)
{
  uint32_t i;
  if (!config)
    return;
  for (i = 0; i < config->backend_count; i++)
    free_backend(&config->backends[i]);
  for (i = 0; i < config->endpoint_count; i++) {
    mem_free(config->endpoints[i].plugin);
    mem_free(config->endpoints[i].name);
    mem_free(config->endpoints[i].hook_id);
  }
  mem_free(config->backends);
  mem_free(config->endpoints);
  mem_free(config->empty_settings);
  config_free_texts(config->plugin_dirs, config->plugin_dir_count);
  config_free_texts(config->watched, config->watched_count);
  mem_free(config->origins);
  mem_free(config->file);
  wipe(config->text);
  mem_free(config->public_listen.host);
  mem_free(config->admin_listen.host);
  mem_free(config->public_url);
  mem_free(config->base_domain);
  config_blocks_free(&config->trusted_proxies);
  mem_free(config->admin_key_file);
  mem_free(config->data_dir);
  mem_free(config->ca_file);
  policy_release(config->http_policy);
  for (i = 0; i < config->app_source_count; i++) {
    mem_free(config->app_sources[i].app_id);
    mem_free(config->app_sources[i].name);
    mem_free(config->app_sources[i].path);
  }
  mem_free(config->app_sources);
  mem_free(config->apps_json);
  mem_free(config->apps_catalog_json);
  yaml_doc_free(config->doc);
  mem_free(config);
}
