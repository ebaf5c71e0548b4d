// What the operator said: moonhook.yaml, then MOONHOOK_* variables, then flags, each winning over
// the one before. Read once into one value; nothing here opens a socket or a store. Everything is
// checked when it is read: an unknown key, a value out of range, a key file that cannot be read is
// an error that names the place ("moonhook.yaml:3:5: limits.body_byte: unknown key, did you mean
// ...").
#ifndef MOONHOOK_PROCESS_CONFIG_H
#define MOONHOOK_PROCESS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/log.h"
#include "../base/yaml.h"
#include "../http/server.h"
#include "../plugin/limits.h"
#include "../plugin/problems.h"
#include "../reverse/address.h"
#include "../reverse/backend.h"
#include "../reverse/client.h"

// Where to read. Flags are NULL when they were not given; all strings are borrowed.
typedef struct {
  const char *const *environment; // "NAME=value", NULL-terminated; usually environ
  // The text of `file`, when it shall not be read again; NULL: read it.
  const char *text;
  size_t text_len;
  const char *file;           // --config; else MOONHOOK_CONFIG; else ./moonhook.yaml if it exists
  const char *listen;         // --listen ADDRESS:PORT
  const char *admin;          // --admin ADDRESS:PORT
  const char *data;           // --data DIR
  const char *const *plugins; // --plugins DIR, may be given more than once; NULL-terminated
  const char *workers;        // --workers N
  const char *log_level;      // --log-level LEVEL
  const char *log_format;     // --log-format FORMAT
} ConfigSources;

typedef struct {
  char *host;    // a numeric address
  int port;      // 0: any
  bool is_asked; // somebody named it; false: the default, the next free port may be taken instead
} ConfigListen;

// Blocks of addresses.
typedef struct {
  char *text; // as it was written, for people; NULL: none
  AddressBlock *list;
  uint32_t count;
} ConfigBlocks;

// One app key of a `dify-service` backend.
typedef struct {
  char *app_id, *key;
} ConfigAppKey;

// The Lua file of a workflow app.
typedef struct {
  char *app_id;
  char *name; // as it was written, for messages
  char *path;
} ConfigAppSource;

typedef struct {
  BackendType type;
  char *name;
  char *url;          // without a final slash
  char *key;          // read from api_key_file or inner_api_key_file; NULL when there is none
  char *models_json;  // {"llm":["gpt-4o"]}, or NULL
  char *tenant_id;    // dify; or NULL
  ConfigAppKey *apps; // dify-service
  uint32_t app_count;
} ConfigBackend;

typedef struct {
  char *plugin;  // "name" or "author/name"
  char *name;    // unique among the plugin's endpoints; the plugin's name when none was given
  char *hook_id; // NULL: a random one, kept in the store
  bool is_enabled;
  const YamlNode *settings; // a map, never NULL (its place is the endpoint's when none was written)
  EndpointLimits limits;    // within Config.plugin_limits
  int line, column;         // of the entry in Config.file
} ConfigEndpoint;

// Where a value came from.
typedef enum { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_VARIABLE, CONFIG_FLAG } ConfigOriginType;

typedef struct {
  ConfigOriginType type;
  int line, column; // CONFIG_FILE: in Config.file
  const char *name; // CONFIG_VARIABLE: without MOONHOOK_; CONFIG_FLAG: with its dashes
} ConfigOrigin;

typedef enum { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_PRETTY } LogFormat;

typedef struct {
  char *file; // as it was named, for messages; NULL: there was none and the defaults hold
  ConfigListen public_listen, admin_listen;
  char *public_url;  // without a final slash; NULL when not set
  char *base_domain; // NULL when not set
  ConfigBlocks trusted_proxies;
  char *admin_key_file; // NULL: admin.key in the data folder, made when it is not there
  char *data_dir;       // may not exist yet
  char **plugin_dirs;   // plugin folders, or folders that hold plugin folders
  uint32_t plugin_dir_count;
  uint32_t workers;
  HttpLimits limits;
  PluginLimits plugin_limits; // the most that a plugin may ask for
  ClientTimes client_times;
  char *ca_file;       // NULL: the system's
  Policy *http_policy; // the `http` section: where plugins' own calls may go; never NULL
  uint32_t drain_ms;   // that requests have to end when the server stops
  uint32_t stuck_ms;   // a process that does not move for so long is killed; 0: never
  LogLevel log_level;
  LogFormat log_format;
  uint32_t demo_pause_ms, demo_seed; // of local/demo
  ConfigBackend *backends;           // without `local`, which always exists
  uint32_t backend_count;
  char *apps_json; // the apps section, checked: {"candy":{"mode":"chat","name":...}}; "{}"
  ConfigAppSource *app_sources; // of workflow apps
  uint32_t app_source_count;
  char *apps_catalog_json; // {"candy":{"mode":"chat","name":"Candy"}}
  ConfigEndpoint *endpoints;
  uint32_t endpoint_count;
  char **watched; // files it was read from: the YAML itself, key files, CA file, app sources
  uint32_t watched_count;
  char *text; // of the file, as it was read; NULL when there was none
  size_t text_len;
  ConfigOrigin *origins; // of the single values, in the order of the table of fields
  ConfigOrigin plugins_origin;
  YamlDoc *doc;             // owns what endpoints[].settings points to
  YamlNode *empty_settings; // one per endpoint without settings
} Config;

// NULL after an error. Relative paths in the file are relative to the file, in variables and flags
// to the working directory; all paths in the result can be opened as they are.
Config *config_read(const ConfigSources *sources, Err *err);
// The same with every problem that there is, not only the first.
Config *config_read_all(const ConfigSources *sources, Problems *problems);
void config_free(Config *config); // wipes the keys; NULL is fine

char *config_admin_key_file(const Config *config); // its path; the caller frees

// The plugin folders that plugin_dirs name now: each that is a plugin, and each plugin directly in
// one that is not; sorted by path. NULL-terminated; free with config_folders_free.
char **config_plugin_folders(const Config *config, uint32_t *count);
void config_folders_free(char **folders);

#endif
