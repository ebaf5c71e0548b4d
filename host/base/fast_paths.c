// See fast_paths.h. Read once: a process does not change its ways.
#include "fast_paths.h"

#include <stdlib.h>
#include <string.h>

bool fast_paths_are_on(void)
{
  static int state; // 0: not asked yet
  if (state == 0) {
    const char *wish = getenv("MOONHOOK_FAST_PATHS");
    state = wish && strcmp(wish, "off") == 0 ? -1 : 1;
  }
  return state > 0;
}
