// What a scalar means: YAML 1.2's core schema for plain ones, and the few tags of it (see yaml.h).
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "yaml_tree.h"

static bool is_one_of(const char *text, const char *const *words)
{
  for (; *words; words++) {
    if (strcmp(text, *words) == 0)
      return true;
  }
  return false;
}

// [-+]?[0-9]+ | 0x[0-9a-fA-F]+ | 0o[0-7]+
static bool read_integer(const char *text, int64_t *value)
{
  int base = 10;
  const char *digits = text + (*text == '-' || *text == '+');
  const char *allowed = "0123456789";
  if (strncmp(text, "0x", 2) == 0) {
    base = 16;
    digits = text + 2;
    allowed = "0123456789abcdefABCDEF";
  } else if (strncmp(text, "0o", 2) == 0) {
    base = 8;
    digits = text + 2;
    allowed = "01234567";
  }
  if (*digits == '\0' || digits[strspn(digits, allowed)] != '\0')
    return false;
  errno = 0;
  *value = strtoll(base == 10 ? text : digits, NULL, base);
  return errno == 0;
}

// [-+]? ( .digits | digits [. digits*] ) ( [eE] [-+]? digits )? | [-+]?.inf | .nan
static bool read_real(const char *text, double *value)
{
  static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
  static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
  const char *at = text + (*text == '-' || *text == '+');
  size_t before, after = 0;
  if (is_one_of(at, infinities)) {
    *value = *text == '-' ? -INFINITY : INFINITY;
    return true;
  }
  if (is_one_of(text, nans)) {
    *value = NAN;
    return true;
  }
  before = strspn(at, "0123456789");
  at += before;
  if (*at == '.') {
    after = strspn(at + 1, "0123456789");
    at += 1 + after;
  }
  if (before + after == 0)
    return false;
  if (*at == 'e' || *at == 'E') {
    at += 1 + (at[1] == '-' || at[1] == '+');
    if (*at == '\0')
      return false;
    at += strspn(at, "0123456789");
  }
  if (*at != '\0')
    return false;
  *value = strtod(text, NULL); // the host never leaves the C locale's number format
  return true;
}

// What a plain scalar means by YAML 1.2's core schema.
static void resolve(YamlNode *node)
{
  static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
  static const char *const truths[] = { "true", "True", "TRUE", NULL };
  static const char *const lies[] = { "false", "False", "FALSE", NULL };
  if (is_one_of(node->text, nulls)) {
    node->type = YAML_NULL;
  } else if (is_one_of(node->text, truths)) {
    node->type = YAML_BOOL;
    node->integer = 1;
  } else if (is_one_of(node->text, lies)) {
    node->type = YAML_BOOL;
  } else if (read_integer(node->text, &node->integer)) {
    node->type = YAML_INTEGER;
    node->real = (double)node->integer;
  } else if (read_real(node->text, &node->real)) {
    node->type = YAML_REAL;
  }
}

bool tree_is_tag(const yaml_char_t *tag, const char *name)
{
  static const char prefix[] = "tag:yaml.org,2002:";
  const char *text = (const char *)tag;
  return strncmp(text, prefix, sizeof prefix - 1) == 0 &&
         strcmp(text + sizeof prefix - 1, name) == 0;
}

// Gives a scalar with an explicit tag its type; false when it does not fit, or is unknown.
static bool apply_tag(YamlNode *node, const yaml_char_t *tag)
{
  if (strcmp((const char *)tag, "!") == 0 || tree_is_tag(tag, "str"))
    return true;
  resolve(node);
  if (tree_is_tag(tag, "float") && node->type == YAML_INTEGER)
    node->type = YAML_REAL;
  return (tree_is_tag(tag, "int") && node->type == YAML_INTEGER) ||
         (tree_is_tag(tag, "float") && node->type == YAML_REAL) ||
         (tree_is_tag(tag, "bool") && node->type == YAML_BOOL) ||
         (tree_is_tag(tag, "null") && node->type == YAML_NULL);
}

YamlNode *tree_build_scalar(TreeBuilder *builder, yaml_event_t *event)
{
  const yaml_char_t *tag = event->data.scalar.tag;
  YamlNode *node = tree_node_new(YAML_STRING, (int)event->start_mark.line + 1,
                                 (int)event->start_mark.column + 1);
  node->text = mem_bytes(event->data.scalar.value, event->data.scalar.length);
  node->len = event->data.scalar.length;
  node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  if (strlen(node->text) != node->len) { // "\0" in double quotes
    tree_node_free(node);
    return tree_fail_event(builder, event, "expected text, got a NUL character");
  }
  if (tag && !apply_tag(node, tag)) {
    tree_node_free(node);
    return tree_fail_tag(builder, event, tag);
  }
  if (!tag && event->data.scalar.plain_implicit)
    resolve(node);
  return node;
}
