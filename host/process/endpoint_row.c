// From the row of an endpoint as it is and what is asked to the row that shall be.
#include <stdio.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/random.h"
#include "choices.h"
#include "endpoint_book_parts.h"

enum { TIME_LEN = 10, RANDOM_LEN = 16 };

void pending_fail(AdminResult *result, int code, const char *text)
{
  result->code = code;
  snprintf(result->text, sizeof result->text, "%.255s", text);
}

void pending_fail_field(AdminResult *result, const char *field, const char *message)
{
  Problems problems = { .field = field };
  pending_fail(result, UV_EINVAL, "a field is not valid");
  problems_add(&problems, field, 0, 0, "%s: %s", field, message);
  buffer_clear(&result->fields);
  book_fields_json(&problems, &result->fields);
  problems_free(&problems);
}

// Milliseconds first, so that later ids sort behind earlier ones.
static char *fresh_id(void)
{
  static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
  char id[3 + TIME_LEN + RANDOM_LEN + 1] = "ep_";
  uint64_t ms = host_clock.wall_ms();
  int i;
  for (i = TIME_LEN; i > 0; i--, ms >>= 5)
    id[2 + i] = digits[ms & 31];
  random_base32(id + 3 + TIME_LEN, RANDOM_LEN);
  return mem_string(id);
}

static char *fresh_hook_id(void)
{
  char id[HOOK_ID_LEN + 1];
  random_base32(id, HOOK_ID_LEN);
  return mem_string(id);
}

static void replace(char **text, const char *fresh)
{
  mem_free(*text);
  *text = mem_string(fresh);
}

// The settings stay as they are served; only the address that they are bound to changes.
static int rebind(EndpointBook *book, StoredEndpoint *row, const char *old_hook_id, Err *err)
{
  Buffer clear = { 0 }, sealed = { 0 };
  int rc = 0;
  if (row->served[0] == '{' || strcmp(row->hook_id, old_hook_id) == 0)
    return 0;
  rc = served_settings_open(book->secrets, old_hook_id, row->served, &clear, err);
  if (rc == 0) {
    served_settings_seal(book->secrets, true, row->hook_id, (Span){ clear.bytes, clear.len },
                         &sealed);
    mem_free(row->served);
    row->served = buffer_take(&sealed);
  }
  buffer_free(&clear);
  return rc;
}

static YamlNode *read_part(const char *json, AdminResult *result, const char *field)
{
  Err err = { 0 };
  YamlNode *node = json ? yaml_from_json(json, strlen(json), &err) : NULL;
  if (json && !node)
    pending_fail_field(result, field, err.text);
  return node;
}

// Tells of apps and models that are chosen and that nobody has.
static void doubt(const Keeper *keeper, const Package *package, const char *name,
                  const YamlNode *patch)
{
  Problems problems = { 0 };
  if (patch)
    choices_check(keeper->config, package, patch, NULL, &problems);
  keeper_log_doubts(&problems, package->name, name);
  problems_free(&problems);
}

// Makes the settings of the row; asked: the operator wants them changed, so they must fit.
static bool make_settings(AdminPending *pending, AdminResult *result, const char *old_hook_id)
{
  EndpointBook *book = pending->book;
  StoredEndpoint *row = &pending->row;
  const Served *served = keeper_find_plugin(book->keeper, row->plugin);
  bool is_asked = pending->settings || pending->unset || pending->verb == ADMIN_CREATE;
  YamlNode *patch, *unset = NULL;
  Problems problems = { 0 };
  Err err = { 0 };
  patch = read_part(pending->settings, result, "settings");
  if (result->code == 0)
    unset = read_part(pending->unset, result, "unset");
  if (result->code < 0) {
    // said already
  } else if (!served && is_asked) {
    pending_fail_field(result, pending->verb == ADMIN_CREATE ? "plugin" : "settings",
                       "the plugin is not loaded, so settings cannot be checked");
  } else if (served &&
             book_compute(book, row, served->package, served->hash, patch, unset, &problems) == 0) {
    replace(&pending->problem, NULL);
    doubt(book->keeper, served->package, row->name, patch);
  } else if (served && is_asked) {
    pending_fail(result, UV_EINVAL, "the settings are not valid");
    book_fields_json(&problems, &result->fields);
  } else if (rebind(book, row, old_hook_id, &err) < 0) {
    pending_fail(result, UV_EIO, err.text);
  }
  yaml_node_free(patch);
  yaml_node_free(unset);
  problems_free(&problems);
  return result->code == 0;
}

