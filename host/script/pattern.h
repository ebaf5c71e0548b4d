// Lua patterns, matched with a budget: a pattern such as ".-.-.-b" may need more steps than anyone
// will wait for, and LuaJIT's own functions cannot be interrupted. What matches, what is captured
// and which errors are raised is what LuaJIT does; spec/fuzz/pattern_match.c compares the two.
#ifndef MOONHOOK_SCRIPT_PATTERN_H
#define MOONHOOK_SCRIPT_PATTERN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  PATTERN_MAX_CAPTURES = 32,
  CAPTURE_IS_OPEN = -1, // a Capture's `len`: its ')' was not reached
  CAPTURE_IS_POSITION = -2,
};

typedef struct {
  const char *start;
  ptrdiff_t len; // or one of CAPTURE_IS_*
} Capture;

// One search through one subject. It owns nothing, so any of these may raise.
typedef struct {
  lua_State *L;
  int blame; // call level whose line an error names: 1 is who called the C function
  const char *subject, *subject_end;
  const char *pattern_end;
  int32_t steps_left; // until the next look at the clock
  uint64_t budget;    // further steps
  int depth, count;
  Capture captures[PATTERN_MAX_CAPTURES];
} Match;

// Called every few thousand steps; NULL: nobody cares. It may raise.
extern void (*pattern_on_pause)(lua_State *L);

// Whether it stands for its own bytes only.
bool pattern_is_plain(const char *pattern, size_t len);

// The strings are borrowed and end with a zero byte, as Lua's do; the pattern ends at its first one
// (%z stands for it). The budget grows with the subject's length.
void match_begin(Match *match, lua_State *L, int blame, const char *subject, size_t subject_len,
                 const char *pattern);
// Matches at `at` and nowhere else. Returns where the match ends, or NULL. Raises for a pattern
// that makes no sense (when it comes to that part of it), and "pattern too complex" beyond the
// budget.
const char *match_at(Match *match, const char *pattern, const char *at);
// The first match at or after *at, which is moved to where it starts.
const char *match_search(Match *match, const char *pattern, const char **at);
// Pushes the captures, or the whole match where there are none and is_whole. Their number.
int match_push_captures(Match *match, const char *start, const char *end, bool is_whole);
// Pushes one of them, from 0.
void match_push_capture(Match *match, int index, const char *start, const char *end);
// A line's worth of error for the caller's caller.
_Noreturn void match_raise(const Match *match, const char *text);

#endif
