// How `dev` shows the log on a terminal: a request is one short line, a failure of a plugin stands
// there with the lines of source around it and the plugin's own frames. Everything else is as it
// is.
#ifndef MOONHOOK_PROCESS_DEV_VIEW_H
#define MOONHOOK_PROCESS_DEV_VIEW_H

#include "../base/log.h"

// For log_set_layout.
bool dev_view(Buffer *out, bool has_colour, LogLevel level, const char *message,
              const LogField *fields);

#endif
