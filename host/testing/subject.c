// See subject.h.
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/memory.h"
#include "../base/yaml.h"
#include "../plugin/snapshot.h"
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
static Stream *open_local(void *context, const char *kind, Span body, const char *passes)
{
  Subject *subject = context;
  char url[120];
  ClientCall call = { .method = "POST",
                      .url = url,
                      .body = body.at,
                      .body_len = body.len,
                      .decoder = BODY_FRAMES,
                      .times = subject->runtime.client_times };
  (void)passes;
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
  size_t i;
  YamlDoc *doc = yaml_parse(settings_json, strlen(settings_json), &err);
  if (!doc) {
    buffer_printf(problems, "settings: %s\n", err.text);
    return NULL;
  }
  if (package_settings(package, yaml_root(doc), &json, &found, "settings") < 0) {
    for (i = 0; i < found.count; i++) // a place in the table of a spec says nothing
      buffer_printf(problems, "%s\n", found.items[i].what);
  } else if (!json.len)
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

// Loads the version in `dir` and makes it the one that is served.
static bool load_version(Subject *subject, const char *dir, Buffer *problems)
{
  EndpointTable *endpoints = dispatch_endpoints(subject->dispatch);
  Problems found = { 0 };
  Package *package = package_read(dir, &found);
  Generation *generation;
  PluginSlot *slot;
  char *settings;
  Err err;
  add_problems(problems, &found);
  problems_free(&found);
  if (!package)
    return false;
  own_space(package, subject->id);
  settings = read_settings(package, subject->settings_json, problems);
  generation = settings ? generation_load(&subject->runtime, package, dir, "test", DISPATCH_ENTRY,
                                          dispatch_modules, &err)
                        : NULL;
  if (!generation) {
    if (settings)
      buffer_printf(problems, "%s\n", err.text);
    mem_free(settings);
    package_free(package);
    return false;
  }
  if (!subject->plugin_id)
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
  subject->dir = mem_string(config->dir);
  subject->settings_json = mem_string(config->settings_json);
  subject->runtime.storage_faults = &subject->faults;
  subject->id = bed_new_id(bed);
  subject->next = bed->subjects;
  bed->subjects = subject;
  if ((!config->has_storage || bed_open_store(bed, &err) == 0) &&
      start(subject, config, &err) == 0 && load_version(subject, config->dir, problems))
    return subject;
  if (problems->len == 0)
    buffer_printf(problems, "%s\n", err.text);
  subject_close(bed, subject);
  return NULL;
}

static void keep_copy(Subject *subject, char *dir)
{
  size_t count = 0;
  while (subject->copies && subject->copies[count])
    count++;
  subject->copies = mem_resize(subject->copies, (count + 2) * sizeof *subject->copies);
  subject->copies[count] = dir;
  subject->copies[count + 1] = NULL;
}

// Writes a file of the copy, with the folders that it stands in.
static int put_file(const char *dir, const char *name, Span text, Err *err)
{
  Buffer path = { 0 };
  char *slash;
  FILE *file;
  bool is_written;
  if (!snapshot_holds(name) || strstr(name, "..") || *name == '/' || *name == '\0')
    return err_set(err, UV_EINVAL, "%.200s: expected the path of a file of the package", name);
  buffer_printf(&path, "%s/%s", dir, name);
  for (slash = strchr(path.bytes + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path.bytes, 0700);
    *slash = '/';
  }
  unlink(path.bytes);
  file = fopen(path.bytes, "wxe");
  is_written = file && fwrite(text.at, 1, text.len, file) == text.len;
  if (!file || fclose(file) != 0 || !is_written)
    err_set(err, UV_EIO, "%.200s: cannot be written", name);
  buffer_free(&path);
  return file && is_written ? 0 : UV_EIO;
}

int subject_reload(Subject *subject, const char *const *names, const Span *texts, Buffer *problems)
{
  char *dir = NULL;
  size_t i;
  Err err = { 0 };
  int rc = snapshot_unpack(subject->dir, &dir, &err);
  if (rc == 0)
    keep_copy(subject, dir); // the version may read its files for as long as it lives
  for (i = 0; rc == 0 && names[i]; i++)
    rc = put_file(dir, names[i], texts[i], &err);
  if (rc == 0)
    return load_version(subject, dir, problems) ? 0 : -1;
  buffer_printf(problems, "%s\n", err.text);
  return -1;
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
  size_t i;
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
  for (i = 0; subject->copies && subject->copies[i]; i++)
    snapshot_discard(subject->copies[i]);
  mem_free(subject->copies);
  mem_free(subject->dir);
  mem_free(subject->settings_json);
  mem_free(subject->plugin_id);
  mem_free(subject);
}
