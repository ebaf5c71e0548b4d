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
#include "json.h"
#include "mask.h"
#include "scoreboard.h"
#include "utf8.h"

enum {
  MAX_LINE_BYTES = 4096,          // the final newline included; Linux's PIPE_BUF
  MAX_PENDING_BYTES = 256 * 1024, // above it lines are dropped
  FLUSH_BYTES = 16 * 1024,
  FLUSH_MS = 100,
  MAX_MESSAGE_BYTES = 2048,
  TAIL_BYTES = 16, // kept free for what ends a cut line
  MAX_FIELDS = 40,
  MIN_VALUE_BYTES = 32, // a field is left out where its value would have less room
};

typedef enum { SINK_FILE, SINK_PIPE, SINK_SOCKET } SinkType;

static struct {
  pthread_mutex_t lock; // the store's thread logs too
  int fd;
  SinkType sink;
  bool is_pretty, has_colour, is_urgent;
  LogLevel least;
  Buffer lines; // whole lines only
  uint64_t dropped, dropped_told;
  uint64_t flushed_ms;
  time_t stamp_second;
  char stamp[32]; // of stamp_second
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .least = LOG_INFO };

static LogLayout own_layout;
static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void put_text(const char *text);
static bool add_own(LogLevel level, const char *message, const LogField *fields);
static void add_line(LogLevel level, const char *message, const LogField *fields);
static void begin_json(LogLevel level, const char *message);
static void begin_pretty(LogLevel level, const char *message);
static void add_field(const LogField *field);
static void put_value(const LogField *field);
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

