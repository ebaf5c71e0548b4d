// The converters of path rules, `<int(min=1):x>`, and their arguments (see rule.h).
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/memory.h"
#include "../base/yaml.h"
#include "rule_parse.h"

// --- arguments -------------------------------------------------------------------------

static bool is_word(char c)
{
  return isalnum((unsigned char)c) || c == '_';
}

static bool parse_value(RuleParser *parser, RuleArgument *argument)
{
  char quote = *parser->at;
  const char *end;
  if (quote == '"' || quote == '\'') {
    end = strchr(parser->at + 1, quote);
    if (!end)
      return rule_fail(parser, parser->at, "expected a closing %c", quote);
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
    return rule_fail(parser, parser->at, "expected a value or ')' in the converter's arguments");
  return true;
}

// `(a, b, name=value)`, from behind the '('.
bool rule_parse_arguments(RuleParser *parser)
{
  for (;;) {
    RuleArgument *argument = &parser->arguments[parser->argument_count];
    const char *start;
    rule_skip_spaces(parser);
    if (*parser->at == ')')
      break;
    if (parser->argument_count == MAX_ARGUMENTS)
      return rule_fail(parser, parser->at, "expected at most %d arguments", MAX_ARGUMENTS);
    *argument = (RuleArgument){ 0 };
    start = parser->at;
    argument->name = rule_take_word(parser);
    rule_skip_spaces(parser);
    if (argument->name.len > 0 && *parser->at == '=') {
      parser->at++;
      rule_skip_spaces(parser);
    } else {
      parser->at = start;
      argument->name = (Span){ 0 };
    }
    if (!parse_value(parser, argument))
      return false;
    parser->argument_count++;
    rule_skip_spaces(parser);
    if (*parser->at == ',')
      parser->at++;
    else if (*parser->at != ')')
      return rule_fail(parser, parser->at, "expected ',' or ')' in the converter's arguments");
  }
  parser->at++;
  return true;
}

// The argument of that name, or the `position`-th positional one; NULL when absent.
static const RuleArgument *argument_of(const RuleParser *parser, const char *name, int position)
{
  int i, seen = 0;
  for (i = 0; i < parser->argument_count; i++) {
    const RuleArgument *argument = &parser->arguments[i];
    if (argument->name.at ? span_is(argument->name, name) : seen++ == position)
      return argument;
  }
  return NULL;
}

static bool read_number(RuleParser *parser, const char *name, int position, double least,
                        double most, bool *has, double *value)
{
  const RuleArgument *argument = argument_of(parser, name, position);
  char text[40], *end;
  *has = argument != NULL;
  if (!argument || span_is(argument->value, "None")) {
    *has = false;
    return true;
  }
  snprintf(text, sizeof text, "%.*s", (int)argument->value.len, argument->value.at);
  *value = strtod(text, &end);
  if (argument->is_quoted || *end != '\0' || !(*value >= least && *value <= most))
    return rule_fail(parser, argument->value.at, "%s: expected a number from %g to %g, got %s",
                     name, least, most, text);
  return true;
}

static bool read_count(RuleParser *parser, const char *name, int position, int *value)
{
  bool has;
  double number = 0;
  if (!read_number(parser, name, position, 1, MAX_RULE_BYTES * 64, &has, &number))
    return false;
  if (has && number > (double)(int)number)
    return rule_fail(parser, argument_of(parser, name, position)->value.at,
                     "%s: expected a whole number", name);
  if (has)
    *value = (int)number;
  return true;
}

static bool read_flag(RuleParser *parser, const char *name, int position, bool *value)
{
  const RuleArgument *argument = argument_of(parser, name, position);
  if (!argument)
    return true;
  *value = span_is_ignoring_case(argument->value, "true");
  if (!*value && !span_is_ignoring_case(argument->value, "false"))
    return rule_fail(parser, argument->value.at, "%s: expected True or False", name);
  return true;
}

// Every argument must have a name of `names` (NULL-terminated, in positional order) and a place.
static bool check_arguments(RuleParser *parser, const char *converter, const char *const *names)
{
  int i, seen = 0, known = 0, at;
  while (names[known])
    known++;
  for (i = 0; i < parser->argument_count; i++) {
    const RuleArgument *argument = &parser->arguments[i];
    if (!argument->name.at) {
      if (seen++ < known)
        continue;
      return rule_fail(parser, argument->value.at, "%s: expected at most %d arguments", converter,
                       known);
    }
    for (at = 0; names[at] && !span_is(argument->name, names[at]); at++)
      ;
    if (!names[at]) {
      char word[40];
      const char *nearest;
      snprintf(word, sizeof word, "%.*s", (int)argument->name.len, argument->name.at);
      nearest = yaml_nearest(word, names);
      return rule_fail(parser, argument->name.at, "%s: unknown argument %s%s%s", converter, word,
                       nearest ? ", did you mean " : "", nearest ? nearest : "");
    }
  }
  return true;
}

// --- converters ----------------------------------------------------------------------------------

static const char *const no_names[] = { NULL };

static bool take_string(RuleParser *parser, RulePart *part)
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
    return rule_fail(parser, parser->arguments[0].value.at, "string: maxlength is below minlength");
  return true;
}

static bool take_number(RuleParser *parser, RulePart *part)
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
    return rule_fail(parser, parser->arguments[0].value.at, "max is below min");
  return true;
}

static bool take_any(RuleParser *parser, RulePart *part)
{
  int i;
  if (parser->argument_count == 0)
    return rule_fail(parser, parser->at,
                     "any: expected the words to choose from, as in <any(a,b):x>");
  part->options = mem_zero((size_t)parser->argument_count + 1, sizeof *part->options);
  for (i = 0; i < parser->argument_count; i++) {
    const RuleArgument *argument = &parser->arguments[i];
    if (argument->name.at)
      return rule_fail(parser, argument->name.at, "any: expected words, not name=value");
    if (argument->value.len == 0 || memchr(argument->value.at, '/', argument->value.len))
      return rule_fail(parser, argument->value.at, "any: expected words without '/'");
    part->options[i] = mem_bytes(argument->value.at, argument->value.len);
  }
  return true;
}

bool rule_find_converter(RuleParser *parser, Span name, PartType *type)
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
  return rule_fail(parser, name.at,
                   "expected a converter (string, int, float, path, any, uuid), got %s%s%s", word,
                   nearest ? ", did you mean " : "", nearest ? nearest : "");
}

bool rule_take_converter(RuleParser *parser, RulePart *part)
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
