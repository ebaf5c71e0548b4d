// moonhook test and moonhook lua: specs, run by busted inside the host.
#include "../base/memory.h"
#include "../testing/spec_state.h"
#include "arguments.h"

// Runs a script or a module with the arguments from `first` on; `name` is its arg[0].
static int run(const char *module, const char *name, const Arguments *arguments, size_t first)
{
  size_t i, count = arguments->place_count - first;
  const char **words = mem_zero(count + 1, sizeof *words);
  int rc;
  words[0] = name;
  for (i = 0; i < count; i++)
    words[i + 1] = arguments->places[first + i];
  rc = spec_state_run(module, (int)count + 1, words);
  mem_free(words);
  return rc;
}

int cmd_test(const Arguments *arguments)
{
  return run("moonhook.testing.run", "busted", arguments, 0);
}

int cmd_lua(const Arguments *arguments)
{
  return run(NULL, arguments->places[0], arguments, 1);
}
