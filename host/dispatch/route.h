// Path rules to a match, with werkzeug's priorities: at each segment a literal is tried before a
// variable, numbers before strings before paths, then backtracking. Pure functions.
#ifndef MOONHOOK_DISPATCH_ROUTE_H
#define MOONHOOK_DISPATCH_ROUTE_H

#include "../plugin/package.h"

typedef struct Router Router;

enum { MAX_CAPTURES = 16 };

typedef struct {
  const RulePart *part; // its name and type
  Span text;            // of the path
} Capture;

typedef enum {
  ROUTE_FOUND,
  ROUTE_NOT_FOUND,
  ROUTE_WRONG_METHOD, // `allow` says which would do
  ROUTE_ADD_SLASH,    // the same path with a final slash exists
} RouteOutcome;

typedef struct {
  uint32_t declaration; // index in the package
  Capture captures[MAX_CAPTURES];
  uint32_t capture_count;
  char allow[80]; // "GET, HEAD, POST"
} RouteMatch;

Router *router_new(const Package *package); // the package must outlive it
void router_free(Router *router);
// `path` is percent-decoded. HEAD is served by a GET declaration when there is no HEAD one.
RouteOutcome router_match(const Router *router, Span method, Span path, RouteMatch *match);

#endif
