// Shared by the files that read the configuration (config*.c).
// For nobody else.
#ifndef MOONHOOK_PROCESS_CONFIG_READ_H
#define MOONHOOK_PROCESS_CONFIG_READ_H

#include "config.h"

// Where a value came from. Paths are relative to `dir` (NULL: the working directory).
typedef struct {
  Config *config;
  const char *dir;
  Problems *problems; // all are told: readers go on after one
} Reader;

// Adds the problem "FILE:LINE:COL: what", or with `at` NULL "what" alone. Returns UV_EINVAL.
int config_fail(const Reader *reader, const YamlNode *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// "FILE:LINE:COL: key: expected ..., got ..."
int config_expected(const Reader *reader, const YamlNode *at, const char *key, const char *expected,
                    const YamlNode *got);
// A problem for each key of `map` that is none of `known` (NULL-terminated). `section` may be
// "".
int config_check_keys(const Reader *reader, const YamlNode *map, const char *section,
                      const char *const *known);
// A path as the operator wrote it, made openable. The caller frees.
char *config_path(const Reader *reader, const char *path);
void config_watch(Config *config, const char *path); // adds to `watched`, once
// The trimmed content of a file of at most 64 KiB; NULL after an error that names the file.
char *config_secret(const Reader *reader, const YamlNode *node, const char *key);

// A list of texts with a NULL behind the last.
void config_add_text(char ***list, uint32_t *count, const char *text);
void config_free_texts(char **list, uint32_t count);

// --- folders: config_plugins.c
// ---------------------------------------------------------------------

int config_plugins(const Reader *reader, const YamlNode *node);         // plugins:
int config_plugins_variable(const Reader *reader, const char *text);    // MOONHOOK_PLUGINS
int config_plugins_flag(const Reader *reader, const char *const *dirs); // --plugins
void config_default_plugins(const Reader *reader);
void config_default_data(const Reader *reader);

// --- single values: config_fields.c
// ----------------------------------------------------------------

typedef enum {
  FIELD_LISTEN,
  FIELD_URL,
  FIELD_DOMAIN,
  FIELD_PATH,
  FIELD_BLOCKS,    // addresses and blocks of them, with commas between; in the file also a list
  FIELD_COUNT,     // uint32_t
  FIELD_BYTES,     // uint32_t, with an optional KiB or MiB
  FIELD_BIG_BYTES, // uint64_t
  FIELD_MS,        // uint32_t, with an optional ms, s or min
  FIELD_LEVEL,
  FIELD_FORMAT,
} FieldType;

typedef struct {
  const char *key;      // in the file
  const char *variable; // without MOONHOOK_
  FieldType type;
  size_t at; // in Config
  double least, most;
} ConfigField;

void config_defaults(Config *config);
const ConfigField *config_field(const char *key); // "limits.body_bytes"; NULL: no such field
// Parses `text` into the field. On failure returns UV_EINVAL, `expected` is what the field takes.
int config_field_set(const Reader *reader, const ConfigField *field, const char *text,
                     char expected[96]);
void config_field_origin(Config *config, const ConfigField *field, ConfigOrigin origin);
void config_blocks_free(ConfigBlocks *blocks);
const ConfigField *config_field_at(uint32_t index); // NULL behind the last
void config_field_json(const Config *config, const ConfigField *field, Buffer *out); // its value
// Applies every MOONHOOK_* variable that names a field.
int config_environment(const Reader *reader, const char *const *environment);
// Applies the fields of one section of the file (a map), checking its keys.
int config_section_fields(const Reader *reader, const char *section, const YamlNode *map);
int config_top_field(const Reader *reader, const char *key, const YamlNode *value);

// --- sections with a shape of their own: config_sections.c
// -----------------------------------------

// A member of `map` that must be a text without control characters; NULL after an error.
const char *config_text(const Reader *reader, const YamlNode *map, const char *key,
                        const char *what, const char *expected);
int config_http(const Reader *reader, const YamlNode *map); // config_http.c
int config_backends(const Reader *reader, const YamlNode *map);
int config_apps(const Reader *reader, const YamlNode *map);
int config_endpoints(const Reader *reader, const YamlNode *list);
// Their limits, when it is known what the operator allows, by whatever means.
int config_endpoint_limits(const Reader *reader);

#endif
