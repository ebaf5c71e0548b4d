// The log: see log.h. Lines wait in one buffer; a line never leaves in halves through a pipe, and
// nothing here waits for a reader.
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "log_line.h"
#include "mask.h"
#include "scoreboard.h"

enum {
  MAX_PENDING_BYTES = 256 * 1024, // above it lines are dropped
  FLUSH_BYTES = 16 * 1024,
  FLUSH_MS = 100,
  MAX_FIELDS = 40,
};

typedef enum { SINK_FILE, SINK_PIPE, SINK_SOCKET } SinkType;

static struct {
  pthread_mutex_t lock; // the store's thread logs too
  int fd;
  SinkType sink;
  LogStyle style;
  bool is_urgent;
  LogLevel least;
  Buffer lines; // whole lines only
  uint64_t dropped, dropped_told;
  uint64_t flushed_ms;
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .least = LOG_INFO };

static bool write_out(const char *bytes, size_t len, size_t *written);
static void tell_dropped(void);

void log_open(int fd, bool is_pretty, LogLevel least)
{
  struct stat status;
  const char *no_color = getenv("NO_COLOR");
  pthread_mutex_lock(&the_log.lock);
  the_log.fd = fd;
  the_log.style.is_pretty = is_pretty;
  the_log.style.has_colour = is_pretty && isatty(fd) && !(no_color && no_color[0]);
  the_log.least = least;
  the_log.sink = SINK_FILE;
  if (fstat(fd, &status) == 0) {
    if (S_ISFIFO(status.st_mode))
      the_log.sink = SINK_PIPE;
    else if (S_ISSOCK(status.st_mode))
      the_log.sink = SINK_SOCKET;
  }
  pthread_mutex_unlock(&the_log.lock);
}

void log_set_layout(LogLayout layout)
{
  the_log.style.layout = layout;
}

void log_forked(void)
{
  pthread_mutex_init(&the_log.lock, NULL); // another thread of the parent's may have held it
  buffer_clear(&the_log.lines);
  the_log.dropped = the_log.dropped_told = 0;
  the_log.is_urgent = false;
}

bool log_wants(LogLevel level)
{
  return level >= the_log.least;
}

uint64_t log_dropped(void)
{
  return the_log.dropped;
}

bool log_is_pending(void)
{
  return the_log.lines.len > 0;
}

bool log_is_due(uint64_t now_ms)
{
  if (!the_log.is_urgent && the_log.lines.len <= FLUSH_BYTES &&
      now_ms - the_log.flushed_ms < FLUSH_MS)
    return false;
  the_log.flushed_ms = now_ms;
  return true;
}

void log_hide(Span secret)
{
  pthread_mutex_lock(&the_log.lock);
  mask_add(secret);
  pthread_mutex_unlock(&the_log.lock);
}

void log_show(Span secret)
{
  pthread_mutex_lock(&the_log.lock);
  mask_forget(secret);
  pthread_mutex_unlock(&the_log.lock);
}

void log_clean(Span text, size_t most, Buffer *out)
{
  size_t start = out->len;
  bool is_hit;
  if (text.len > most + MASK_MOST) // a secret that begins before the cut is still seen whole
    text.len = most + MASK_MOST;
  pthread_mutex_lock(&the_log.lock);
  is_hit = mask_secrets(text, out);
  pthread_mutex_unlock(&the_log.lock);
  if (!is_hit)
    buffer_append(out, text.at, text.len);
  mask_shapes(out->bytes + start, out->len - start);
  if (out->len - start > most) {
    out->len = start + most;
    out->bytes[out->len] = '\0';
  }
}

static void add_line(LogLevel level, const char *message, const LogField *fields)
{
  log_line_add(&the_log.lines, &the_log.style, level, message, fields);
}

// What may hold a secret; nothing of a field that cannot.
static Span text_to_search(const LogField *field)
{
  if (field->is_known || !field->text)
    return (Span){ NULL, 0 };
  if (field->type == LOG_STRING)
    return span_of(field->text);
  return (Span){ field->text, field->type == LOG_BYTES ? field->len : 0 };
}

static bool has_secret(const char *message, const LogField *fields)
{
  if (mask_is_empty())
    return false;
  for (; fields && fields->type != LOG_END; fields++) {
    if (mask_finds(text_to_search(fields)))
      return true;
  }
  return mask_finds(span_of(message));
}

