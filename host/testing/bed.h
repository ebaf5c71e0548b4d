// A test bed: one loop on which plugins under test, the upstreams that a spec plays for them, and
// the spec's own clients live together. Time is held: it moves only when nothing else can happen,
// straight to the next timer, so that a spec waits for no clock and knows when things happen.
//
// What happens is told as events, one at a time; the spec's Lua code asks for the next one. There
// is one bed in a process.
#ifndef MOONHOOK_TESTING_BED_H
#define MOONHOOK_TESTING_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buffer.h"
#include "../base/loop.h"
#include "../store/store.h"

typedef enum {
  EVENT_NONE,
  EVENT_DATA,  // a client socket has bytes to read, or its end
  EVENT_CALL,  // an upstream got a call
  EVENT_OVER,  // a call is over: answered, or broken off by the spec
  EVENT_LEFT,  // its caller left before the end
  EVENT_TIMER, // a timer of the spec's
} EventType;

typedef struct {
  EventType type;
  uint32_t id; // of the socket, call or timer
} Event;

typedef struct Subject Subject;           // subject.h
typedef struct Call Call;                 // upstream.h
typedef struct ClientSocket ClientSocket; // client_socket.h
typedef struct SpecTimer SpecTimer;

typedef struct {
  Loop *loop;
  Store *store;   // opened when a plugin first may keep something; else NULL
  char *data_dir; // the store's, removed at the end
  int log_fd;     // the log goes to this file; -1: none
  Event *events;
  uint32_t event_count, event_room, next_id;
  uv_timer_t nap;
  uint64_t started_ms;
  Subject *subjects;
  Call *calls;
  ClientSocket *sockets;
  SpecTimer *timers;
} Bed;

Bed *bed_get(Err *err); // makes it when it is first asked for; NULL: it cannot be made
void bed_close(void);   // everything that is still open is broken off; no effect without a bed
uint32_t bed_new_id(Bed *bed);
void bed_tell(Bed *bed, EventType type, uint32_t id);
int bed_open_store(Bed *bed, Err *err);

// The next event. EVENT_NONE: nothing more happens before `until_ms`, and now it is that time, or
// (UINT64_MAX) nothing will ever happen.
Event bed_next(Bed *bed, uint64_t until_ms);
// Lets things happen until is_done says so; false: they never came to that.
bool bed_run_until(Bed *bed, bool (*is_done)(void *context), void *context);
uint64_t bed_now_ms(Bed *bed); // since the bed was made

uint32_t bed_start_timer(Bed *bed, uint64_t delay_ms);
void bed_stop_timer(Bed *bed, uint32_t id);

#endif
