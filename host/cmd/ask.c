// The verbs that ask a running host, and doctor: what they do is in lua/moonhook/cli, this says
// where the host is and which key it takes (see script/tool.h).
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "../process/config_show.h"
#include "../process/confine.h"
#include "../script/deadline.h"
#include "../script/state.h"
#include "../script/tool.h"
#include "sources.h"

static void append_text(Buffer *out, const char *text)
{
  buffer_json_string(out, text, strlen(text));
}

// "flags":{"--set":["a=b"],"--json":[]},"places":["x"]
static void append_arguments(Buffer *out, const Arguments *arguments)
{
  const char *gap = "";
  size_t i, j;
  buffer_string(out, "\"verb\":");
  append_text(out, arguments->verb->name);
  buffer_string(out, ",\"flags\":{");
  for (i = 0; i < arguments->given_count; i++) {
    const Flag *flag = arguments->given[i].flag;
    const char *comma = "";
    for (j = 0; j < i && arguments->given[j].flag != flag; j++)
      ;
    if (j < i)
      continue; // told with the first of that name
    buffer_string(out, gap);
    append_text(out, flag->name);
    buffer_string(out, ":[");
    for (; flag->value && j < arguments->given_count; j++) {
      if (arguments->given[j].flag != flag)
        continue;
      buffer_string(out, comma);
      append_text(out, arguments->given[j].value);
      comma = ",";
    }
    buffer_char(out, ']');
    gap = ",";
  }
  buffer_string(out, "},\"places\":[");
  for (i = 0; i < arguments->place_count; i++) {
    buffer_string(out, i ? "," : "");
    append_text(out, arguments->places[i]);
  }
  buffer_char(out, ']');
}

// An address that one can connect to, of one that is listened on.
static const char *reachable(const char *host)
{
  if (strcmp(host, "0.0.0.0") == 0)
    return "127.0.0.1";
  return strcmp(host, "::") == 0 ? "::1" : host;
}

static void append_admin(Buffer *out, const Config *config, const char *key_file)
{
  const char *host = reachable(config->admin_listen.host);
  bool is_v6 = strchr(host, ':') != NULL;
  char *path = config_admin_key_file(config);
  buffer_printf(out, ",\"admin\":{\"url\":\"http://%s%s%s:%d\",\"key_file\":", is_v6 ? "[" : "",
                host, is_v6 ? "]" : "", config->admin_listen.port);
  append_text(out, key_file ? key_file : path);
  buffer_char(out, '}');
  mem_free(path);
}

static int ask(const Arguments *arguments)
{
  Buffer input = { 0 };
  ConfigSources sources;
  Config *config;
  Err err;
  int code = 1;
  sources_read(&sources, arguments);
  config = config_read(&sources, &err);
  sources_free(&sources);
  if (!config) {
    fprintf(stderr, "moonhook %s: %s\n", arguments->verb->name, err.text);
    return 1;
  }
  if (config->admin_listen.port == 0) {
    fprintf(stderr,
            "moonhook %s: admin.listen has port 0, which is another at each start: say which with "
            "--admin\n",
            arguments->verb->name);
  } else {
    buffer_char(&input, '{');
    append_arguments(&input, arguments);
    append_admin(&input, config, arguments_value(arguments, "--key-file"));
    buffer_char(&input, '}');
    code = tool_run("moonhook.cli", (Span){ input.bytes, input.len });
  }
  buffer_free(&input);
  config_free(config);
  return code;
}

static const char *truth(bool value)
{
  return value ? "true" : "false";
}

static void append_confinement(Buffer *out, const Config *config)
{
  const ConfineProbe probe = confine_probe(config);
  buffer_printf(
      out, ",\"confine\":{\"is_off\":%s,\"has_calls\":%s,\"has_files\":%s,\"landlock\":%d}",
      truth(probe.is_off), truth(probe.has_calls), truth(probe.has_files), probe.landlock);
}

// Also told when the configuration cannot be read: that is a finding, too.
int cmd_doctor(const Arguments *arguments)
{
  Buffer input = { 0 };
  ConfigSources sources;
  Config *config;
  Err err;
  int code;
  sources_read(&sources, arguments);
  config = config_read(&sources, &err);
  sources_free(&sources);
  buffer_char(&input, '{');
  append_arguments(&input, arguments);
  buffer_printf(&input,
                ",\"runs_compiled\":%s,\"luajit\":", truth(deadline_reaches_compiled_code()));
  append_text(&input, script_version());
  if (config) {
    append_admin(&input, config, NULL);
    append_confinement(&input, config);
    buffer_string(&input, ",\"config\":");
    config_show_json(config, &input);
  } else {
    buffer_string(&input, ",\"problem\":");
    append_text(&input, err.text);
  }
  buffer_char(&input, '}');
  code = tool_run("moonhook.cli", (Span){ input.bytes, input.len });
  buffer_free(&input);
  config_free(config);
  return code;
}

int cmd_endpoint(const Arguments *arguments)
{
  return ask(arguments);
}

int cmd_plugin(const Arguments *arguments)
{
  return ask(arguments);
}

int cmd_secrets(const Arguments *arguments)
{
  return ask(arguments);
}
