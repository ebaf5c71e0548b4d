// The line between the master and one of its children: single bytes both ways, and its end tells
// each that the other is gone. This is the child's side.
#ifndef MOONHOOK_PROCESS_LINK_H
#define MOONHOOK_PROCESS_LINK_H

#include "../base/loop.h"

// From the child.
enum { LINK_READY = 'r', LINK_CHANGED = 'g' };
// To the child.
enum {
  LINK_LOOK = 'l',     // the generation has moved
  LINK_RELOAD = 'h',   // read the configuration again
  LINK_RETIRE = 'd',   // another takes over
  LINK_STOP = 't',     // finish
  LINK_STOP_NOW = 'T', // at once
  LINK_LOST = 0,       // the master is gone
};

typedef struct Link Link;

Link *link_new(Loop *loop, int fd, void (*on_word)(void *context, char word), void *context);
void link_send(Link *link, char word);
void link_close(Link *link); // NULL is fine

#endif
