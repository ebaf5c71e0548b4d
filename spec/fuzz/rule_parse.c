// Any text through the path rule parser: no crash, an error points into the text and says
// something, a rule is the same as itself and its parts are whole.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "host/plugin/rule.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void check(const Rule *rule)
{
  uint32_t i;
  assert(rule->count > 0 && rule->parts[0].type == PART_STATIC);
  for (i = 0; i < rule->count; i++) {
    const RulePart *part = &rule->parts[i];
    assert(part->text && *part->text);
    assert(part->type != PART_STATIC || i == 0 || part[-1].type != PART_STATIC);
    assert(part->type != PART_STATIC || !strstr(part->text, "//"));
    assert((part->type == PART_ANY) == (part->options != NULL));
    assert(part->max_len < 0 || part->max_len >= part->min_len);
    assert(!part->has_min || !part->has_max || part->max >= part->min);
  }
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
  char *text = malloc(len + 1);
  Err err = { 0 };
  int offset = -1;
  Rule *rule;
  if (len > 0)
    memcpy(text, bytes, len);
  text[len] = '\0';
  rule = rule_parse(text, &offset, &err);
  if (rule) {
    check(rule);
    assert(rule_is_same(rule, rule) && strcmp(rule->text, text) == 0);
  } else {
    assert(err.text[0] != '\0' && err.code != 0);
    assert(offset >= 0 && (size_t)offset <= strlen(text));
  }
  rule_free(rule);
  free(text);
  return 0;
}
