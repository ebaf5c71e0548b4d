// See subject.h.
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "../base/yaml.h"
#include "../script/task.h"
#include "upstream.h"

enum { NOW_GRACE_MS = 100 };

static HttpServer *make_server(Subject *subject, const HttpHandler *handler, void *context,
                               Err *err)
{
  HttpLimits limits = http_limits_default();
  int fd = http_bind("127.0.0.1", 0, err);
  return fd < 0 ? NULL : http_server_new(subject->bed->loop, fd, &limits, handler, context, err);
}

// --- reverse calls -------------------------------------------------------------------------------

// The backend `local` is played like the others: each piece of its answer is a frame.
static Stream *open_local(void *context, const char *kind, Span body)
{
  Subject *subject = context;
  char url[120];
  ClientCall call = { .method = "POST",
                      .url = url,
                      .body = body.at,
                      .body_len = body.len,
                      .decoder = BODY_FRAMES,
                      .times = subject->runtime.client_times };
  snprintf(url, sizeof url, "http://127.0.0.1:%d/local/%.40s", http_server_port(subject->upstream),
           kind);
  return client_open(subject->runtime.client, &call);
}

static int make_backends(Subject *subject, const SubjectConfig *config, Err *err)
{
  Backends *backends = backends_new();
  Buffer json = { 0 };
  char url[80];
  size_t i;
  int rc;
  snprintf(url, sizeof url, "http://127.0.0.1:%d", http_server_port(subject->upstream));
  rc = backends_add(backends, BACKEND_DIFY, "dify", url, "test", NULL, err);
  buffer_string(&json, "{\"backends\":{\"dify\":{\"type\":\"dify\"}");
  for (i = 0; rc == 0 && config->names && config->names[i]; i++) {
    rc = backends_add(backends, BACKEND_DIFY, config->names[i], url, "test", NULL, err);
    buffer_char(&json, ',');
    buffer_json_string(&json, config->names[i], strlen(config->names[i]));
    buffer_printf(&json, ":{\"type\":\"dify\",\"models\":%s}", config->models[i]);
  }
  buffer_string(&json, "},\"apps\":{}}");
  subject->runtime.backends = backends;
  subject->runtime.catalogue_json = buffer_take(&json);
  subject->runtime.catalogue_version = 1;
  return rc;
}

// --- loading -------------------------------------------------------------------------------------

static int start(Subject *subject, const SubjectConfig *config, Err *err)
{
  ClientConfig client = { 0 };
  const DispatchConfig dispatch = { 0 };
  Runtime *runtime = &subject->runtime;
  char relay[80];
  runtime->loop = subject->bed->loop;
  runtime->store = config->has_storage ? subject->bed->store : NULL;
  runtime->library_path = getenv("MOONHOOK_LUA_PATH");
  runtime->local_open = open_local;
  runtime->local_context = subject;
  runtime->client_times = client_times_default();
  runtime->apps_json = mem_string("{}");
  subject->upstream = make_server(subject, &upstream_handler, subject, err);
  runtime->client = client_new(runtime->loop, &client, err);
  if (!subject->upstream || !runtime->client)
    return err->code;
  snprintf(relay, sizeof relay, "http://127.0.0.1:%d/web", http_server_port(subject->upstream));
  runtime->web_relay = mem_string(relay);
  if (make_backends(subject, config, err) < 0)
    return err->code;
  subject->dispatch = dispatch_new(runtime, &dispatch);
  subject->server = make_server(subject, &dispatch_handler, subject->dispatch, err);
  return subject->server ? 0 : err->code;
}

static void add_problems(Buffer *text, const Problems *problems)
{
  size_t i;
  for (i = 0; i < problems->count; i++)
    buffer_printf(text, "%s\n", problems->items[i].text);
}

// The settings held against the declared ones. NULL: *problems says why.
static char *read_settings(const Package *package, const char *settings_json, Buffer *problems)
{
  Err err;
  Problems found = { 0 };
  Buffer json = { 0 };
  YamlDoc *doc = yaml_parse(settings_json, strlen(settings_json), &err);
  if (!doc) {
    buffer_printf(problems, "settings: %s\n", err.text);
    return NULL;
  }
  if (package_settings(package, yaml_root(doc), &json, &found, "settings") < 0)
    add_problems(problems, &found);
  else if (!json.len)
    buffer_string(&json, "{}");
  problems_free(&found);
  yaml_doc_free(doc);
  if (json.len)
    return buffer_take(&json);
  buffer_free(&json);
  return NULL;
}

