// See endpoint_secrets.h.
#include "endpoint_secrets.h"

#include "../base/log.h"
#include "../base/memory.h"
#include "../base/yaml.h"

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
