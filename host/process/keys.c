// See keys.h.
#include "keys.h"

#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
  Keys *keys = poll->data;
  char typed[16];
  ssize_t count = 0, i;
  (void)events;
  if (status == 0)
    count = read(STDIN_FILENO, typed, sizeof typed);
  if (count <= 0)
    uv_poll_stop(poll); // the terminal is gone
  for (i = 0; i < count && keys->is_open; i++)
    keys->on_key(keys->context, typed[i]);
}

void keys_open(Keys *keys, Loop *loop, void (*on_key)(void *context, char key), void *context)
{
  struct termios now;
  if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
      tcgetattr(STDIN_FILENO, &keys->before) != 0 ||
      uv_poll_init(loop_uv(loop), &keys->poll, STDIN_FILENO) != 0)
    return;
  now = keys->before;
  now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &now);
  keys->poll.data = keys;
  keys->on_key = on_key;
  keys->context = context;
  keys->is_open = true;
  uv_poll_start(&keys->poll, UV_READABLE, on_readable);
  uv_unref((uv_handle_t *)&keys->poll);
}

void keys_close(Keys *keys)
{
  if (!keys->is_open)
    return;
  keys->is_open = false;
  tcsetattr(STDIN_FILENO, TCSANOW, &keys->before);
  uv_close((uv_handle_t *)&keys->poll, NULL);
}
