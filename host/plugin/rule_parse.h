// Shared by the files that parse path rules (rule.c, rule_converter.c). For nobody else.
#ifndef MOONHOOK_PLUGIN_RULE_PARSE_H
#define MOONHOOK_PLUGIN_RULE_PARSE_H

#include "../base/buffer.h"
#include "rule.h"

enum { MAX_RULE_BYTES = 1024, MAX_ARGUMENTS = 64 };

typedef struct {
  Span name;  // at == NULL: positional
  Span value; // without its quotes
  bool is_quoted;
} RuleArgument;

typedef struct {
  const char *text, *at;
  Rule *rule;
  RuleArgument arguments[MAX_ARGUMENTS];
  int argument_count;
  Err *err;
} RuleParser;

// Says what is wrong at `at`; always false.
bool rule_fail(RuleParser *parser, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
Span rule_take_word(RuleParser *parser); // letters, digits, '_'
void rule_skip_spaces(RuleParser *parser);

// `(a, b, name=value)`, from behind the '(', into parser->arguments.
bool rule_parse_arguments(RuleParser *parser);
bool rule_find_converter(RuleParser *parser, Span name, PartType *type);
// Fills the part, whose type is set, from the arguments.
bool rule_take_converter(RuleParser *parser, RulePart *part);

#endif
