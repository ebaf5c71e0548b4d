// Path rules, from text to parts. The grammar and the names of converter arguments are werkzeug's,
// so that rules written for Dify mean the same here; what it would take in silence and never match
// ("//", "/../") is refused or, where it has a meaning, made the one form ("//" is "/").
#include "rule.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "../base/buffer.h"
#include "../base/memory.h"
#include "../base/yaml.h"

enum { MAX_RULE_BYTES = 1024, MAX_ARGUMENTS = 64 };

typedef struct {
  Span name;  // at == NULL: positional
  Span value; // without its quotes
  bool is_quoted;
} Argument;

typedef struct {
  const char *text, *at;
  Rule *rule;
  Argument arguments[MAX_ARGUMENTS];
  int argument_count;
  Err *err;
} Parser;

static bool fail(Parser *parser, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(Parser *parser, const char *at, const char *format, ...)
{
  char what[256];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  parser->at = at;
  err_set(parser->err, UV_EINVAL, "%s", what);
  return false;
}

static bool is_word(char c)
{
  return isalnum((unsigned char)c) || c == '_';
}

static Span take_word(Parser *parser)
{
  Span word = { parser->at, 0 };
  while (is_word(parser->at[0]))
    parser->at++;
  word.len = (size_t)(parser->at - word.at);
  return word;
}

static void skip_spaces(Parser *parser)
{
  while (*parser->at == ' ')
    parser->at++;
}

static RulePart *add_part(Parser *parser, PartType type)
{
  Rule *rule = parser->rule;
  RulePart *part;
  rule->parts = mem_resize(rule->parts, (rule->count + 1) * sizeof *rule->parts);
  part = &rule->parts[rule->count++];
  *part = (RulePart){ .type = type, .min_len = -1, .max_len = -1 };
  return part;
}

// --- literal text --------------------------------------------------------------------------------

static bool is_dot_segment(const char *text, size_t len)
{
  return (len == 1 && text[0] == '.') || (len == 2 && text[0] == '.' && text[1] == '.');
}

static bool parse_static(Parser *parser)
{
  Buffer text = { 0 };
  const char *segment = NULL; // where the current one starts, when it started in this part
  char before = '\0';
  for (; *parser->at != '\0' && *parser->at != '<'; parser->at++) {
    char c = *parser->at;
    if ((unsigned char)c < 0x20 || c == 0x7f || c == '>' || c == '?' || c == '#') {
      buffer_free(&text);
      if (c == '>')
        return fail(parser, parser->at, "expected '<' before '>'");
      if (c == '?' || c == '#')
        return fail(parser, parser->at, "expected a path alone, got '%c'", c);
      return fail(parser, parser->at, "expected a path, got a control character");
    }
    if (c == '/' && segment && is_dot_segment(segment, (size_t)(parser->at - segment)))
      break;
    if (c == '/')
      segment = parser->at + 1;
    if (c != '/' || before != '/')
      buffer_char(&text, c);
    before = c;
  }
  if (*parser->at != '<' && segment && is_dot_segment(segment, (size_t)(parser->at - segment))) {
    buffer_free(&text);
    return fail(parser, segment, "expected no '.' or '..' between slashes: no request has them");
  }
  add_part(parser, PART_STATIC)->text = buffer_take(&text);
  return true;
}

// --- converter arguments -------------------------------------------------------------------------

static bool parse_value(Parser *parser, Argument *argument)
{
  char quote = *parser->at;
  const char *end;
  if (quote == '"' || quote == '\'') {
    end = strchr(parser->at + 1, quote);
    if (!end)
      return fail(parser, parser->at, "expected a closing %c", quote);
    argument->value = (Span){ parser->at + 1, (size_t)(end - parser->at - 1) };
    argument->is_quoted = true;
    parser->at = end + 1;
    return true;
  }
  argument->value.at = parser->at;
  if (*parser->at == '-')
    parser->at++;
  while (is_word(*parser->at) || *parser->at == '.' || (unsigned char)*parser->at >= 0x80)
    parser->at++;
  argument->value.len = (size_t)(parser->at - argument->value.at);
  if (argument->value.len == 0)
    return fail(parser, parser->at, "expected a value or ')' in the converter's arguments");
  return true;
}

// `(a, b, name=value)`, from behind the '('.
static bool parse_arguments(Parser *parser)
{
  for (;;) {
    Argument *argument = &parser->arguments[parser->argument_count];
    const char *start;
    skip_spaces(parser);
    if (*parser->at == ')')
      break;
    if (parser->argument_count == MAX_ARGUMENTS)
      return fail(parser, parser->at, "expected at most %d arguments", MAX_ARGUMENTS);
    *argument = (Argument){ 0 };
    start = parser->at;
    argument->name = take_word(parser);
    skip_spaces(parser);
    if (argument->name.len > 0 && *parser->at == '=') {
      parser->at++;
      skip_spaces(parser);
    } else {
      parser->at = start;
      argument->name = (Span){ 0 };
    }
    if (!parse_value(parser, argument))
      return false;
    parser->argument_count++;
    skip_spaces(parser);
    if (*parser->at == ',')
      parser->at++;
    else if (*parser->at != ')')
      return fail(parser, parser->at, "expected ',' or ')' in the converter's arguments");
  }
  parser->at++;
  return true;
}

// The argument of that name, or the `position`-th positional one; NULL when absent.
static const Argument *argument_of(const Parser *parser, const char *name, int position)
{
  int i, seen = 0;
  for (i = 0; i < parser->argument_count; i++) {
    const Argument *argument = &parser->arguments[i];
    if (argument->name.at ? span_is(argument->name, name) : seen++ == position)
      return argument;
  }
  return NULL;
}

static bool read_number(Parser *parser, const char *name, int position, double least, double most,
                        bool *has, double *value)
{
  const Argument *argument = argument_of(parser, name, position);
  char text[40], *end;
  *has = argument != NULL;
  if (!argument || span_is(argument->value, "None")) {
    *has = false;
    return true;
  }
  snprintf(text, sizeof text, "%.*s", (int)argument->value.len, argument->value.at);
  *value = strtod(text, &end);
  if (argument->is_quoted || *end != '\0' || !(*value >= least && *value <= most))
    return fail(parser, argument->value.at, "%s: expected a number from %g to %g, got %s", name,
                least, most, text);
  return true;
}

static bool read_count(Parser *parser, const char *name, int position, int *value)
{
  bool has;
  double number = 0;
  if (!read_number(parser, name, position, 1, MAX_RULE_BYTES * 64, &has, &number))
    return false;
  if (has && number > (double)(int)number)
    return fail(parser, argument_of(parser, name, position)->value.at,
                "%s: expected a whole number", name);
  if (has)
    *value = (int)number;
  return true;
}

static bool read_flag(Parser *parser, const char *name, int position, bool *value)
{
  const Argument *argument = argument_of(parser, name, position);
  if (!argument)
    return true;
  *value = span_is_ignoring_case(argument->value, "true");
  if (!*value && !span_is_ignoring_case(argument->value, "false"))
    return fail(parser, argument->value.at, "%s: expected True or False", name);
  return true;
}

// Every argument must have a name of `names` (NULL-terminated, in positional order) and a place.
static bool check_arguments(Parser *parser, const char *converter, const char *const *names)
{
  int i, seen = 0, known = 0, at;
  while (names[known])
    known++;
  for (i = 0; i < parser->argument_count; i++) {
    const Argument *argument = &parser->arguments[i];
    if (!argument->name.at) {
      if (seen++ < known)
        continue;
      return fail(parser, argument->value.at, "%s: expected at most %d arguments", converter,
                  known);
    }
    for (at = 0; names[at] && !span_is(argument->name, names[at]); at++)
      ;
    if (!names[at]) {
      char word[40];
      const char *nearest;
      snprintf(word, sizeof word, "%.*s", (int)argument->name.len, argument->name.at);
      nearest = yaml_nearest(word, names);
      return fail(parser, argument->name.at, "%s: unknown argument %s%s%s", converter, word,
                  nearest ? ", did you mean " : "", nearest ? nearest : "");
    }
  }
  return true;
}

// --- converters ----------------------------------------------------------------------------------

static const char *const no_names[] = { NULL };

static bool take_string(Parser *parser, RulePart *part)
{
  static const char *const names[] = { "minlength", "maxlength", "length", NULL };
  int length = -1;
  if (!check_arguments(parser, "string", names) ||
      !read_count(parser, "minlength", 0, &part->min_len) ||
      !read_count(parser, "maxlength", 1, &part->max_len) ||
      !read_count(parser, "length", 2, &length))
    return false;
  if (length >= 0)
    part->min_len = part->max_len = length;
  if (part->max_len >= 0 && part->max_len < part->min_len)
    return fail(parser, parser->arguments[0].value.at, "string: maxlength is below minlength");
  return true;
}

static bool take_number(Parser *parser, RulePart *part)
{
  static const char *const int_names[] = { "fixed_digits", "min", "max", "signed", NULL };
  static const char *const float_names[] = { "min", "max", "signed", NULL };
  bool is_int = part->type == PART_INT;
  int first = is_int ? 1 : 0;
  if (!check_arguments(parser, is_int ? "int" : "float", is_int ? int_names : float_names) ||
      (is_int && !read_count(parser, "fixed_digits", 0, &part->fixed_digits)) ||
      !read_number(parser, "min", first, -1e15, 1e15, &part->has_min, &part->min) ||
      !read_number(parser, "max", first + 1, -1e15, 1e15, &part->has_max, &part->max) ||
      !read_flag(parser, "signed", first + 2, &part->is_signed))
    return false;
  if (part->has_min && part->has_max && part->max < part->min)
    return fail(parser, parser->arguments[0].value.at, "max is below min");
  return true;
}

static bool take_any(Parser *parser, RulePart *part)
{
  int i;
  if (parser->argument_count == 0)
    return fail(parser, parser->at, "any: expected the words to choose from, as in <any(a,b):x>");
  part->options = mem_zero((size_t)parser->argument_count + 1, sizeof *part->options);
  for (i = 0; i < parser->argument_count; i++) {
    const Argument *argument = &parser->arguments[i];
    if (argument->name.at)
      return fail(parser, argument->name.at, "any: expected words, not name=value");
    if (argument->value.len == 0 || memchr(argument->value.at, '/', argument->value.len))
      return fail(parser, argument->value.at, "any: expected words without '/'");
    part->options[i] = mem_bytes(argument->value.at, argument->value.len);
  }
  return true;
}

static bool find_converter(Parser *parser, Span name, PartType *type)
{
  static const char *const names[] = { "string", "default", "int",  "float",
                                       "path",   "any",     "uuid", NULL };
  static const PartType types[] = { PART_STRING, PART_STRING, PART_INT, PART_FLOAT,
                                    PART_PATH,   PART_ANY,    PART_UUID };
  char word[40];
  const char *nearest;
  size_t i;
  for (i = 0; names[i]; i++) {
    if (span_is(name, names[i])) {
      *type = types[i];
      return true;
    }
  }
  snprintf(word, sizeof word, "%.*s", (int)name.len, name.at);
  nearest = yaml_nearest(word, names);
  return fail(parser, name.at,
              "expected a converter (string, int, float, path, any, uuid), got %s%s%s", word,
              nearest ? ", did you mean " : "", nearest ? nearest : "");
}

static bool name_is_taken(const Parser *parser, Span name)
{
  uint32_t i;
  for (i = 0; i < parser->rule->count; i++) {
    const RulePart *part = &parser->rule->parts[i];
    if (part->type != PART_STATIC && part->text && span_is(name, part->text))
      return true;
  }
  return false;
}

static bool take_converter(Parser *parser, RulePart *part)
{
  switch (part->type) {
  case PART_STRING:
    return take_string(parser, part);
  case PART_INT:
  case PART_FLOAT:
    return take_number(parser, part);
  case PART_ANY:
    return take_any(parser, part);
  case PART_PATH:
    return check_arguments(parser, "path", no_names);
  case PART_UUID:
    return check_arguments(parser, "uuid", no_names);
  case PART_STATIC:
    break;
  }
  return false;
}

// `<name>`, `<converter:name>`, `<converter(arguments):name>`
static bool parse_variable(Parser *parser)
{
  const char *start = parser->at++;
  PartType type = PART_STRING;
  Span word = take_word(parser), name = word;
  RulePart *part;
  parser->argument_count = 0;
  if (*parser->at == '(' && !(parser->at++, parse_arguments(parser)))
    return false;
  if (*parser->at == ':') {
    if (!find_converter(parser, word, &type))
      return false;
    parser->at++;
    name = take_word(parser);
  } else if (parser->argument_count > 0) {
    return fail(parser, parser->at, "expected ':' and a name behind the converter");
  }
  if (name.len == 0 || isdigit((unsigned char)name.at[0]))
    return fail(parser, name.at, "expected a name of letters, digits and '_' in '<...>'");
  if (*parser->at != '>')
    return fail(parser, *parser->at ? parser->at : start, "expected '>' behind '<%.*s'",
                (int)name.len, name.at);
  if (name_is_taken(parser, name))
    return fail(parser, name.at, "expected each name once, got %.*s twice", (int)name.len, name.at);
  part = add_part(parser, type);
  part->text = mem_bytes(name.at, name.len);
  if (!take_converter(parser, part))
    return false;
  parser->at++;
  return true;
}

Rule *rule_parse(const char *text, int *column_offset, Err *err)
{
  Parser parser = { .text = text, .at = text, .err = err };
  bool is_good = true;
  parser.rule = mem_zero(1, sizeof *parser.rule);
  parser.rule->text = mem_string(text);
  if (text[0] != '/')
    is_good = fail(&parser, text, "expected a path starting with '/', got \"%.80s\"", text);
  else if (strlen(text) > MAX_RULE_BYTES)
    is_good = fail(&parser, text, "expected a path of at most %d bytes", MAX_RULE_BYTES);
  while (is_good && *parser.at)
    is_good = *parser.at == '<' ? parse_variable(&parser) : parse_static(&parser);
  if (column_offset)
    *column_offset = (int)(parser.at - text);
  if (is_good)
    return parser.rule;
  rule_free(parser.rule);
  return NULL;
}

void rule_free(Rule *rule)
{
  uint32_t i, j;
  if (!rule)
    return;
  for (i = 0; i < rule->count; i++) {
    for (j = 0; rule->parts[i].options && rule->parts[i].options[j]; j++)
      mem_free(rule->parts[i].options[j]);
    mem_free(rule->parts[i].options);
    mem_free(rule->parts[i].text);
  }
  mem_free(rule->parts);
  mem_free(rule->text);
  mem_free(rule);
}

// --- comparing -----------------------------------------------------------------------------------

static bool options_are_same(char *const *a, char *const *b)
{
  size_t i;
  if (!a || !b)
    return a == b;
  for (i = 0; a[i] && b[i]; i++) {
    if (strcmp(a[i], b[i]) != 0)
      return false;
  }
  return !a[i] && !b[i];
}

static bool limits_are_same(bool has_a, double a, bool has_b, double b)
{
  return has_a == has_b && (!has_a || !(a < b || a > b));
}

static bool parts_are_same(const RulePart *a, const RulePart *b)
{
  if (a->type != b->type)
    return false;
  if (a->type == PART_STATIC)
    return strcmp(a->text, b->text) == 0;
  // A segment is never empty, so a minimum of one says nothing.
  return (a->min_len < 1 ? 1 : a->min_len) == (b->min_len < 1 ? 1 : b->min_len) &&
         a->max_len == b->max_len && a->fixed_digits == b->fixed_digits &&
         a->is_signed == b->is_signed && limits_are_same(a->has_min, a->min, b->has_min, b->min) &&
         limits_are_same(a->has_max, a->max, b->has_max, b->max) &&
         options_are_same(a->options, b->options);
}

bool rule_is_same(const Rule *a, const Rule *b)
{
  uint32_t i;
  if (a->count != b->count)
    return false;
  for (i = 0; i < a->count; i++) {
    if (!parts_are_same(&a->parts[i], &b->parts[i]))
      return false;
  }
  return true;
}
