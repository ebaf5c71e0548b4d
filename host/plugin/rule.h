// Path rules in werkzeug's syntax: /a/<name>, <int:x>, <float:x>, <path:x>, <any(a,b):x>, <uuid:x>,
// <string(length=2):x>. Parsing only; dispatch/route.h matches.
#ifndef MOONHOOK_PLUGIN_RULE_H
#define MOONHOOK_PLUGIN_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/error.h"

typedef enum {
  PART_STATIC,
  PART_STRING,
  PART_INT,
  PART_FLOAT,
  PART_PATH,
  PART_ANY,
  PART_UUID
} PartType;

typedef struct {
  PartType type;
  char *text;           // PART_STATIC: literal text (may hold slashes); else the variable's name
  char **options;       // PART_ANY, NULL-terminated
  int min_len, max_len; // PART_STRING; -1: none
  int fixed_digits;     // PART_INT, PART_FLOAT is 0
  bool is_signed, has_min, has_max;
  double min, max;
} RulePart;

typedef struct {
  RulePart *parts;
  uint32_t count;
  char *text; // as declared
} Rule;

// Returns NULL and err->text "expected ..., got ..." with err->code UV_EINVAL. `*column_offset`
// (may be NULL) gets the offset in `text` where the problem is.
Rule *rule_parse(const char *text, int *column_offset, Err *err);
void rule_free(Rule *rule);
// Whether both match the same paths, whatever their variables are called.
bool rule_is_same(const Rule *a, const Rule *b);

#endif
