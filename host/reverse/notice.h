// Calls that nobody waits for. Their answers are read to the end, so that the connection may serve
// again, and thrown away.
#ifndef MOONHOOK_REVERSE_NOTICE_H
#define MOONHOOK_REVERSE_NOTICE_H

#include "../base/loop.h"
#include "../base/stream.h"

enum { NOTICES_MAX = 256 }; // at once; further ones are dropped

typedef struct Notice Notice;

// Zero-initialise.
typedef struct {
  Notice *first;
  uint32_t count;
} Notices;

void notices_take(Notices *notices, Loop *loop, Stream *stream); // takes the stream
void notices_close(Notices *notices);                            // gives all of them up

#endif
