// The log: see log.h. Lines wait in one buffer; a line never leaves in halves through a pipe, and
// nothing here waits for a reader.
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "utf8.h"

enum {
  MAX_LINE_BYTES = 4096,          // the final newline included; Linux's PIPE_BUF
  MAX_PENDING_BYTES = 256 * 1024, // above it lines are dropped
  FLUSH_BYTES = 16 * 1024,
  FLUSH_MS = 100,
  MAX_MESSAGE_BYTES = 2048,
  LONGEST_ESCAPE = 6, // \\u001f
  TAIL_BYTES = 16, // kept free for what ends a cut line
};

typedef enum { SINK_FILE, SINK_PIPE, SINK_SOCKET } SinkType;

static struct {
  pthread_mutex_t lock; // the store's thread logs too
  int fd;
  SinkType sink;
  bool is_pretty, has_colour, is_urgent;
  LogLevel least;
  Buffer lines; // whole lines only
  Buffer line;  // the one being made
  Buffer field; // the field being made
  uint64_t dropped, dropped_told;
  uint64_t flushed_ms;
  time_t stamp_second;
  char stamp[32]; // of stamp_second
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .least = LOG_INFO };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void add_line(LogLevel level, const char *message, const LogField *fields);
static void begin_json(LogLevel level, const char *message);
static void begin_pretty(LogLevel level, const char *message);
static bool add_field(const LogField *field);
static void format_field(Buffer *out, const LogField *field, size_t max_text);
static void add_value(Buffer *out, const char *text, size_t len);
static bool write_out(const char *bytes, size_t len, size_t *written);
static void tell_dropped(void);

