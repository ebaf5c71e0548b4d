// See link.h.
#include "link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/memory.h"

struct Link {
  uv_poll_t poll; // first member
  int fd;
  void (*on_word)(void *context, char word);
  void *context;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
  Link *link = (Link *)poll;
  char word;
  ssize_t rc = recv(link->fd, &word, 1, MSG_DONTWAIT); // one: the link may be closed by it
  (void)status;
  (void)events;
  if (rc == 1) {
    link->on_word(link->context, word);
  } else if (rc == 0 || (errno != EAGAIN && errno != EINTR)) {
    uv_poll_stop(poll);
    link->on_word(link->context, LINK_LOST);
  }
}

Link *link_new(Loop *loop, int fd, void (*on_word)(void *context, char word), void *context)
{
  Link *link = mem_zero(1, sizeof *link);
  link->fd = fd;
  link->on_word = on_word;
  link->context = context;
  uv_poll_init(loop_uv(loop), &link->poll, fd);
  uv_poll_start(&link->poll, UV_READABLE, on_readable);
  return link;
}

void link_send(Link *link, char word)
{
  send(link->fd, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_closed(uv_handle_t *handle)
{
  mem_free(handle);
}

void link_close(Link *link)
{
  if (!link)
    return;
  uv_close((uv_handle_t *)&link->poll, on_closed);
  close(link->fd);
}
