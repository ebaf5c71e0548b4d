// moonhook test and moonhook lua: specs, run by busted inside the host.
#include <string.h>

#include "../base/memory.h"
#include "../testing/spec_state.h"
#include "arguments.h"
#include "test_watch.h"

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

// The arguments without --watch, or NULL when it is not among them.
static const char **watched(const Arguments *arguments)
{
  const char **words = mem_zero(arguments->place_count + 1, sizeof *words);
  size_t i, count = 0;
  for (i = 0; i < arguments->place_count; i++) {
    if (strcmp(arguments->places[i], "--watch") != 0)
      words[count++] = arguments->places[i];
  }
  if (count < arguments->place_count)
    return words;
  mem_free(words);
  return NULL;
}

int cmd_test(const Arguments *arguments)
{
  const char **words = watched(arguments);
  if (words) {
    int rc = test_watch(words);
    mem_free(words);
    return rc;
  }
  return run("moonhook.testing.run", "busted", arguments, 0);
}

int cmd_lua(const Arguments *arguments)
{
  return run(NULL, arguments->places[0], arguments, 1);
}
