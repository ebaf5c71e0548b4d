// See log_line.h. A line is written where it will stay, behind the lines before it. What does not
// fit is cut, and the line says so: so nothing here needs to know lengths beforehand.
#include "log_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "json.h"
#include "utf8.h"

enum {
  MAX_MESSAGE_BYTES = 2048,
  TAIL_BYTES = 16,      // kept free for what ends a cut line
  MIN_VALUE_BYTES = 32, // a field is left out where its value would have less room
};

// Of the line at hand.
static const LogStyle *style;
static struct {
  char *at, *end;
  bool is_cut;
} out;

static time_t stamp_second;
static char stamp_text[32]; // of stamp_second
static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void put_text(const char *text);
static bool add_own(LogLevel level, const char *message, const LogField *fields);
static void begin_json(LogLevel level, const char *message);
static void begin_pretty(LogLevel level, const char *message);
static void add_field(const LogField *field);
static void put_value(const LogField *field);

void log_line_add(Buffer *lines, const LogStyle *as, LogLevel level, const char *message,
                  const LogField *fields)
{
  style = as;
  buffer_reserve(lines, LOG_LINE_BYTES);
  out.at = lines->bytes + lines->len;
  out.end = out.at + LOG_LINE_BYTES - TAIL_BYTES;
  out.is_cut = false;
  if (style->is_pretty && style->layout && add_own(level, message, fields))
    fields = NULL;
  else if (style->is_pretty)
    begin_pretty(level, message);
  else
    begin_json(level, message);
  for (; fields && fields->type != LOG_END; fields++)
    add_field(fields);
  out.end += TAIL_BYTES;
  if (out.is_cut)
    put_text(style->is_pretty ? " cut=true" : ",\"cut\":true");
  put_text(style->is_pretty ? "\n" : "}\n");
  lines->len = (size_t)(out.at - lines->bytes);
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
  if (style->is_pretty) {
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
    else if (style->is_pretty)
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
  if (second != stamp_second) {
    stamp_second = second;
    if (style->is_pretty)
      strftime(stamp_text, sizeof stamp_text, "%H:%M:%S", localtime_r(&second, &tm));
    else
      strftime(stamp_text, sizeof stamp_text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
  }
  return stamp_text;
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
  if (style->has_colour)
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
  bool is_own = style->layout(&text, style->has_colour, level, message, fields);
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
  if (style->is_pretty) {
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
    if (!style->is_pretty)
      put("\"", 1);
    put_content(field->text, len);
    if (!style->is_pretty)
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
