// See hangup.h.
#include "hangup.h"

#include <fcntl.h>
#include <unistd.h>

#include "../base/memory.h"

struct Hangup {
  uv_poll_t poll; // first member
  int fd;
  void (*on_hangup)(void *context);
  void *context;
};

static void on_event(uv_poll_t *poll, int status, int events)
{
  Hangup *hangup = (Hangup *)poll;
  (void)events;
  (void)status; // an error of the socket is a hang-up as well
  uv_poll_stop(poll);
  hangup->on_hangup(hangup->context);
}

static void on_closed(uv_handle_t *handle)
{
  Hangup *hangup = (Hangup *)handle;
  close(hangup->fd);
  mem_free(hangup);
}

Hangup *hangup_watch(uv_loop_t *loop, int fd, void (*on_hangup)(void *context), void *context)
{
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); // libuv has but one watcher for a descriptor
  Hangup *hangup;
  if (copy < 0)
    return NULL;
  hangup = mem_zero(1, sizeof *hangup);
  hangup->fd = copy;
  hangup->on_hangup = on_hangup;
  hangup->context = context;
  if (uv_poll_init(loop, &hangup->poll, copy) != 0) {
    close(copy);
    mem_free(hangup);
    return NULL;
  }
  uv_poll_start(&hangup->poll, UV_DISCONNECT, on_event);
  return hangup;
}

void hangup_close(Hangup *hangup)
{
  if (hangup)
    uv_close((uv_handle_t *)&hangup->poll, on_closed);
}
