// See route.h. Rules are sorted once so that trying them in order is the depth-first search that
// werkzeug's state machine does: they are compared segment by segment, a literal segment before one
// with variables.
#include "route.h"

#include <stdlib.h>

#include "../base/memory.h"

enum { MAX_STEPS = 100000 }; // of backtracking, per rule and path

typedef struct {
  const Rule *rule;
  const Declaration *declaration;
  uint32_t index;
} Route;

struct Router {
  Route *routes;
  uint32_t count;
};

// --- order ---------------------------------------------------------------------------------------

static int part_weight(PartType type)
{
  switch (type) {
  case PART_STATIC:
    return 0;
  case PART_INT:
  case PART_FLOAT:
    return 50;
  case PART_PATH:
    return 200;
  default:
    return 100;
  }
}

// The weight of segment `wanted` of a rule: 0 for a literal one, -1 behind the last.
static int segment_weight(const Rule *rule, int wanted)
{
  int segment = 0, weight = 0, literal = 0;
  bool is_there = false;
  uint32_t i;
  for (i = 0; i < rule->count && segment <= wanted; i++) {
    const RulePart *part = &rule->parts[i];
    const char *at = part->text;
    if (part->type != PART_STATIC) {
      if (segment == wanted) {
        is_there = true;
        if (part_weight(part->type) > weight)
          weight = part_weight(part->type);
      }
      continue;
    }
    for (; *at; at++) {
      if (*at == '/') {
        segment++;
      } else if (segment == wanted) {
        is_there = true;
        literal++;
      }
      if (segment == wanted)
        is_there = true;
    }
  }
  if (!is_there)
    return -1;
  return weight == 0 ? 0 : 1000 + weight * 10 - (literal > 9 ? 9 : literal);
}

static int compare_routes(const void *left, const void *right)
{
  const Route *a = left, *b = right;
  int segment;
  for (segment = 0; segment < 64; segment++) {
    int weight_a = segment_weight(a->rule, segment), weight_b = segment_weight(b->rule, segment);
    if (weight_a != weight_b)
      return weight_a < weight_b ? -1 : 1;
    if (weight_a < 0 && segment > 0)
      break;
  }
  return a->index < b->index ? -1 : 1;
}

Router *router_new(const Package *package)
{
  Router *router = mem_zero(1, sizeof *router);
  uint32_t i;
  router->count = package->declaration_count;
  router->routes = mem_zero(router->count, sizeof *router->routes);
  for (i = 0; i < router->count; i++)
    router->routes[i] = (Route){ package->declarations[i].rule, &package->declarations[i], i };
  qsort(router->routes, router->count, sizeof *router->routes, compare_routes);
  return router;
}

void router_free(Router *router)
{
  if (!router)
    return;
  mem_free(router->routes);
  mem_free(router);
}

// --- matching one rule ---------------------------------------------------------------------------

typedef struct {
  const Rule *rule;
  Span path;
  RouteMatch *match;
  int steps;
} Matching;

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static size_t digits_at(Span text, size_t at)
{
  size_t len = 0;
  while (at + len < text.len && is_digit(text.at[at + len]))
    len++;
  return len;
}

static bool number_fits(const RulePart *part, Span text)
{
  char digits[64];
  double value;
  if (text.len >= sizeof digits)
    return false;
  memcpy(digits, text.at, text.len);
  digits[text.len] = '\0';
  value = strtod(digits, NULL);
  return (!part->has_min || value >= part->min) && (!part->has_max || value <= part->max);
}

// The longest run that the variable may take at `at`, and the shortest in *least; -1: none.
static long widest(const RulePart *part, Span path, size_t at, size_t *least)
{
  size_t sign, len, fraction, i;
  const char *end;
  *least = 1;
  switch (part->type) {
  case PART_STRING:
    end = memchr(path.at + at, '/', path.len - at);
    len = (end ? (size_t)(end - path.at) : path.len) - at;
    if (part->min_len > 1)
      *least = (size_t)part->min_len;
    if (part->max_len >= 0 && len > (size_t)part->max_len)
      len = (size_t)part->max_len;
    return len >= *least ? (long)len : -1;
  case PART_PATH:
    return at < path.len && path.at[at] != '/' ? (long)(path.len - at) : -1;
  case PART_INT:
  case PART_FLOAT:
    sign = part->is_signed && at < path.len && path.at[at] == '-';
    len = digits_at(path, at + sign);
    if (len == 0)
      return -1;
    if (part->type == PART_FLOAT) {
      if (at + sign + len >= path.len || path.at[at + sign + len] != '.')
        return -1;
      fraction = digits_at(path, at + sign + len + 1);
      if (fraction == 0)
        return -1;
      len += 1 + fraction;
    }
    if (part->fixed_digits > 0 && len != (size_t)part->fixed_digits)
      return -1;
    *least = sign + len; // a number is taken whole
    return number_fits(part, (Span){ path.at + at, sign + len }) ? (long)(sign + len) : -1;
  case PART_UUID:
    if (path.len - at < 36)
      return -1;
    for (i = 0; i < 36; i++) {
      char c = path.at[at + i];
      bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
      bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (is_dash ? c != '-' : !is_hex)
        return -1;
    }
    *least = 36;
    return 36;
  default:
    return -1;
  }
}

