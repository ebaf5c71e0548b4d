// See fast_paths.h. Read once: a process does not change its ways.
#include "fast_paths.h"

#include <stdlib.h>
#include <string.h>

bool fast_paths_are_off;

__attribute__((constructor)) static void read_wish(void)
{
  const char *wish = getenv("MOONHOOK_FAST_PATHS");
  fast_paths_are_off = wish && strcmp(wish, "off") == 0;
}