// A line with what is secret masked. Masked texts live in `kept` until the line is made.
static void add_masked_line(LogLevel level, const char *message, const LogField *fields)
{
  LogField masked[MAX_FIELDS + 1];
  Buffer kept[MAX_FIELDS + 1] = { { 0 } };
  uint32_t count = 0, i;
  for (; fields && fields[count].type != LOG_END && count < MAX_FIELDS; count++) {
    LogField *field = &masked[count];
    *field = fields[count];
    if ((field->type == LOG_STRING || field->type == LOG_BYTES) && field->text &&
        mask_secrets(
            (Span){ field->text, field->type == LOG_BYTES ? field->len : strlen(field->text) },
            &kept[count])) {
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
  else if (mask_is_empty())
    add_line(level, message, fields);
  else
    add_masked_line(level, message, fields);
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

// --- making a line -------------------------------------------------------------------------------
//
// A line is written where it will stay, behind the lines before it. What does not fit is cut, and
// the line says so: so nothing here needs to know lengths beforehand.

static struct {
  char *at, *end;
  bool is_cut;
} out;

void log_set_layout(LogLayout layout)
{
  own_layout = layout;
}

static void add_line(LogLevel level, const char *message, const LogField *fields)
{
  buffer_reserve(&the_log.lines, MAX_LINE_BYTES);
  out.at = the_log.lines.bytes + the_log.lines.len;
  out.end = out.at + MAX_LINE_BYTES - TAIL_BYTES;
  out.is_cut = false;
  if (the_log.is_pretty && own_layout && add_own(level, message, fields))
    fields = NULL;
  else if (the_log.is_pretty)
    begin_pretty(level, message);
  else
    begin_json(level, message);
  for (; fields && fields->type != LOG_END; fields++)
    add_field(fields);
  out.end += TAIL_BYTES;
  if (out.is_cut)
    put_text(the_log.is_pretty ? " cut=true" : ",\"cut\":true");
  put_text(the_log.is_pretty ? "\n" : "}\n");
  the_log.lines.len = (size_t)(out.at - the_log.lines.bytes);
  *out.at = '\0';
}

// Whole, or not at all.
static void put(const char *bytes, size_t len)
{
  if (len > (size_t)(out.end - out.at)) {
    out.is_cut = true;
    return;
  }
  memcpy(out.at, bytes, len);
  out.at += len;
}

static void put_text(const char *text)
{
  put(text, strlen(text));
}

static void put_escaped(unsigned char c)
{
  static const char digits[] = "0123456789abcdef";
  char text[] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };
  if (the_log.is_pretty) {
    put("\\x", 2);
    put(text + 4, 2);
  } else {
    put(text, sizeof text);
  }
}

static void put_odd_json(char c)
{
  char text[] = { '\\', c };
  if (c == '\n')
    put("\\n", 2);
  else if (c == '\t')
    put("\\t", 2);
  else if (c == '"' || c == '\\')
    put(text, 2);
  else
    put_escaped((unsigned char)c);
}

// For a terminal: as it is, but nothing that the terminal would obey.
static void put_odd_pretty(const char *character, size_t len)
{
  unsigned char c = (unsigned char)character[0];
  if (c == '\n')
    put("\n    ", 5); // tracebacks stay readable
  else if (c == '\t' || c == '"' || c == '\\')
    put(character, 1);
  else if (len == 1)
    put_escaped(c);
  else if (c == 0xc2 && (unsigned char)character[1] < 0xa0) // C1: a terminal obeys these too
    put_escaped((unsigned char)character[1]);
  else
    put(character, len);
}

// Text, as the content of a JSON string or for a terminal. Leaves room for a closing quote;
// TAIL_BYTES are the room that json_copy_plain asks for.
static void put_content(const char *text, size_t len)
{
  bool was_cut = out.is_cut;
  size_t i = 0, n, room;
  if (out.at == out.end) {
    out.is_cut = true;
    return;
  }
  out.end--;
  out.is_cut = false;
  for (;;) {
    room = (size_t)(out.end - out.at);
    n = json_copy_plain(out.at, text + i, len - i < room ? len - i : room);
    out.at += n;
    i += n;
    if (i == len || out.is_cut)
      break;
    if (n == room) {
      out.is_cut = true;
      break;
    }
    n = utf8_length(text + i, len - i);
    if (n == 0)
      put("\xef\xbf\xbd", 3);
    else if (the_log.is_pretty)
      put_odd_pretty(text + i, n);
    else if (n > 1)
      put(text + i, n);
    else
      put_odd_json(text[i]);
    i += n ? n : 1;
  }
  out.end++;
  out.is_cut |= was_cut;
}

static void put_number(uint64_t number, unsigned least_digits)
{
  char digits[20];
  size_t i = sizeof digits;
  do
    digits[--i] = (char)('0' + number % 10);
  while ((number /= 10) > 0 || sizeof digits - i < least_digits);
  put(digits + i, sizeof digits - i);
}

static void put_integer(int64_t number)
{
  if (number < 0)
    put("-", 1);
  put_number(number < 0 ? -(uint64_t)number : (uint64_t)number, 1);
}

// Most are durations, which have two places at most and need no printf.
static void put_real(double number)
{
  double hundredths = number * 100 + (number < 0 ? -0.5 : 0.5);
  char text[32];
  if (number - number != 0) {
    put("null", 4); // JSON has neither NaN nor infinity
  } else if (hundredths > 9e15 || hundredths < -9e15 ||
             (double)(int64_t)hundredths / 100 != number) {
    snprintf(text, sizeof text, "%.14g", number);
    put_text(text);
  } else {
    uint64_t n = (uint64_t)(int64_t)(number < 0 ? -hundredths : hundredths);
    if (number < 0)
      put("-", 1);
    put_number(n / 100, 1);
    if (n % 100 > 0) {
      put(".", 1);
      put_number(n % 10 ? n % 100 : n / 10 % 10, n % 10 ? 2 : 1);
    }
  }
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

static void put_message(const char *message)
{
  char *end = out.end;
  if (out.end - out.at > MAX_MESSAGE_BYTES)
    out.end = out.at + MAX_MESSAGE_BYTES; // so that fields have room too
  put_content(message, strlen(message));
  out.end = end;
}

static void begin_json(LogLevel level, const char *message)
{
  unsigned ms;
  put_text("{\"time\":\"");
  put_text(stamp(&ms));
  put(".", 1);
  put_number(ms, 3);
  put_text("Z\",\"level\":\"");
  put_text(level_names[level]);
  put_text("\",\"msg\":\"");
  put_message(message);
  put("\"", 1);
}

static void put_colour(const char *sequence)
{
  if (the_log.has_colour)
    put_text(sequence);
}

static void put_time(void)
{
  unsigned ms;
  put_colour("\033[2m");
  put_text(stamp(&ms));
  put(".", 1);
  put_number(ms, 3);
  put_colour("\033[0m");
  put(" ", 1);
}

static void begin_pretty(LogLevel level, const char *message)
{
  static const char *const colours[] = { "\033[2m", "\033[32m", "\033[33m", "\033[31m" };
  put_time();
  put_colour(colours[level]);
  put_text(level_names[level]);
  put("     ", 6 - strlen(level_names[level]));
  put_colour("\033[0m");
  put_message(message);
}

// A record in a layout of its own; false: it has none.
static bool add_own(LogLevel level, const char *message, const LogField *fields)
{
  Buffer text = { 0 };
  bool is_own = own_layout(&text, the_log.has_colour, level, message, fields);
  if (is_own) {
    put_time();
    put(text.bytes, text.len < (size_t)(out.end - out.at) ? text.len : (size_t)(out.end - out.at));
  }
  buffer_free(&text);
  return is_own;
}

static void add_field(const LogField *field)
{
  char *start = out.at;
  bool was_cut = out.is_cut;
  out.is_cut = false;
  if (the_log.is_pretty) {
    put(" ", 1);
    put_colour("\033[2m");
    put_content(field->key, strlen(field->key));
    put("=", 1);
    put_colour("\033[0m");
  } else if (field->label) {
    put(field->label, field->label_len);
  } else {
    put(",\"", 2);
    put_content(field->key, strlen(field->key));
    put("\":", 2);
  }
  if (out.end - out.at < MIN_VALUE_BYTES)
    out.is_cut = true;
  if (out.is_cut)
    out.at = start; // left out
  else
    put_value(field);
  out.is_cut |= was_cut;
}

static void put_value(const LogField *field)
{
  size_t len = field->type == LOG_BYTES ? field->len : field->text ? strlen(field->text) : 0;
  switch (field->type) {
  case LOG_STRING:
  case LOG_BYTES:
    if (!field->text) {
      put("null", 4);
      break;
    }
    if (!the_log.is_pretty)
      put("\"", 1);
    put_content(field->text, len);
    if (!the_log.is_pretty)
      put("\"", 1);
    break;
  case LOG_INTEGER:
    put_integer(field->integer);
    break;
  case LOG_REAL:
    put_real(field->number);
    break;
  case LOG_BOOL:
    put_text(field->integer ? "true" : "false");
    break;
  case LOG_END:
    break;
  }
}