// Each load is an author of its own to the store: it finds nothing of what another one kept.
static void own_space(Package *package, uint32_t id)
{
  Buffer author = { 0 };
  buffer_printf(&author, "%s#%u", package->author, (unsigned)id);
  mem_free(package->author);
  package->author = buffer_take(&author);
}

static bool load_plugin(Subject *subject, const SubjectConfig *config, Buffer *problems)
{
  EndpointTable *endpoints = dispatch_endpoints(subject->dispatch);
  Problems found = { 0 };
  Package *package = package_read(config->dir, &found);
  Generation *generation;
  PluginSlot *slot;
  char *settings;
  Err err;
  add_problems(problems, &found);
  problems_free(&found);
  if (!package)
    return false;
  own_space(package, subject->id);
  settings = read_settings(package, config->settings_json, problems);
  generation = settings ? generation_load(&subject->runtime, package, config->dir, "test",
                                          DISPATCH_ENTRY, dispatch_modules, &err)
                        : NULL;
  if (!generation) {
    if (settings)
      buffer_printf(problems, "%s\n", err.text);
    mem_free(settings);
    package_free(package);
    return false;
  }
  subject->plugin_id = package_id(package);
  slot = endpoint_table_plugin(endpoints, subject->plugin_id);
  plugin_slot_set(slot, generation);
  snprintf(subject->hook_id, sizeof subject->hook_id, "test");
  endpoint_table_set(endpoints, subject->hook_id, "test", slot, settings, NULL, true);
  mem_free(settings);
  return true;
}

Subject *subject_load(Bed *bed, const SubjectConfig *config, Buffer *problems)
{
  Subject *subject = mem_zero(1, sizeof *subject);
  Err err = { 0 };
  subject->bed = bed;
  subject->id = bed_new_id(bed);
  subject->next = bed->subjects;
  bed->subjects = subject;
  if ((!config->has_storage || bed_open_store(bed, &err) == 0) &&
      start(subject, config, &err) == 0 && load_plugin(subject, config, problems))
    return subject;
  if (problems->len == 0)
    buffer_printf(problems, "%s\n", err.text);
  subject_close(bed, subject);
  return NULL;
}

Subject *subject_find(const Bed *bed, uint32_t id)
{
  Subject *subject = bed->subjects;
  while (subject && subject->id != id)
    subject = subject->next;
  return subject;
}

int subject_port(const Subject *subject)
{
  return http_server_port(subject->server);
}

uint32_t subject_live_tasks(const Subject *subject)
{
  return subject->runtime.live_tasks;
}

// --- closing -------------------------------------------------------------------------------------
// The servers and their requests first, then tasks, then the state, then what it used.

static void on_closed(void *context)
{
  *(bool *)context = true;
}

static bool is_true(void *context)
{
  return *(bool *)context;
}

static void close_server(Bed *bed, HttpServer **server)
{
  bool is_closed = false;
  if (!*server)
    return;
  http_server_stop(*server, true, on_closed, &is_closed);
  bed_run_until(bed, is_true, &is_closed);
  http_server_free(*server);
  *server = NULL;
}

static bool has_no_task(void *context)
{
  return ((Runtime *)context)->live_tasks == 0;
}

static bool has_no_state(void *context)
{
  return ((Runtime *)context)->live_states == 0;
}

void subject_close(Bed *bed, Subject *subject)
{
  Runtime *runtime = &subject->runtime;
  Subject **link;
  bool is_closed = false;
  task_cancel_all(runtime, "cancelled", "the spec is over", NOW_GRACE_MS);
  close_server(bed, &subject->server);
  bed_run_until(bed, has_no_task, runtime);
  if (subject->dispatch)
    dispatch_free(subject->dispatch);
  bed_run_until(bed, has_no_state, runtime);
  if (runtime->client) {
    client_close(runtime->client, on_closed, &is_closed);
    bed_run_until(bed, is_true, &is_closed);
  }
  close_server(bed, &subject->upstream);
  runtime_close(runtime);
  if (runtime->backends)
    backends_release(runtime->backends);
  mem_free(runtime->catalogue_json);
  mem_free(runtime->apps_json);
  mem_free((char *)(uintptr_t)runtime->web_relay);
  for (link = &bed->subjects; *link != subject; link = &(*link)->next)
    ;
  *link = subject->next;
  mem_free(subject->plugin_id);
  mem_free(subject);
}
