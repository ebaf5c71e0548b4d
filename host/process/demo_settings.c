// See demo_settings.h.
#include "demo_settings.h"

#include <string.h>

const char *demo_model(const char *scope)
{
  static const char *const models[][2] = { { "llm", "demo" },
                                           { "text-embedding", "demo-embedding" },
                                           { "rerank", "demo-rerank" },
                                           { "moderation", "demo-moderation" } };
  size_t i;
  for (i = 0; i < sizeof models / sizeof *models; i++) {
    if (!scope || strcmp(scope, models[i][0]) == 0)
      return models[i][1];
  }
  return NULL;
}

static void append_name(Buffer *json, const Setting *setting)
{
  buffer_string(json, json->len > 1 ? "," : "");
  buffer_json_string(json, setting->name, strlen(setting->name));
}

YamlDoc *demo_settings(const Package *package, bool has_app)
{
  Buffer json = { 0 };
  YamlDoc *doc;
  uint32_t i;
  Err err;
  buffer_char(&json, '{');
  for (i = 0; i < package->setting_count; i++) {
    const Setting *setting = &package->settings[i];
    bool takes_chat = !setting->scope || strcmp(setting->scope, "chat") == 0 ||
                      strcmp(setting->scope, "all") == 0;
    if (setting->default_json || setting->is_multiple)
      continue;
    if (setting->type == SETTING_APP && has_app && takes_chat) {
      append_name(&json, setting);
      buffer_string(&json, ":{\"app_id\":\"demo\"}");
    } else if (setting->type == SETTING_MODEL && demo_model(setting->scope)) {
      append_name(&json, setting);
      buffer_printf(&json, ":{\"provider\":\"local\",\"model\":\"%s\"}",
                    demo_model(setting->scope));
    }
  }
  buffer_char(&json, '}');
  doc = yaml_parse(json.bytes, json.len, &err);
  buffer_free(&json);
  return doc;
}
