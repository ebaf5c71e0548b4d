// What the keeper tells of plugins and endpoints: in the log, and the name that was meant.
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/yaml.h"
#include "../plugin/check_names.h"
#include "keeper_parts.h"

void keeper_log_problems(const Problems *problems, const char *folder)
{
  size_t i;
  for (i = 0; i < problems->count; i++)
    log_event(LOG_ERROR, "plugin problem", LOG_S("folder", folder),
              LOG_S("error", problems->items[i].text));
}

void keeper_log_doubts(const Problems *problems, const char *plugin, const char *endpoint)
{
  size_t i;
  for (i = 0; i < problems->count + problems->warning_count; i++) {
    const Problem *problem =
        i < problems->count ? &problems->items[i] : &problems->warnings[i - problems->count];
    log_event(LOG_WARN, "endpoint setting", LOG_S("plugin", plugin), LOG_S("endpoint", endpoint),
              LOG_S("warning", problem->file && problem->line ? problem->text : problem->what));
  }
}

static void log_list(const Problem *list, size_t count, const char *folder)
{
  size_t i;
  for (i = 0; i < count; i++)
    log_event(LOG_WARN, "plugin warning", LOG_S("folder", folder), LOG_S("warning", list[i].text));
}

void keeper_log_warnings(const Problems *problems, const char *folder)
{
  log_list(problems->warnings, problems->warning_count, folder);
}

void keeper_log_names(const Served *served)
{
  Problems problems = { 0 };
  Err unused;
  size_t i;
  char **files = package_lua_files(served->dir, served->package, &unused);
  if (!files)
    return;
  check_names(served->dir, files, served->package, &problems);
  log_list(problems.items, problems.count, served->folder);
  log_list(problems.warnings, problems.warning_count, served->folder);
  for (i = 0; files[i]; i++)
    mem_free(files[i]);
  mem_free(files);
  problems_free(&problems);
}

void keeper_tell_news(Keeper *keeper)
{
  Served *served;
  for (served = keeper->served; served; served = served->next) {
    if (served->is_news)
      log_event(LOG_INFO, "plugin loaded", LOG_S("plugin", served->name),
                LOG_S("version", served->package->version), LOG_B("hash", served->hash, 12));
    if (served->is_news && keeper->watches) // its author is there, who mends it
      keeper_log_names(served);
    served->is_news = false;
  }
}

const char *keeper_nearest_plugin(const Keeper *keeper, const char *name)
{
  const Served *served;
  const char **names = NULL, *near;
  size_t count = 0;
  for (served = keeper->served; served; served = served->next) {
    names = mem_resize(names, (count + 3) * sizeof *names);
    if (served->id)
      names[count++] = strchr(name, '/') ? served->id : served->name;
    names[count] = NULL;
  }
  near = names ? yaml_nearest(name, names) : NULL;
  mem_free(names);
  return near;
}

void keeper_tell_missing(const Keeper *keeper, const char *plugin, const char *endpoint)
{
  const char *near = keeper_nearest_plugin(keeper, plugin);
  if (near)
    log_event(LOG_WARN, "endpoint without plugin", LOG_S("endpoint", endpoint),
              LOG_S("plugin", plugin), LOG_S("did_you_mean", near));
  else
    log_event(LOG_WARN, "endpoint without plugin", LOG_S("endpoint", endpoint),
              LOG_S("plugin", plugin));
}

void keeper_tell_nothing(const Keeper *keeper)
{
  if (!keeper->served)
    log_event(
        LOG_WARN, "there is no plugin here",
        LOG_S("mend", "moonhook init NAME makes one; moonhook dev DIR serves another folder"));
}
