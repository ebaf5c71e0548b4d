// The checker of json.h: one loop with a flag per open bracket, so that depth costs no C stack.
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "utf8.h"

typedef struct {
  const char *text;
  size_t len, at;
  JsonFacts *facts;
  Err *err;
  JsonWanted *wanted; // or NULL
  Span *value;        // of the wanted member whose value comes next, or NULL
  bool has_line_break;
} Scan;

static int refuse(Scan *scan, size_t at, const char *expected)
{
  size_t line = 1, line_start = 0;
  char got[24];
  for (size_t i = 0; i < at; i++) {
    if (scan->text[i] == '\n') {
      line++;
      line_start = i + 1;
    }
  }
  if (at >= scan->len)
    snprintf(got, sizeof got, "the end");
  else if (scan->text[at] > ' ' && scan->text[at] < 127)
    snprintf(got, sizeof got, "'%c'", scan->text[at]);
  else
    snprintf(got, sizeof got, "byte 0x%02x", (unsigned char)scan->text[at]);
  return err_set(scan->err, UV_EINVAL, "line %zu, column %zu: expected %s, got %s", line,
                 at - line_start + 1, expected, got);
}

static void skip_some_space(Scan *scan)
{
  while (scan->at < scan->len) {
    char c = scan->text[scan->at];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
      return;
    scan->has_line_break |= c < ' ' && c != '\t';
    scan->at++;
  }
}

// Most tokens have none in front of them.
static inline void skip_space(Scan *scan)
{
  if (scan->at < scan->len && (unsigned char)scan->text[scan->at] <= ' ')
    skip_some_space(scan);
}

static bool is_digit(const Scan *scan)
{
  return scan->at < scan->len && scan->text[scan->at] >= '0' && scan->text[scan->at] <= '9';
}

// Four hexadecimal digits at `at`, or -1.
static int hex4(const Scan *scan, size_t at)
{
  int value = 0;
  if (scan->len < 4 || at > scan->len - 4)
    return -1;
  for (size_t i = at; i < at + 4; i++) {
    char c = scan->text[i];
    int digit;
    if (c >= '0' && c <= '9')
      digit = c - '0';
    else if ((c | 32) >= 'a' && (c | 32) <= 'f')
      digit = (c | 32) - 'a' + 10;
    else
      return -1;
    value = value * 16 + digit;
  }
  return value;
}

// scan->at is at the backslash.
static int scan_escape(Scan *scan)
{
  size_t at = scan->at;
  int code;
  char c = at + 1 < scan->len ? scan->text[at + 1] : '\0';
  scan->facts->escapes++;
  if (c != 'u') {
    if (c == '\0' || !strchr("\"\\/bfnrt", c))
      return refuse(scan, at + 1, "one of \"\\/bfnrtu after '\\'");
    scan->at += 2;
    return 0;
  }
  code = hex4(scan, at + 2);
  if (code < 0)
    return refuse(scan, at + 2, "four hexadecimal digits after '\\u'");
  scan->at += 6;
  if (code < 0xd800 || code > 0xdfff)
    return 0;
  if (code > 0xdbff)
    return refuse(scan, at, "a leading surrogate before a trailing one");
  if (scan->at + 1 >= scan->len || scan->text[scan->at] != '\\' || scan->text[scan->at + 1] != 'u')
    return refuse(scan, scan->at, "the second half of a surrogate pair");
  code = hex4(scan, scan->at + 2);
  if (code < 0xdc00 || code > 0xdfff)
    return refuse(scan, scan->at, "the second half of a surrogate pair");
  scan->at += 6;
  return 0;
}

