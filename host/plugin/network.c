// resource.permission.network, a section of our own: which of the world a plugin may call.
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "../reverse/policy.h"
#include "package_read.h"

enum { MAX_HOSTS = 256 };

static const char WHAT[] = "resource.permission.network";

static char *read_host(const YamlNode *node)
{
  char *host = node->text && node->type != YAML_NULL ? mem_string(node->text) : NULL, *at;
  for (at = host; at && *at; at++)
    *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
  if (host && (host_pattern_is_valid(host) || strcmp(host, "*") == 0))
    return host;
  mem_free(host);
  return NULL;
}

static void read_hosts(const Place *place, const YamlNode *list)
{
  Package *package = place->package;
  char what[64];
  size_t i, count = 0;
  snprintf(what, sizeof what, "%s.hosts", WHAT);
  if (!list || list->type == YAML_NULL)
    return;
  if (list->type != YAML_LIST || list->count > MAX_HOSTS) {
    place_expected(place, list, what, "a list of at most 256 host names", list);
    return;
  }
  package->hosts = mem_zero(list->count + 1, sizeof *package->hosts);
  for (i = 0; i < list->count; i++) {
    char *host = read_host(list->items[i]);
    if (host)
      package->hosts[count++] = host;
    else
      place_expected(place, list->items[i], what,
                     "a host such as api.example.com or *.example.org, without scheme and port",
                     list->items[i]);
  }
}

bool network_read(const Place *place, const YamlNode *node)
{
  static const char *const known[] = { "enabled", "hosts", NULL };
  const YamlNode *enabled = node;
  bool value = true;
  if (!node || node->type == YAML_NULL)
    return false;
  if (node->type == YAML_MAP) {
    place_check_slips(place, node, WHAT, known);
    read_hosts(place, yaml_get(node, "hosts"));
    enabled = yaml_get(node, "enabled");
  }
  if (enabled && !place_bool(enabled, &value))
    place_expected(place, enabled, WHAT,
                   node->type == YAML_MAP ? "enabled: true or false" : "true, false or a map",
                   enabled);
  return value;
}

void network_free(Package *package)
{
  char **host;
  for (host = package->hosts; host && *host; host++)
    mem_free(*host);
  mem_free(package->hosts);
}
