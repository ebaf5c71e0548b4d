// A plugin's folder, read and checked: manifest.yaml, the endpoint group, its endpoints. Reads what
// Dify reads (docs/decisions/0003-package-format.md) with Lua sources under extra.lua.source.
#ifndef MOONHOOK_PLUGIN_PACKAGE_H
#define MOONHOOK_PLUGIN_PACKAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/error.h"
#include "limits.h"
#include "problems.h"
#include "rule.h"

typedef enum {
  SETTING_TEXT,
  SETTING_SECRET,
  SETTING_SELECT,
  SETTING_BOOLEAN,
  SETTING_MODEL,
  SETTING_APP,
  SETTING_TOOLS,
} SettingType;

typedef struct {
  char *name;
  SettingType type;
  bool is_required, is_multiple;
  char *scope;        // NULL when none
  char *default_json; // NULL when none
  char *label_json;   // {"en_US":"..."}; NULL when none
  char *options_json; // [{"value":"a","label":{...}}]; NULL when none
  char **options;     // their values
  uint32_t option_count;
  char *file; // YAML it was declared in, relative; with line and column for messages
  int line, column;
  char *help_json, *placeholder_json, *url;
} Setting;

typedef struct {
  char *file; // YAML it was declared in, relative; with line and column for messages
  int line, column;
  Rule *rule;
  char **methods; // NULL-terminated, upper case, as declared (no HEAD added)
  char *source;   // Lua file, relative
  bool is_hidden;
  bool wants_stream; // reserved for request streaming; false
} Declaration;

typedef struct {
  uint32_t holders; // beside the first
  char *dir;        // where it was read from
  char *name;       // manifest's name
  char *author;
  char *version;
  char *label_json;
  uint32_t permissions;   // PERMIT_* bits have the same meaning as in reverse/backend.h
  char **hosts;           // resource.permission.network.hosts, NULL-terminated; NULL: any
  uint64_t storage_bytes; // resource.permission.storage.size
  PluginLimits limits;    // that it asks for; 0: the usual
  Setting *settings;
  uint32_t setting_count;
  Declaration *declarations;
  uint32_t declaration_count;
} Package;

// Reads and checks everything but the Lua code itself. Returns NULL when there is any problem;
// `problems` has them all.
Package *package_read(const char *dir, Problems *problems);
// The same of an archive as well, unpacked for the moment of reading.
Package *package_read_place(const char *place, Problems *problems);
void package_free(Package *package); // the last holder's frees it
Package *package_hold(Package *package);
char *package_id(const Package *package); // "author/name"; the caller frees
bool package_is_plugin(const char *dir);  // has a manifest.yaml

// PERMIT_* bits by where the manifest has them: "app.enabled model.llm".
void permissions_name(uint32_t permissions, Buffer *out);

// Settings held against the declared ones: types checked, defaults filled in, nulls left out.
// Appends the JSON object to hand to handlers to `out`. All problems are reported, each
// "settings.NAME: expected ..., got ...". Returns 0 or UV_EINVAL; `out` is unchanged then.
struct YamlNode;
// From moonhook.yaml, where 12 may be meant as text. `file` NULL: nobody wrote them.
int package_settings(const Package *package, const struct YamlNode *settings, Buffer *out,
                     Problems *problems, const char *file);
// From JSON (yaml_from_json): a value is of its declared type or refused.
int package_settings_json(const Package *package, const struct YamlNode *settings, Buffer *out,
                          Problems *problems);
// The one model type that a model-selector's scope leaves ("llm"), or NULL.
const char *setting_model_type(const Setting *setting);
const char *setting_type_name(SettingType type);                          // "text-input"
const Setting *package_setting(const Package *package, const char *name); // or NULL

#endif
