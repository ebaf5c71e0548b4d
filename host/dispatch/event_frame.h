// Server-sent events: what a generator yields in Response.sse, as the bytes of an event. See the
// HTML standard, section 9.2.
#ifndef MOONHOOK_DISPATCH_EVENT_FRAME_H
#define MOONHOOK_DISPATCH_EVENT_FRAME_H

#include <lua.h>

#include "../base/buffer.h"
#include "../base/error.h"

void event_frame_data(Buffer *frame, Span data); // its lines as fields `data`, without the end

// Appends the event that the table at the top of L is: { event, id: one line each; retry: whole
// milliseconds; data: a string, or a table, which becomes JSON }. UV_EINVAL for anything else in
// it.
int event_frame(lua_State *L, Buffer *frame, Err *err);

#endif
