// Single keys that `dev` takes on a terminal. Where standard input is none, or another program has
// the terminal, there are none.
#ifndef MOONHOOK_PROCESS_KEYS_H
#define MOONHOOK_PROCESS_KEYS_H

#include <stdbool.h>
#include <termios.h>

#include "../base/loop.h"

typedef struct {
  uv_poll_t poll;
  struct termios before; // of the terminal
  bool is_open;
  void (*on_key)(void *context, char key);
  void *context;
} Keys;

void keys_open(Keys *keys, Loop *loop, void (*on_key)(void *context, char key), void *context);
void keys_close(Keys *keys); // gives the terminal back; no effect when not open

#endif
