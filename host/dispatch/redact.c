// See redact.h.
#include "redact.h"

#include "../base/yaml.h"

enum { SECRET_LEAST = 4 };

// Replaces one secret in the whole text.
static void mask(Buffer *text, const YamlNode *secret)
{
  Buffer masked = { 0 };
  const char *at = text->bytes, *end = text->bytes + text->len, *found;
  if (secret->type != YAML_STRING || secret->len < SECRET_LEAST || text->len < secret->len)
    return;
  while ((found = memmem(at, (size_t)(end - at), secret->text, secret->len)) != NULL) {
    buffer_append(&masked, at, (size_t)(found - at));
    buffer_string(&masked, "********");
    at = found + secret->len;
  }
  if (at == text->bytes)
    return;
  buffer_append(&masked, at, (size_t)(end - at));
  buffer_free(text);
  *text = masked;
}

static void mask_value(Buffer *text, const YamlNode *value)
{
  size_t i;
  for (i = 0; value->type == YAML_LIST && i < value->count; i++)
    mask(text, value->items[i]);
  mask(text, value);
}

void redact_secrets(const HookRequest *hook, Span text, Buffer *out)
{
  const Package *package = generation_package(hook->generation);
  const char *json = hook->endpoint->settings_json;
  YamlNode *settings = NULL;
  Buffer copy = { 0 };
  uint32_t i;
  buffer_append(&copy, text.at ? text.at : "", text.len);
  for (i = 0; i < package->setting_count; i++) {
    const YamlNode *value;
    if (package->settings[i].type != SETTING_SECRET)
      continue;
    if (!settings)
      settings = yaml_from_json(json, strlen(json), NULL);
    value = yaml_get(settings, package->settings[i].name);
    if (value)
      mask_value(&copy, value);
  }
  buffer_append(out, copy.bytes, copy.len);
  buffer_free(&copy);
  yaml_node_free(settings);
}
