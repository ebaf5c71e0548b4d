// A plugin that kills workers is kept out for a while: the master notes it on the scoreboard, and
// whoever routes a request asks here. When the time is over one request is let through; if it ends
// with its worker alive, the plugin is as good as before.
//
// Before it has killed that many it is watched for a minute: one worker alone serves it, so that
// its next crash takes no other down.
#ifndef MOONHOOK_DISPATCH_QUARANTINE_H
#define MOONHOOK_DISPATCH_QUARANTINE_H

#include "../base/scoreboard.h"

typedef enum {
  ADMITTED,
  ADMITTED_ELSEWHERE, // by quarantine_worker
  ADMITTED_LATER,     // not before `*retry_after_s`
} Admission;

// Whether a request may go to this version of the plugin. `*probe` is set when this request is the
// one that tries it: quarantine_probe_over is due then.
Admission quarantine_admits(const char *plugin, const char *version, Suspect **probe,
                            uint32_t *retry_after_s);
void quarantine_probe_over(Suspect *probe); // its worker lives

// What is known of this version; NULL: nothing bad.
Suspect *quarantine_find(const char *plugin, const char *version);
bool quarantine_watches(void); // any plugin
// The number of the worker that serves those that are watched. 0: there is none to be had, each
// serves what it gets.
uint32_t quarantine_worker(void);

#endif
