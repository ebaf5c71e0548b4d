// The globals that plugins' code finds, for messages about those that it does not find.
#ifndef MOONHOOK_SCRIPT_NAMES_H
#define MOONHOOK_SCRIPT_NAMES_H

// What plugins have instead of a global that they do not have ("it is self.session"), or NULL.
const char *names_hint(const char *name);
// The global nearest to a misspelt one, or NULL.
const char *names_nearest(const char *name);

#endif