void log_make_ready(LogReady *ready, const LogField *fields, uint32_t count)
{
  uint32_t i;
  for (i = 0; i < count; i++)
    assert(!text_to_search(&fields[i]).at);
  pthread_mutex_lock(&the_log.lock);
  ready->len = (uint16_t)log_line_fields(ready->json, sizeof ready->json, fields, count);
  ready->count = ready->len > 0 ? (uint16_t)count : 0;
  pthread_mutex_unlock(&the_log.lock);
}

// A line with what is secret masked. Masked texts live in `kept` until the line is made.
static void add_masked_line(LogLevel level, const char *message, const LogField *fields)
{
  LogField masked[MAX_FIELDS + 1];
  Buffer kept[MAX_FIELDS + 1] = { { 0 } };
  uint32_t count = 0, i;
  for (; fields && fields[count].type != LOG_END && count < MAX_FIELDS; count++) {
    LogField *field = &masked[count];
    *field = fields[count];
    if (mask_secrets(text_to_search(field), &kept[count])) {
      field->type = LOG_BYTES;
      field->text = kept[count].bytes;
      field->len = kept[count].len;
    }
  }
  masked[count].type = LOG_END;
  if (mask_secrets(span_of(message), &kept[MAX_FIELDS]))
    message = kept[MAX_FIELDS].bytes;
  add_line(level, message, masked);
  for (i = 0; i <= MAX_FIELDS; i++)
    buffer_free(&kept[i]);
}

void log_write(LogLevel level, const char *message, const LogField *fields)
{
  if (!log_wants(level))
    return;
  pthread_mutex_lock(&the_log.lock);
  if (the_log.lines.len > MAX_PENDING_BYTES)
    the_log.dropped++;
  else if (has_secret(message, fields))
    add_masked_line(level, message, fields);
  else
    add_line(level, message, fields);
  if (level >= LOG_WARN)
    the_log.is_urgent = true;
  pthread_mutex_unlock(&the_log.lock);
}

void log_flush(void)
{
  size_t done = 0, written;
  pthread_mutex_lock(&the_log.lock);
  the_log.is_urgent = false;
  if (the_log.dropped > the_log.dropped_told && the_log.lines.len <= MAX_PENDING_BYTES)
    tell_dropped();
  while (done < the_log.lines.len) {
    if (!write_out(the_log.lines.bytes + done, the_log.lines.len - done, &written))
      break;
    done += written;
  }
  buffer_consume(&the_log.lines, done);
  scoreboard_mine()->log_dropped = the_log.dropped;
  if (the_log.lines.len == 0 && the_log.lines.cap > 4 * (size_t)FLUSH_BYTES)
    buffer_free(&the_log.lines);
  pthread_mutex_unlock(&the_log.lock);
}

static void tell_dropped(void)
{
  uint64_t lines = the_log.dropped - the_log.dropped_told;
  LogField fields[] = { LOG_I("lines", lines), LOG_LAST };
  the_log.dropped_told = the_log.dropped;
  add_line(LOG_WARN, "log lines dropped: nobody reads the log fast enough", fields);
}

// --- writing -------------------------------------------------------------------------------------

// How much of `bytes` (whole lines) goes out in one write: through a pipe a write of at most
// PIPE_BUF bytes is whole or not at all, and does not wait where poll() promises room.
static size_t piece_of(const char *bytes, size_t len)
{
  const char *end;
  if (len <= PIPE_BUF)
    return len;
  end = memrchr(bytes, '\n', PIPE_BUF);
  return end ? (size_t)(end - bytes) + 1 : PIPE_BUF;
}

// False: not now. What cannot be written at all (a closed pipe) is given up and counts as written.
static bool write_out(const char *bytes, size_t len, size_t *written)
{
  struct pollfd room = { .fd = the_log.fd, .events = POLLOUT };
  ssize_t rc;
  *written = len;
  switch (the_log.sink) {
  case SINK_PIPE:
    if (poll(&room, 1, 0) <= 0)
      return false;
    *written = piece_of(bytes, len);
    rc = write(the_log.fd, bytes, *written);
    break;
  case SINK_SOCKET:
    rc = send(the_log.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    break;
  default:
    rc = write(the_log.fd, bytes, len);
  }
  if (rc >= 0) {
    *written = (size_t)rc;
    return rc > 0;
  }
  if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOSPC)
    return false;
  the_log.dropped++;
  return true;
}
