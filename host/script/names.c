// See names.h.
#include "names.h"

#include <stddef.h>
#include <string.h>

#include "../base/yaml.h"

// Lua's names for what plugins find, as base/yaml.h's yaml_nearest takes them.
static const char *const globals[] = {
  "assert",   "bit",     "coroutine", "error",        "getmetatable", "ipairs",   "load",
  "math",     "next",    "pairs",     "pcall",        "print",        "rawequal", "rawget",
  "rawset",   "require", "select",    "setmetatable", "string",       "table",    "tonumber",
  "tostring", "type",    "unpack",    "xpcall",       NULL,
};

// What plugins do not have, and what they have instead.
static const char *const others[][2] = {
  { "os",
    "plugins have no `os`: moonhook.time() tells the time, settings hold what is configured" },
  { "io", "plugins have no `io`: moonhook.read(path) reads a file of the package, session.storage "
          "keeps data" },
  { "debug", "plugins have no `debug`" },
  { "package", "plugins have no `package`: require finds the plugin's own files" },
  { "ffi", "plugins have no `ffi`" },
  { "json", "it is local json = require(\"moonhook\").json" },
  { "moonhook", "it is local moonhook = require \"moonhook\"" },
  { "Response", "it is require(\"moonhook\").Response" },
  { "session", "it is self.session" },
  { "settings", "it is the handler's fourth argument" },
  { "request", "it is the handler's second argument" },
};

const char *names_hint(const char *name)
{
  size_t i;
  for (i = 0; i < sizeof others / sizeof *others; i++) {
    if (strcmp(others[i][0], name) == 0)
      return others[i][1];
  }
  return NULL;
}

const char *names_nearest(const char *name)
{
  return yaml_nearest(name, globals);
}
