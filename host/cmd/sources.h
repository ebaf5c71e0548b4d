// Where the configuration is read from, as a command line says: the flags that serve, dev and
// config share.
#ifndef MOONHOOK_CMD_SOURCES_H
#define MOONHOOK_CMD_SOURCES_H

#include "../process/config.h"
#include "arguments.h"

// Borrows the arguments' strings. Flags that the verb does not have count as not given.
void sources_read(ConfigSources *sources, const Arguments *arguments);
void sources_free(ConfigSources *sources);

#endif
