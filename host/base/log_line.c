// See log_line.h. A line is written where it will stay, behind the lines before it. What does not
// fit is cut, and the line says so: so nothing here needs to know lengths beforehand.
#include "log_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "fast_paths.h"
#include "json.h"
#include "utf8.h"

enum {
  MAX_MESSAGE_BYTES = 2048,
  TAIL_BYTES = 16,      // kept free for what ends a cut line
  MIN_VALUE_BYTES = 32, // a field is left out where its value would have less room
  NUMBER_BYTES = 32,    // of any number
  DATE_BYTES = 19,      // 2026-11-28T12:00:00
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
#define LEVEL(name)                                                                                \
  {                                                                                                \
    "Z\",\"level\":\"" name "\",\"msg\":\"", sizeof("Z\",\"level\":\"" name "\",\"msg\":\"") - 1   \
  }
static const Span json_levels[] = { LEVEL("debug"), LEVEL("info"), LEVEL("warn"), LEVEL("error") };

static void put_text(const char *text);
static bool add_own(LogLevel level, const char *message, const LogField *fields);
static void begin_json(LogLevel level, const char *message);
static void begin_pretty(LogLevel level, const char *message);
static uint32_t add_ready(const LogReady *ready);
static bool add_usual(const LogField *field);
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
  for (; fields && fields->type != LOG_END; fields++) {
    if (fields->type == LOG_READY)
      fields += add_ready(fields->ready);
    else if (style->is_pretty || !add_usual(fields))
      add_field(fields);
  }
  out.end += TAIL_BYTES;
  if (out.is_cut)
    put_text(style->is_pretty ? " cut=true" : ",\"cut\":true");
  put_text(style->is_pretty ? "\n" : "}\n");
  lines->len = (size_t)(out.at - lines->bytes);
  *out.at = '\0';
}

size_t log_line_fields(char *to, size_t room, const LogField *fields, uint32_t count)
{
  static const LogStyle json;
  uint32_t i;
  style = &json;
  out.at = to;
  out.end = to + room;
  out.is_cut = false;
  for (i = 0; i < count; i++)
    add_field(&fields[i]);
  return out.is_cut ? 0 : (size_t)(out.at - to);
}

// Whole, or not at all.
static inline void put(const char *bytes, size_t len)
{
  if (len > (size_t)(out.end - out.at)) {
    out.is_cut = true;
    return;
  }
  memcpy(out.at, bytes, len);
  out.at += len;
}

static inline void put_text(const char *text)
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

// The write_* write a number where NUMBER_BYTES are free and give its end.
static char *write_digits(char *at, uint64_t number, size_t least_digits)
{
  size_t len = 1, i;
  uint64_t rest;
  for (rest = number; rest >= 10; rest /= 10)
    len++;
  if (len < least_digits)
    len = least_digits;
  for (i = len; i > 0; number /= 10)
    at[--i] = (char)('0' + number % 10);
  return at + len;
}

static char *write_integer(char *at, int64_t number)
{
  if (number < 0)
    *at++ = '-';
  return write_digits(at, number < 0 ? -(uint64_t)number : (uint64_t)number, 1);
}

// Most are durations, which have two places at most and need no printf.
static char *write_real(char *at, double number)
{
  double hundredths = number * 100 + (number < 0 ? -0.5 : 0.5);
  uint64_t n;
  if (number - number != 0)
    return (char *)memcpy(at, "null", 4) + 4; // JSON has neither NaN nor infinity
  if (!fast_paths_are_on() || hundredths > 9e15 || hundredths < -9e15 ||
      (double)(int64_t)hundredths / 100 != number)
    return at + snprintf(at, NUMBER_BYTES, "%.14g", number);
  n = (uint64_t)(int64_t)(number < 0 ? -hundredths : hundredths);
  if (number < 0)
    *at++ = '-';
  at = write_digits(at, n / 100, 1);
  if (n % 100 == 0)
    return at;
  *at++ = '.';
  return write_digits(at, n % 10 ? n % 100 : n / 10 % 10, n % 10 ? 2 : 1);
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

static void put_ms(unsigned ms)
{
  char text[NUMBER_BYTES];
  text[0] = '.';
  write_digits(text + 1, ms, 3);
  put(text, 4);
}

static void begin_json(LogLevel level, const char *message)
{
  unsigned ms;
  put("{\"time\":\"", 9);
  put(stamp(&ms), DATE_BYTES);
  put_ms(ms);
  put(json_levels[level].at, json_levels[level].len);
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
  put_ms(ms);
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

// How many fields it stood for.
static uint32_t add_ready(const LogReady *ready)
{
  if (style->is_pretty || (size_t)(out.end - out.at) < sizeof ready->json)
    return 0;
  memcpy(out.at, ready->json, ready->len);
  out.at += ready->len;
  return ready->count;
}

// A field of JSON that fits, and whose text needs no escape, as nearly all. False: another one, and
// nothing was added.
static bool add_usual(const LogField *field)
{
  bool is_text = field->type == LOG_STRING || field->type == LOG_BYTES;
  size_t len = 0, i;
  char *at = out.at;
  if (!fast_paths_are_on() || !field->label || (is_text && !field->text))
    return false;
  if (is_text)
    len = field->type == LOG_STRING ? strlen(field->text) : field->len;
  if ((size_t)(out.end - at) < field->label_len + len + MIN_VALUE_BYTES + NUMBER_BYTES)
    return false;
  memcpy(at, field->label, 16);
  for (i = 16; i < field->label_len; i += 16)
    memcpy(at + i, field->label + i, 16);
  at += field->label_len;
  if (is_text) {
    *at++ = '"';
    if (json_copy_plain(at, field->text, len) < len)
      return false;
    at += len;
    *at++ = '"';
  } else if (field->type == LOG_INTEGER) {
    at = write_integer(at, field->integer);
  } else if (field->type == LOG_REAL) {
    at = write_real(at, field->number);
  } else {
    return false;
  }
  out.at = at;
  return true;
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
  char number[NUMBER_BYTES];
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
    put(number, (size_t)(write_integer(number, field->integer) - number));
    break;
  case LOG_REAL:
    put(number, (size_t)(write_real(number, field->number) - number));
    break;
  case LOG_BOOL:
    put_text(field->integer ? "true" : "false");
    break;
  case LOG_READY:
  case LOG_END:
    break;
  }
}
