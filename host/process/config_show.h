// The effective configuration as a list of values, each with where it came from. Nothing in it is
// secret: keys are shown by the name of their file, settings that hold secrets and hook ids masked.
#ifndef MOONHOOK_PROCESS_CONFIG_SHOW_H
#define MOONHOOK_PROCESS_CONFIG_SHOW_H

#include "config.h"

#define CONFIG_MASK "********"

typedef struct {
  char *key;          // "limits.body_bytes", "endpoints[1].settings.word"
  char *json;         // the value
  const char *origin; // "default", "file", "variable", "flag"
  char *place;        // "moonhook.yaml:3:5", "MOONHOOK_DATA", "--data"; NULL for a default
} ConfigValue;

// The values in the order of the documentation. Reads the plugins of the endpoints, to know which
// of their settings are secret; where a plugin cannot be read all of them are masked.
ConfigValue *config_values(const Config *config, uint32_t *count);
void config_values_free(ConfigValue *list, uint32_t count);

// {"file":"moonhook.yaml","values":[{"key":...,"value":...,"origin":...,"place":...}]}
void config_show_json(const Config *config, Buffer *out);

#endif
