// A plugin that kills workers is kept out for a while: the master notes it on the scoreboard, and
// whoever routes a request asks here. When the time is over one request is let through; if it ends
// with its worker alive, the plugin is as good as before.
#ifndef MOONHOOK_DISPATCH_QUARANTINE_H
#define MOONHOOK_DISPATCH_QUARANTINE_H

#include "../base/scoreboard.h"

// Whether a request may go to this version of the plugin. False: not before `*retry_after_s`.
// `*probe` is set when this request is the one that tries it: quarantine_probe_over is due then.
bool quarantine_admits(const char *plugin, const char *version, Suspect **probe,
                       uint32_t *retry_after_s);
void quarantine_probe_over(Suspect *probe); // its worker lives

#endif