static bool match_from(Matching *matching, uint32_t i, size_t at);

static bool take(Matching *matching, uint32_t i, size_t at, size_t len)
{
  RouteMatch *match = matching->match;
  uint32_t saved = match->capture_count;
  if (saved == MAX_CAPTURES)
    return false;
  match->captures[match->capture_count++] =
      (Capture){ &matching->rule->parts[i], { matching->path.at + at, len } };
  if (match_from(matching, i + 1, at + len))
    return true;
  match->capture_count = saved;
  return false;
}

static bool match_from(Matching *matching, uint32_t i, size_t at)
{
  const RulePart *part = &matching->rule->parts[i];
  size_t len, least;
  long longest;
  if (i == matching->rule->count)
    return at == matching->path.len;
  if (++matching->steps > MAX_STEPS)
    return false;
  if (part->type == PART_STATIC) {
    len = strlen(part->text);
    return matching->path.len - at >= len && memcmp(matching->path.at + at, part->text, len) == 0 &&
           match_from(matching, i + 1, at + len);
  }
  if (part->type == PART_ANY) {
    char **option;
    for (option = part->options; *option; option++) {
      len = strlen(*option);
      if (matching->path.len - at >= len && memcmp(matching->path.at + at, *option, len) == 0 &&
          take(matching, i, at, len))
        return true;
    }
    return false;
  }
  longest = widest(part, matching->path, at, &least);
  for (; longest >= (long)least; longest--) {
    if (take(matching, i, at, (size_t)longest))
      return true;
  }
  return false;
}

static bool match_rule(const Rule *rule, Span path, RouteMatch *match)
{
  Matching matching = { rule, path, match, 0 };
  match->capture_count = 0;
  return match_from(&matching, 0, 0);
}

// --- choosing ------------------------------------------------------------------------------------

static bool takes_method(const Declaration *declaration, Span method)
{
  char **name;
  for (name = declaration->methods; *name; name++) {
    if (span_is(method, *name))
      return true;
  }
  return false;
}

static void allow_method(RouteMatch *match, const char *method)
{
  size_t len = strlen(match->allow);
  const char *found = strstr(match->allow, method);
  if (found && (found == match->allow || found[-1] == ' '))
    return;
  if (len + strlen(method) + 3 < sizeof match->allow) {
    if (len)
      strcat(match->allow, ", ");
    strcat(match->allow, method);
  }
}

static bool some_rule_matches(const Router *router, Span path)
{
  RouteMatch match;
  uint32_t i;
  for (i = 0; i < router->count; i++) {
    if (match_rule(router->routes[i].rule, path, &match))
      return true;
  }
  return false;
}

RouteOutcome router_match(const Router *router, Span method, Span path, RouteMatch *match)
{
  bool is_head = span_is(method, "HEAD"), is_found = false;
  Span get = { "GET", 3 };
  uint32_t i, fallback = UINT32_MAX;
  match->allow[0] = '\0';
  for (i = 0; i < router->count; i++) {
    const Route *route = &router->routes[i];
    char **name;
    if (!match_rule(route->rule, path, match))
      continue;
    is_found = true;
    if (takes_method(route->declaration, method)) {
      match->declaration = route->index;
      return ROUTE_FOUND;
    }
    if (is_head && fallback == UINT32_MAX && takes_method(route->declaration, get))
      fallback = i;
    for (name = route->declaration->methods; *name; name++) {
      allow_method(match, *name);
      if (strcmp(*name, "GET") == 0)
        allow_method(match, "HEAD");
    }
  }
  if (fallback != UINT32_MAX) {
    match_rule(router->routes[fallback].rule, path, match);
    match->declaration = router->routes[fallback].index;
    return ROUTE_FOUND;
  }
  if (is_found)
    return ROUTE_WRONG_METHOD;
  if (path.len == 0 || path.at[path.len - 1] != '/') {
    Buffer slashed = { 0 };
    bool is_there;
    buffer_append(&slashed, path.at, path.len);
    buffer_char(&slashed, '/');
    is_there = some_rule_matches(router, (Span){ slashed.bytes, slashed.len });
    buffer_free(&slashed);
    if (is_there)
      return ROUTE_ADD_SLASH;
  }
  return ROUTE_NOT_FOUND;
}