// A string from a byte on that is not plain. Apart, so that the others save no registers for it.
__attribute__((noinline)) static int scan_odd_string(Scan *scan)
{
  while (scan->at < scan->len) {
    size_t n;
    int rc;
    unsigned char c = (unsigned char)scan->text[scan->at];
    if (c == '"') {
      scan->at++;
      return 0;
    }
    if (c == '\\') {
      if ((rc = scan_escape(scan)) < 0)
        return rc;
    } else if (c >= 0x80) {
      n = utf8_length(scan->text + scan->at, scan->len - scan->at);
      if (n == 0)
        return refuse(scan, scan->at, "valid UTF-8");
      scan->at += n;
    } else if (c < 0x20) {
      return refuse(scan, scan->at, "an escape for a control character");
    } else {
      scan->at++;
    }
    scan->at += json_plain_run(scan->text + scan->at, scan->len - scan->at);
  }
  return refuse(scan, scan->at, "'\"'");
}

// scan->at is behind the opening quote.
static int scan_string(Scan *scan)
{
  scan->at += json_plain_run(scan->text + scan->at, scan->len - scan->at);
  if (scan->at == scan->len || scan->text[scan->at] != '"')
    return scan_odd_string(scan);
  scan->at++;
  return 0;
}

static int scan_number(Scan *scan)
{
  size_t start = scan->at;
  bool has_exponent = false;
  char copy[512];
  if (scan->text[scan->at] == '-')
    scan->at++;
  if (!is_digit(scan))
    return refuse(scan, scan->at, "a digit");
  if (scan->text[scan->at] == '0')
    scan->at++;
  else
    while (is_digit(scan))
      scan->at++;
  if (scan->at < scan->len && scan->text[scan->at] == '.') {
    scan->at++;
    if (!is_digit(scan))
      return refuse(scan, scan->at, "a digit");
    while (is_digit(scan))
      scan->at++;
  }
  if (scan->at < scan->len && (scan->text[scan->at] | 32) == 'e') {
    has_exponent = true;
    scan->at++;
    if (scan->at < scan->len && (scan->text[scan->at] == '+' || scan->text[scan->at] == '-'))
      scan->at++;
    if (!is_digit(scan))
      return refuse(scan, scan->at, "a digit");
    while (is_digit(scan))
      scan->at++;
  }
  if (!has_exponent && scan->at - start < 300)
    return 0;
  if (scan->at - start >= sizeof copy)
    return refuse(scan, start, "a number of less than 512 digits");
  memcpy(copy, scan->text + start, scan->at - start);
  copy[scan->at - start] = '\0';
  if (!isfinite(strtod(copy, NULL)))
    return refuse(scan, start, "a number below 1.8e308");
  return 0;
}

static int scan_word(Scan *scan, const char *word)
{
  for (const char *c = word; *c; c++, scan->at++) {
    if (scan->at >= scan->len || scan->text[scan->at] != *c)
      return refuse(scan, scan->at, word);
  }
  return 0;
}

// A value that is not a container.
static int scan_scalar(Scan *scan)
{
  char c = scan->at < scan->len ? scan->text[scan->at] : '\0';
  if (c == '"') {
    scan->at++;
    return scan_string(scan);
  }
  if (c == '-' || (c >= '0' && c <= '9'))
    return scan_number(scan);
  if (c == 't')
    return scan_word(scan, "true");
  if (c == 'f')
    return scan_word(scan, "false");
  if (c == 'n')
    return scan_word(scan, "null");
  return refuse(scan, scan->at, "a value");
}

// The name of a member of the outermost object, without its quotes.
static void note_name(Scan *scan, const char *name, size_t len)
{
  JsonWanted *wanted = scan->wanted;
  int i;
  for (i = 0; i < JSON_MAX_WANTED && wanted->names[i].at; i++) {
    if (wanted->names[i].len == len && memcmp(wanted->names[i].at, name, len) == 0) {
      scan->value = &wanted->values[i];
      *scan->value = (Span){ NULL, 0 }; // the last of its name counts
    }
  }
}

// "key" and ':', with the space around them.
static int scan_key(Scan *scan, const char *expected, int depth)
{
  size_t start = scan->at + 1, escapes = scan->facts->escapes;
  int rc;
  if (scan->at >= scan->len || scan->text[scan->at] != '"')
    return refuse(scan, scan->at, expected);
  scan->at++;
  if ((rc = scan_string(scan)) < 0)
    return rc;
  if (depth == 1 && scan->wanted) {
    scan->wanted->is_odd |= scan->facts->escapes > escapes;
    note_name(scan, scan->text + start, scan->at - 1 - start);
  }
  skip_space(scan);
  if (scan->at >= scan->len || scan->text[scan->at] != ':')
    return refuse(scan, scan->at, "':'");
  scan->at++;
  skip_space(scan);
  return 0;
}

