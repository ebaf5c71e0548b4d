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
#include "rule_parse.h"

bool rule_fail(RuleParser *parser, const char *at, const char *format, ...)
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

Span rule_take_word(RuleParser *parser)
{
  Span word = { parser->at, 0 };
  while (is_word(parser->at[0]))
    parser->at++;
  word.len = (size_t)(parser->at - word.at);
  return word;
}

void rule_skip_spaces(RuleParser *parser)
{
  while (*parser->at == ' ')
    parser->at++;
}

static RulePart *add_part(RuleParser *parser, PartType type)
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

static bool parse_static(RuleParser *parser)
{
  Buffer text = { 0 };
  const char *segment = NULL; // where the current one starts, when it started in this part
  char before = '\0';
  for (; *parser->at != '\0' && *parser->at != '<'; parser->at++) {
    char c = *parser->at;
    if ((unsigned char)c < 0x20 || c == 0x7f || c == '>' || c == '?' || c == '#') {
      buffer_free(&text);
      if (c == '>')
        return rule_fail(parser, parser->at, "expected '<' before '>'");
      if (c == '?' || c == '#')
        return rule_fail(parser, parser->at, "expected a path alone, got '%c'", c);
      return rule_fail(parser, parser->at, "expected a path, got a control character");
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
    return rule_fail(parser, segment,
                     "expected no '.' or '..' between slashes: no request has them");
  }
  add_part(parser, PART_STATIC)->text = buffer_take(&text);
  return true;
}

// --- variables -----------------------------------------------------------------------------------

static bool name_is_taken(const RuleParser *parser, Span name)
{
  uint32_t i;
  for (i = 0; i < parser->rule->count; i++) {
    const RulePart *part = &parser->rule->parts[i];
    if (part->type != PART_STATIC && part->text && span_is(name, part->text))
      return true;
  }
  return false;
}

// `<name>`, `<converter:name>`, `<converter(arguments):name>`
static bool parse_variable(RuleParser *parser)
{
  const char *start = parser->at++;
  PartType type = PART_STRING;
  Span word = rule_take_word(parser), name = word;
  RulePart *part;
  parser->argument_count = 0;
  if (*parser->at == '(' && !(parser->at++, rule_parse_arguments(parser)))
    return false;
  if (*parser->at == ':') {
    if (!rule_find_converter(parser, word, &type))
      return false;
    parser->at++;
    name = rule_take_word(parser);
  } else if (parser->argument_count > 0) {
    return rule_fail(parser, parser->at, "expected ':' and a name behind the converter");
  }
  if (name.len == 0 || isdigit((unsigned char)name.at[0]))
    return rule_fail(parser, name.at, "expected a name of letters, digits and '_' in '<...>'");
  if (*parser->at != '>')
    return rule_fail(parser, *parser->at ? parser->at : start, "expected '>' behind '<%.*s'",
                     (int)name.len, name.at);
  if (name_is_taken(parser, name))
    return rule_fail(parser, name.at, "expected each name once, got %.*s twice", (int)name.len,
                     name.at);
  part = add_part(parser, type);
  part->text = mem_bytes(name.at, name.len);
  if (!rule_take_converter(parser, part))
    return false;
  parser->at++;
  return true;
}

Rule *rule_parse(const char *text, int *column_offset, Err *err)
{
  RuleParser parser = { .text = text, .at = text, .err = err };
  bool is_good = true;
  parser.rule = mem_zero(1, sizeof *parser.rule);
  parser.rule->text = mem_string(text);
  if (text[0] != '/')
    is_good = rule_fail(&parser, text, "expected a path starting with '/', got \"%.80s\"", text);
  else if (strlen(text) > MAX_RULE_BYTES)
    is_good = rule_fail(&parser, text, "expected a path of at most %d bytes", MAX_RULE_BYTES);
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
