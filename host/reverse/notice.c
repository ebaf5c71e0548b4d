// See notice.h.
#include "notice.h"

#include <stddef.h>

#include "../base/memory.h"

struct Notice {
  Notice *prev, *next;
  Notices *notices;
  Loop *loop;
  Stream *stream;
  Timer timer; // a stream may not be closed in its on_ready
};

static void end(Notice *notice)
{
  Notices *notices = notice->notices;
  timer_stop(&notice->timer);
  notice->stream->class->close(notice->stream);
  if (notice->next)
    notice->next->prev = notice->prev;
  *(notice->prev ? &notice->prev->next : &notices->first) = notice->next;
  notices->count--;
  mem_free(notice);
}

static void advance(Notice *notice)
{
  StreamStatus status;
  Span piece;
  do
    status = notice->stream->class->read(notice->stream, &piece);
  while (status == STREAM_PIECE);
  if (status != STREAM_WAIT)
    end(notice);
}

static void on_due(Timer *timer)
{
  advance((Notice *)((char *)timer - offsetof(Notice, timer)));
}

static void on_ready(Stream *stream)
{
  Notice *notice = stream->owner;
  timer_start(notice->loop, &notice->timer, 0, on_due);
}

void notices_take(Notices *notices, Loop *loop, Stream *stream)
{
  Notice *notice;
  if (notices->count >= NOTICES_MAX) {
    stream->class->close(stream);
    return;
  }
  notice = mem_zero(1, sizeof *notice);
  notice->notices = notices;
  notice->loop = loop;
  notice->stream = stream;
  notice->next = notices->first;
  if (notice->next)
    notice->next->prev = notice;
  notices->first = notice;
  notices->count++;
  stream->owner = notice;
  stream->on_ready = on_ready;
  advance(notice);
}

void notices_close(Notices *notices)
{
  while (notices->first)
    end(notices->first);
}