void log_open(int fd, bool is_pretty, LogLevel least)
{
  struct stat status;
  const char *no_color = getenv("NO_COLOR");
  pthread_mutex_lock(&the_log.lock);
  the_log.fd = fd;
  the_log.is_pretty = is_pretty;
  the_log.has_colour = is_pretty && isatty(fd) && !(no_color && no_color[0]);
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

void log_write(LogLevel level, const char *message, const LogField *fields)
{
  if (!log_wants(level))
    return;
  pthread_mutex_lock(&the_log.lock);
  if (the_log.lines.len > MAX_PENDING_BYTES)
    the_log.dropped++;
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

// --- making a line -------------------------------------------------------------------------------

static void add_line(LogLevel level, const char *message, const LogField *fields)
{
  bool is_cut = false;
  buffer_clear(&the_log.line);
  if (the_log.is_pretty)
    begin_pretty(level, message);
  else
    begin_json(level, message);
  for (; fields && fields->type != LOG_END; fields++)
    is_cut |= !add_field(fields);
  if (is_cut)
    buffer_string(&the_log.line, the_log.is_pretty ? " cut=true" : ",\"cut\":true");
  buffer_string(&the_log.line, the_log.is_pretty ? "\n" : "}\n");
  buffer_append(&the_log.lines, the_log.line.bytes, the_log.line.len);
}

// The length of the longest beginning of `text` within `max` bytes that does not end inside a
// character.
static size_t cut_text(const char *text, size_t len, size_t max)
{
  if (len <= max)
    return len;
  while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
    max--;
  return max;
}

static const char *stamp(unsigned *ms)
{
  uint64_t wall_ms = host_clock.wall_ms();
  time_t second = (time_t)(wall_ms / 1000);
  struct tm tm;
  *ms = (unsigned)(wall_ms % 1000);
  if (second != the_log.stamp_second) {
    the_log.stamp_second = second;
    if (the_log.is_pretty)
      strftime(the_log.stamp, sizeof the_log.stamp, "%H:%M:%S", localtime_r(&second, &tm));
    else
      strftime(the_log.stamp, sizeof the_log.stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
  }
  return the_log.stamp;
}

static void begin_json(LogLevel level, const char *message)
{
  Buffer *line = &the_log.line;
  unsigned ms;
  const char *second = stamp(&ms);
  size_t len = strlen(message), kept = cut_text(message, len, MAX_MESSAGE_BYTES);
  buffer_clear(&the_log.field);
  buffer_json_string(&the_log.field, message, kept);
  while (the_log.field.len > MAX_MESSAGE_BYTES) { // escapes made it longer
    kept = cut_text(message, len, kept * 3 / 4);
    buffer_clear(&the_log.field);
    buffer_json_string(&the_log.field, message, kept);
  }
  buffer_string(line, "{\"time\":\"");
  buffer_string(line, second);
  buffer_char(line, '.');
  buffer_char(line, (char)('0' + ms / 100));
  buffer_char(line, (char)('0' + ms / 10 % 10));
  buffer_char(line, (char)('0' + ms % 10));
  buffer_string(line, "Z\",\"level\":\"");
  buffer_string(line, level_names[level]);
  buffer_string(line, "\",\"msg\":");
  buffer_append(line, the_log.field.bytes, the_log.field.len);
}

static void begin_pretty(LogLevel level, const char *message)
{
  static const char *const colours[] = { "\033[2m", "\033[32m", "\033[33m", "\033[31m" };
  unsigned ms;
  const char *second = stamp(&ms);
  Buffer *line = &the_log.line;
  buffer_printf(line, "%s%s.%03u%s ", the_log.has_colour ? "\033[2m" : "", second, ms,
                the_log.has_colour ? "\033[0m" : "");
  buffer_printf(line, "%s%-5s%s ", the_log.has_colour ? colours[level] : "", level_names[level],
                the_log.has_colour ? "\033[0m" : "");
  add_value(line, message, cut_text(message, strlen(message), MAX_MESSAGE_BYTES));
}

// False: the field was cut, or left out.
static bool add_field(const LogField *field)
{
  size_t room = MAX_LINE_BYTES - TAIL_BYTES - the_log.line.len;
  size_t len = field->type == LOG_BYTES ? field->len : field->text ? strlen(field->text) : 0;
  size_t kept = cut_text(field->text, len, room);
  bool is_whole = kept == len;
  if ((strlen(field->key) + len) * LONGEST_ESCAPE + 64 < room) { // it fits, whatever it holds
    format_field(&the_log.line, field, len);
    return true;
  }
  for (;;) {
    buffer_clear(&the_log.field);
    format_field(&the_log.field, field, kept);
    if (the_log.field.len <= room) {
      buffer_append(&the_log.line, the_log.field.bytes, the_log.field.len);
      return is_whole;
    }
    if (kept < 8)
      return false;
    kept = cut_text(field->text, len, kept * 3 / 4); // escapes made it longer
    is_whole = false;
  }
}

static void format_field(Buffer *out, const LogField *field, size_t max_text)
{
  if (the_log.is_pretty) {
    buffer_printf(out, " %s%s=%s", the_log.has_colour ? "\033[2m" : "", field->key,
                  the_log.has_colour ? "\033[0m" : "");
  } else {
    buffer_append(out, ",\"", 2);
    buffer_string(out, field->key);
    buffer_append(out, "\":", 2);
  }
  switch (field->type) {
  case LOG_STRING:
  case LOG_BYTES:
    if (!field->text)
      buffer_string(out, "null");
    else if (the_log.is_pretty)
      add_value(out, field->text, max_text);
    else
      buffer_json_string(out, field->text, max_text);
    break;
  case LOG_INTEGER:
    buffer_integer(out, field->integer);
    break;
  case LOG_REAL:
    if (field->number - field->number == 0)
      buffer_decimal(out, field->number);
    else
      buffer_string(out, "null"); // JSON has neither NaN nor infinity
    break;
  case LOG_BOOL:
    buffer_string(out, field->integer ? "true" : "false");
    break;
  case LOG_END:
    break;
  }
}

// For a terminal: as it is, but nothing that the terminal would obey.
static void add_value(Buffer *out, const char *text, size_t len)
{
  size_t i = 0, n;
  while (i < len) {
    unsigned char c = (unsigned char)text[i];
    n = utf8_length(text + i, len - i);
    if (n == 0) {
      buffer_string(out, "\xef\xbf\xbd");
      n = 1;
    } else if (c == '\n' && the_log.is_pretty) {
      buffer_string(out, "\n    "); // tracebacks stay readable
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
      buffer_printf(out, "\\x%02x", c);
    } else if (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0) { // C1: a terminal obeys these too
      buffer_printf(out, "\\x%02x", (unsigned char)text[i + 1]);
    } else {
      buffer_append(out, text + i, n);
    }
    i += n;
  }
}
