// What settings choose, held against what the configuration has: an app that no backend has, a
// model of no backend. Only a call would tell otherwise.
#ifndef MOONHOOK_PROCESS_CHOICES_H
#define MOONHOOK_PROCESS_CHOICES_H

#include "../plugin/package.h"
#include "config.h"

// Adds a problem for each app and provider among `settings` (a map) that there is not, and a
// warning for a model that its backend does not declare. Dify has apps and providers of its own:
// where there is a backend of that type nothing is said of them. `file` is for their places.
void choices_check(const Config *config, const Package *package, const YamlNode *settings,
                   const char *file, Problems *problems);

#endif
