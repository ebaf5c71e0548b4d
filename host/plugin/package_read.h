// Shared by the files that read a package (package.c, group.c, declaration.c, setting.c): where we
// are, and the messages that name the place. For nobody else.
#ifndef MOONHOOK_PLUGIN_PACKAGE_READ_H
#define MOONHOOK_PLUGIN_PACKAGE_READ_H

#include "../base/yaml.h"
#include "package.h"

enum { MAX_YAML_BYTES = 256 * 1024 + 4, MAX_DECLARATIONS = 500, MAX_SETTINGS = 256 };

// The YAML file that is being read. `file` is relative to the package.
typedef struct {
  Package *package;
  Problems *problems;
  const char *file;
  bool is_unasked; // settings that nobody wrote: a missing one is missed where it is declared
  bool is_json;    // values come from JSON, where a text is a text: a number is no string
} Place;

// "file:line:column: what: expected ..., got ..." at `at` (else at the file's start). `what` may be
// NULL; `got` NULL is "nothing".
void place_expected(const Place *place, const YamlNode *at, const char *what, const char *expected,
                    const YamlNode *got);
// Keys of `map` that are none of `known`, but look like one that is absent: a slip of the pen.
// Other unknown keys are left alone, because Dify leaves them alone.
void place_check_slips(const Place *place, const YamlNode *map, const char *what,
                       const char *const *known);
// true, false, and YAML 1.1's yes, no, on, off, as Dify reads them. False when it is neither.
bool place_bool(const YamlNode *node, bool *value);
// Whether `node` may name a file of the package, and why not.
int place_check_name(const YamlNode *node, Err *why);
// A file of the package that is named by `node`: its document, or NULL after a problem.
YamlDoc *place_open(const Place *place, const YamlNode *node, const char *what);
// {"en_US":"..."} from a map of locale to text (in any spelling) or a single text; NULL when there
// is none.
char *place_words(const Place *place, const YamlNode *node, const char *what);

// The section `resource` (NULL is fine): the package's permissions. And, when the settings have
// been read, warnings of those that no permission goes with.
void permissions_read(const Place *place, const YamlNode *resource);
void permissions_check_settings(const Place *place);
// resource.permission.network: whether calls are permitted, and the hosts they may name.
bool network_read(const Place *place, const YamlNode *node);
void network_free(Package *package);
// The section `limits`; NULL is fine.
void limits_read(const Place *place, const YamlNode *map);

// One group: settings and endpoints, added to the package. `node` is the group's map.
void group_read(const Place *place, const YamlNode *node);
void declaration_read(const Place *place, const YamlNode *node);
void declaration_free(Declaration *declaration);
// `name` is the key in the map form of settings, NULL in the list form.
void setting_read(const Place *place, const YamlNode *node, const YamlNode *name);
void setting_free(Setting *setting);

// Whether a model-selector's scope leaves models of this type.
bool setting_may_hold(const Setting *setting, const char *model_type);
// A value of a model-selector and of an app-selector, as setting_value.
bool setting_model(const Place *place, const Setting *setting, const YamlNode *value,
                   const char *what, Buffer *out);
bool setting_app(const Place *place, const YamlNode *value, const char *what, Buffer *out);
// Checks one value of a setting and appends its JSON. `what` names it in messages. False after a
// problem.
bool setting_value(const Place *place, const Setting *setting, const YamlNode *value,
                   const char *what, Buffer *out);

#endif
