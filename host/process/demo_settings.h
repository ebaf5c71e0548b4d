// What a plugin is served with in `dev` when nobody gave it settings: the built-in app and models
// where it asks for one, so that it can be tried at once.
#ifndef MOONHOOK_PROCESS_DEMO_SETTINGS_H
#define MOONHOOK_PROCESS_DEMO_SETTINGS_H

#include <stdbool.h>

#include "../base/yaml.h"
#include "../plugin/package.h"

// The app that there is without any configuration: `apps` and its catalogue, as JSON.
#define DEMO_APPS                                                                                  \
  "{\"demo\":{\"mode\":\"chat\",\"name\":\"Demo\",\"prompt\":\"You are a helpful guide.\"}}"
#define DEMO_CATALOG "{\"demo\":{\"mode\":\"chat\",\"name\":\"Demo\"}}"

// A map for package_settings. `has_app`: DEMO_APPS hold. The caller frees the document.
YamlDoc *demo_settings(const Package *package, bool has_app);
// The built-in model of a type, or of a selector's scope (NULL: any); NULL: there is none.
const char *demo_model(const char *scope);

#endif
