// See endpoint_secrets.h.
#include "endpoint_secrets.h"

#include "../base/log.h"
#include "../base/mask.h"
#include "../base/memory.h"
#include "../base/yaml.h"

enum { SECRET_LEAST = 4 };

static void hide(Endpoint *endpoint, const YamlNode *value)
{
  size_t i;
  if (value->type == YAML_LIST) {
    for (i = 0; i < value->count; i++)
      hide(endpoint, value->items[i]);
    return;
  }
  if (value->type != YAML_STRING || value->len == 0)
    return;
  endpoint->secrets =
      mem_resize(endpoint->secrets, (endpoint->secret_count + 1) * sizeof *endpoint->secrets);
  endpoint->secrets[endpoint->secret_count++] = mem_string(value->text);
  log_hide(span_of(value->text));
}

void endpoint_secrets_hide(Endpoint *endpoint)
{
  const Package *package =
      endpoint->plugin->live ? generation_package(endpoint->plugin->live) : NULL;
  YamlNode *settings = NULL;
  uint32_t i;
  Err err;
  endpoint_secrets_show(endpoint);
  for (i = 0; package && i < package->setting_count; i++) {
    const YamlNode *value;
    if (package->settings[i].type != SETTING_SECRET)
      continue;
    if (!settings)
      settings = yaml_from_json(endpoint->settings_json, strlen(endpoint->settings_json), &err);
    value = settings ? yaml_get(settings, package->settings[i].name) : NULL;
    if (value)
      hide(endpoint, value);
  }
  if (settings)
    yaml_node_free(settings);
}

void endpoint_secrets_show(Endpoint *endpoint)
{
  while (endpoint->secret_count > 0) {
    char *secret = endpoint->secrets[--endpoint->secret_count];
    log_show(span_of(secret));
    explicit_bzero(secret, strlen(secret));
    mem_free(secret);
  }
  mem_free(endpoint->secrets);
  endpoint->secrets = NULL;
}

// Replaces one secret in the whole text.
static void mask(Buffer *text, Span secret)
{
  Buffer masked = { 0 };
  const char *at = text->bytes, *end = text->bytes + text->len, *found;
  while ((found = memmem(at, (size_t)(end - at), secret.at, secret.len)) != NULL) {
    buffer_append(&masked, at, (size_t)(found - at));
    buffer_string(&masked, MASK);
    at = found + secret.len;
  }
  if (at == text->bytes)
    return;
  buffer_append(&masked, at, (size_t)(end - at));
  buffer_free(text);
  *text = masked;
}

void endpoint_secrets_mask(const Endpoint *endpoint, Span text, Buffer *out)
{
  Buffer copy = { 0 };
  uint32_t i;
  buffer_append(&copy, text.at ? text.at : "", text.len);
  for (i = 0; i < endpoint->secret_count; i++) {
    Span secret = span_of(endpoint->secrets[i]);
    if (secret.len >= SECRET_LEAST && copy.len >= secret.len)
      mask(&copy, secret);
  }
  buffer_append(out, copy.bytes, copy.len);
  buffer_free(&copy);
}