// Sets what the row has instead of its plugin's limits, if anything was said of them.
static bool take_limits(AdminPending *pending, AdminResult *result)
{
  YamlNode *node = read_part(pending->limits, result, "limits");
  EndpointLimits limits;
  LimitProblem problem;
  Buffer json = { 0 };
  if (!node)
    return result->code == 0;
  if (endpoint_limits_read(node, &pending->book->keeper->config->plugin_limits, &limits,
                           &problem)) {
    endpoint_limits_json(&limits, &json);
    mem_free(pending->row.limits);
    pending->row.limits = buffer_take(&json);
  } else {
    char message[240], got[40] = "";
    if (problem.at->type == YAML_INTEGER)
      snprintf(got, sizeof got, ", got %lld", (long long)problem.at->integer);
    snprintf(message, sizeof message, "expected %s%s", problem.expected, got);
    pending_fail_field(result, problem.name, message);
  }
  yaml_node_free(node);
  return result->code == 0;
}

static bool find_plugin(AdminPending *pending, AdminResult *result)
{
  const Served *served = keeper_find_plugin(pending->book->keeper, pending->plugin);
  if (!served) {
    const char *near = keeper_nearest_plugin(pending->book->keeper, pending->plugin);
    char what[200];
    snprintf(what, sizeof what, "there is no plugin of this name%s%.100s%s",
             near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    pending_fail_field(result, "plugin", what);
    return false;
  }
  pending->row = (StoredEndpoint){
    .id = fresh_id(),
    .version = 0,
    .plugin = mem_string(served->id),
    .name = mem_string(served->name),
    .hook_id = fresh_hook_id(),
    .is_enabled = true,
    .settings = mem_string("{}"),
    .secrets = mem_string("{}"),
    .served = mem_string("{}"),
    .limits = mem_string("{}"),
    .plugin_hash = mem_string(""),
    .created_ms = host_clock.wall_ms(),
  };
  return true;
}

static bool find_row(AdminPending *pending, AdminResult *result)
{
  const BookEntry *entry = book_entry(pending->book, pending->id);
  if (!entry) {
    const Kept *kept = keeper_find_kept(pending->book->keeper, span_of(pending->id));
    if (!kept)
      pending_fail(result, UV_ENOENT, "there is no such endpoint");
    else if (kept->is_unasked)
      pending_fail(
          result, UV_EPERM,
          "the endpoint is there because `moonhook dev` serves every plugin that no endpoint "
          "names: make one of your own with `moonhook endpoint add`, or declare it in "
          "moonhook.yaml");
    else
      pending_fail(result, UV_EPERM,
                   "the endpoint is declared in the configuration file, change it there");
    return false;
  }
  stored_endpoint_copy(&pending->row, &entry->row);
  replace(&pending->problem, entry->problem);
  return true;
}

bool pending_make_row(AdminPending *pending, AdminResult *result)
{
  StoredEndpoint *row = &pending->row;
  char *old_hook_id;
  bool is_good;
  if (!(pending->verb == ADMIN_CREATE ? find_plugin : find_row)(pending, result))
    return false;
  if (pending->verb == ADMIN_REMOVE)
    return true;
  old_hook_id = mem_string(row->hook_id);
  row->version++;
  if (!pending->is_refresh)
    row->updated_ms = host_clock.wall_ms();
  if (pending->name)
    replace(&row->name, pending->name);
  if (pending->slug)
    replace(&row->hook_id, pending->slug);
  if (pending->enabled >= 0)
    row->is_enabled = pending->enabled > 0;
  if (pending->verb == ADMIN_ROTATE && !pending->slug) {
    mem_free(row->hook_id);
    row->hook_id = fresh_hook_id();
  }
  if (pending->name && book_has_name(pending->book, row)) {
    pending_fail_field(result, "name", "another endpoint of this plugin has this name");
    mem_free(old_hook_id);
    return false;
  }
  is_good = take_limits(pending, result) && make_settings(pending, result, old_hook_id);
  if (is_good && strcmp(old_hook_id, row->hook_id) != 0 &&
      keeper_has_hook(pending->book->keeper, row->hook_id)) {
    pending_fail_field(result, "slug",
                       "the address is taken by an endpoint of the configuration file");
    is_good = false;
  }
  mem_free(old_hook_id);
  return is_good;
}
