// The settings of endpoints that are made through the admin API, between what was given, what is
// stored and what handlers get. Given values are kept without defaults, so that a default stays the
// plugin's: a setting that was never given gets it, one that was given as null gets nothing. Secret
// values are kept sealed, bound to their endpoint and name, and are shown as a mask.
#ifndef MOONHOOK_PROCESS_ENDPOINT_SETTINGS_H
#define MOONHOOK_PROCESS_ENDPOINT_SETTINGS_H

#include "../base/yaml.h"
#include "../plugin/package.h"
#include "../store/secrets.h"

#define SECRET_MASK "********"

typedef struct {
  const Package *package; // its plugin, as it is now
  Secrets *secrets;
  const char *endpoint_id;
} SettingsPlace;

// What is stored: both are JSON objects.
typedef struct {
  char *plain;  // given values that are not secret
  char *sealed; // secret ones: name = sealed JSON text
} GivenSettings;

void given_settings_clear(GivenSettings *given);

// Applies a change to `old` (NULL: there is nothing yet): values of the object `patch` replace
// (NULL: none), null says "no value", the mask keeps a secret; names in the list `unset` (NULL:
// none) are forgotten, so that their defaults apply. Fills `result` and appends what handlers get
// to `served`. UV_EINVAL with `problems`; `result` is empty then.
int given_settings_change(const SettingsPlace *place, const GivenSettings *old,
                          const YamlNode *patch, const YamlNode *unset, GivenSettings *result,
                          Buffer *served, Problems *problems);
// As they are shown: a JSON object, secrets masked. `package` NULL: the plugin is not loaded.
void given_settings_show(const GivenSettings *given, const Package *package, Buffer *json);
// The same of settings that stand in moonhook.yaml.
void config_settings_show(const YamlNode *settings, const Package *package, Buffer *json);
// All secrets sealed anew with the present key. UV_EINVAL or UV_ENOENT: one cannot be unsealed.
int given_settings_reseal(const SettingsPlace *place, GivenSettings *given, Err *err);

bool package_has_secrets(const Package *package);

// What handlers get, as it may stand in a database: itself, or sealed text when it is secret.
// Sealed text never begins with '{'. Bound to the hook id.
void served_settings_seal(const Secrets *secrets, bool is_secret, const char *hook_id, Span served,
                          Buffer *out);
int served_settings_open(Secrets *secrets, const char *hook_id, const char *text, Buffer *out,
                         Err *err);

#endif
