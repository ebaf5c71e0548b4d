// A plugin whose code was stopped in the middle (state_is_tainted) goes on in a fresh state of the
// same version: what it kept in variables is gone. Requests that run end in the state they have.
#ifndef MOONHOOK_DISPATCH_RENEWAL_H
#define MOONHOOK_DISPATCH_RENEWAL_H

#include "dispatch_state.h"

// Before a request goes to the plugin's live version: replaces its state when it is tainted, once a
// second at most; until then, or when a fresh one cannot be loaded, it goes on. False: the state is
// so full that nothing would run in it, the request should come again in a second. Not to be called
// while code of the plugin runs.
bool renewal_look(Dispatch *dispatch, PluginSlot *plugin);

#endif
