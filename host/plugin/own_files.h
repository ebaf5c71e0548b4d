// What the host itself writes is no part of a package, wherever it lies: its output when that goes
// to a file, and its data folder. Else each line of the log would be a new version to load.
#ifndef MOONHOOK_PLUGIN_OWN_FILES_H
#define MOONHOOK_PLUGIN_OWN_FILES_H

#include <stdbool.h>
#include <sys/stat.h>

bool own_output(const struct stat *status);  // of a file: it is our stdout or stderr
bool own_data(int folder, const char *name); // of a folder in the open `folder`: it holds our data

#endif
