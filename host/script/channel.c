// See channel.h. The task and the stream's owner live in different states; each may end first, so
// the channel is freed when both are gone.
#include "channel.h"

#include <stdio.h>

#include "../base/memory.h"
#include "task.h"

enum { CANCEL_GRACE_MS = 1000 };

typedef struct {
  Stream stream;
  Task *task; // NULL: over
  char *kind, *passes;
  Buffer body;
  Buffer piece; // the one that waits to be read
  Buffer given; // the one that the owner has borrowed
  bool has_piece, is_broken, is_waiting, is_closed;
} Channel;

static void channel_free(Channel *channel)
{
  stream_over(&channel->stream);
  mem_free(channel->kind);
  mem_free(channel->passes);
  buffer_free(&channel->body);
  buffer_free(&channel->piece);
  buffer_free(&channel->given);
  mem_free(channel);
}

static void weigh(Channel *channel)
{
  charge_set(&channel->stream.charge, channel->body.len + channel->piece.len + channel->given.len);
}

static void wake_owner(Channel *channel)
{
  if (!channel->is_waiting || channel->is_closed)
    return;
  channel->is_waiting = false;
  channel->stream.on_ready(&channel->stream);
}

// --- the task's side -----------------------------------------------------------------------------

static int push_arguments(lua_State *co, void *owner)
{
  Channel *channel = owner;
  lua_pushstring(co, channel->kind);
  lua_pushlstring(co, channel->body.bytes, channel->body.len);
  buffer_free(&channel->body);
  weigh(channel);
  return 2;
}

static bool on_piece(Task *task, Span piece, const char **refusal)
{
  Channel *channel = task_owner(task);
  (void)refusal;
  buffer_clear(&channel->piece);
  buffer_append(&channel->piece, piece.at, piece.len);
  channel->has_piece = true;
  weigh(channel);
  wake_owner(channel);
  return false; // one at a time: the reader asks for the next
}

static void on_end(Task *task, const TaskFailure *failure)
{
  Channel *channel = task_owner(task);
  channel->task = NULL;
  if (failure) {
    bool is_ours = strcmp(failure->code, "plugin_error") != 0;
    channel->is_broken = true;
    stream_fail(&channel->stream, is_ours ? failure->code : "upstream_error", "%.*s",
                (int)failure->message.len, failure->message.at);
    if (failure->retry_after_s > 0)
      channel->stream.error.retry_after_s = failure->retry_after_s;
  }
  if (channel->is_closed)
    channel_free(channel);
  else
    wake_owner(channel);
}

static const char *passes_of(Task *task)
{
  return ((Channel *)task_owner(task))->passes;
}

static const TaskEvents events = { .on_piece = on_piece, .passes = passes_of, .on_end = on_end };

// --- the reader's side ---------------------------------------------------------------------------

static StreamStatus channel_read(Stream *stream, Span *piece)
{
  Channel *channel = (Channel *)stream;
  if (channel->has_piece) {
    Buffer given = channel->given;
    channel->given = channel->piece;
    channel->piece = given;
    channel->has_piece = false;
    *piece = (Span){ channel->given.bytes, channel->given.len };
    if (channel->task)
      task_continue(channel->task);
    return STREAM_PIECE;
  }
  if (channel->task) {
    channel->is_waiting = true;
    return STREAM_WAIT;
  }
  return channel->is_broken ? STREAM_ERROR : STREAM_END;
}

static void channel_close(Stream *stream)
{
  Channel *channel = (Channel *)stream;
  channel->is_closed = true;
  charge_to(&stream->charge, NULL);
  if (channel->task)
    task_cancel(channel->task, "cancelled", "the caller left", CANCEL_GRACE_MS);
  else
    channel_free(channel);
}

static const StreamClass channel_class = { NULL, channel_read, channel_close };

Stream *channel_open(State *state, const char *kind, Span body, const char *passes)
{
  Channel *channel = mem_zero(1, sizeof *channel);
  channel->stream.class = &channel_class;
  channel->stream.error.retry_after_s = -1;
  channel->kind = mem_string(kind);
  channel->passes = mem_string(passes ? passes : "");
  buffer_append(&channel->body, body.at, body.len);
  weigh(channel);
  channel->task = task_start(state, &events, channel, push_arguments);
  return &channel->stream;
}
