// http: what plugins' own HTTP calls may reach beside public addresses (see config.h).
#include <stdio.h>
#include <uv.h>

#include "config_read.h"

static int read_allow(const Reader *reader, const YamlNode *list)
{
  size_t i, count = list->type == YAML_LIST ? list->count : 1;
  for (i = 0; i < count; i++) {
    const YamlNode *item = list->type == YAML_LIST ? list->items[i] : list;
    Err why = { 0 };
    if (!item->text || item->type == YAML_NULL)
      return config_expected(reader, item, "http.allow", "addresses, blocks and host names", item);
    if (policy_allow(reader->config->http_policy, item->text, &why) < 0)
      return config_fail(reader, item, "http.allow: %s", why.text);
  }
  return 0;
}

int config_http(const Reader *reader, const YamlNode *map)
{
  static const char *const known[] = { "allow", "proxy", NULL };
  const YamlNode *allow = yaml_get(map, "allow"), *proxy = yaml_get(map, "proxy");
  if (map->type != YAML_MAP)
    return config_expected(reader, map, "http", "a map", map);
  if (config_check_keys(reader, map, "http", known) != 0)
    return UV_EINVAL;
  if (proxy && proxy->type != YAML_NULL) {
    if (proxy->type != YAML_BOOL)
      return config_expected(reader, proxy, "http.proxy", "true or false", proxy);
    policy_use_proxy(reader->config->http_policy, proxy->integer != 0);
  }
  return allow && allow->type != YAML_NULL ? read_allow(reader, allow) : 0;
}