// An open bracket.
typedef struct {
  bool is_object;
  size_t table;   // its number in the document
  uint32_t count; // of items or members so far
} Level;

static void close_level(Scan *scan, const Level *level)
{
  scan->facts->values += level->count;
  if (level->table < JSON_COUNTED_TABLES)
    scan->facts->sizes[level->table] = level->count;
}

// After a value: closes what ends here and stops before the next value. Returns 1 when the document
// is complete, 0 when a value follows.
static int scan_after_value(Scan *scan, Level *levels, int *depth)
{
  for (;;) {
    Level *level = &levels[*depth];
    char c;
    skip_space(scan);
    if (*depth == 0)
      return scan->at == scan->len ? 1 : refuse(scan, scan->at, "the end");
    c = scan->at < scan->len ? scan->text[scan->at] : '\0';
    if (c == ',') {
      scan->at++;
      skip_space(scan);
      level->count++;
      return level->is_object ? scan_key(scan, "'\"'", *depth) : 0;
    }
    if (c != (level->is_object ? '}' : ']'))
      return refuse(scan, scan->at, level->is_object ? "',' or '}'" : "',' or ']'");
    close_level(scan, level);
    scan->at++;
    (*depth)--;
  }
}

// A value that is not a container; keeps it when it is wanted.
static int scan_wanted(Scan *scan)
{
  size_t start = scan->at + 1, escapes = scan->facts->escapes;
  bool is_string = scan->at < scan->len && scan->text[scan->at] == '"';
  int rc = scan_scalar(scan);
  if (rc == 0 && is_string) {
    *scan->value = (Span){ scan->text + start, scan->at - 1 - start };
    if (scan->value < scan->wanted->values + scan->wanted->plain_values)
      scan->wanted->is_odd |= scan->facts->escapes > escapes;
  }
  scan->value = NULL;
  return rc;
}

int json_scan(const char *text, size_t len, JsonFacts *facts, Err *err)
{
  return json_scan_for(text, len, facts, NULL, err);
}

int json_scan_for(const char *text, size_t len, JsonFacts *facts, JsonWanted *wanted, Err *err)
{
  Scan scan = { text, len, 0, facts, err, wanted, NULL, false };
  Level levels[JSON_MAX_DEPTH + 1]; // [depth], from 1 on
  int depth = 0, rc;
  facts->escapes = facts->tables = facts->values = 0;
  if (len > JSON_MAX_BYTES)
    return err_set(err, UV_EINVAL, "expected at most %d bytes, got %zu", JSON_MAX_BYTES, len);
  skip_space(&scan);
  for (;;) {
    char c = scan.at < len ? text[scan.at] : '\0';
    if (c == '[' || c == '{') {
      if (depth == JSON_MAX_DEPTH)
        return refuse(&scan, scan.at, "at most 128 levels");
      bool is_object = c == '{';
      scan.value = NULL;
      levels[++depth] = (Level){ is_object, facts->tables++, 1 };
      scan.at++;
      skip_space(&scan);
      c = scan.at < len ? text[scan.at] : '\0';
      if (!is_object && c != ']')
        continue;
      if (is_object && c != '}') {
        if ((rc = scan_key(&scan, "'\"' or '}'", depth)) < 0)
          return rc;
        continue;
      }
      levels[depth].count = 0;
    } else if ((rc = scan.value ? scan_wanted(&scan) : scan_scalar(&scan)) < 0) {
      return rc;
    }
    if ((rc = scan_after_value(&scan, levels, &depth)) != 0)
      break;
  }
  if (wanted)
    wanted->has_line_break = scan.has_line_break;
  return rc < 0 ? rc : 0;
}
