// See pattern.h. Matching is backtracking over the pattern's text. Recursion happens only where
// there is something to come back to (a repetition, a capture), and no deeper than MAX_DEPTH.
#include "pattern.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../base/fast_paths.h"

enum {
  MAX_DEPTH = 200,       // as LuaJIT
  STEPS_PER_LOOK = 4096, // some 10 us
  STEPS_PER_BYTE = 64,
  BASE_STEPS = 10 * 1000 * 1000,
};

void (*pattern_on_pause)(lua_State *L);

static const char *follow(Match *m, const char *s, const char *p);

void match_begin(Match *match, lua_State *L, int blame, const char *subject, size_t subject_len,
                 const char *pattern)
{
  match->L = L;
  match->blame = blame;
  match->subject = subject;
  match->subject_end = subject + subject_len;
  match->pattern_end = pattern + strlen(pattern);
  match->steps_left = STEPS_PER_LOOK;
  match->budget = BASE_STEPS + (uint64_t)subject_len * STEPS_PER_BYTE;
  match->depth = match->count = 0;
}

void match_raise(const Match *match, const char *text)
{
  luaL_where(match->L, match->blame);
  lua_pushstring(match->L, text);
  lua_concat(match->L, 2);
  lua_error(match->L);
  abort(); // it does not come back
}

static void look(Match *m)
{
  if (pattern_on_pause)
    pattern_on_pause(m->L);
  if (m->budget < STEPS_PER_LOOK)
    match_raise(m, "pattern too complex");
  m->budget -= STEPS_PER_LOOK;
  m->steps_left = STEPS_PER_LOOK;
}

static inline void step(Match *m)
{
  if (--m->steps_left <= 0)
    look(m);
}

// `count` steps at once.
static inline void walk(Match *m, ptrdiff_t count)
{
  while (count >= m->steps_left) {
    count -= m->steps_left;
    look(m);
  }
  m->steps_left -= (int32_t)count;
}

// --- one character -------------------------------------------------------------------------------

enum {
  LOWER = 1,
  UPPER = 2,
  DIGIT = 4,
  SPACE = 8,
  PUNCTUATION = 16,
  CONTROL = 32,
  HEXADECIMAL = 64,
};

// Of the ASCII characters, whatever the locale; the others are in no class.
// clang-format off
#define X4(x) x, x, x, x
static const unsigned char classes[256] = {
  X4(CONTROL), X4(CONTROL), CONTROL, CONTROL | SPACE, CONTROL | SPACE, CONTROL | SPACE,
  CONTROL | SPACE, CONTROL | SPACE, CONTROL, CONTROL, X4(CONTROL), X4(CONTROL), X4(CONTROL),
  X4(CONTROL), SPACE, PUNCTUATION, PUNCTUATION, PUNCTUATION, X4(PUNCTUATION), X4(PUNCTUATION),
  X4(PUNCTUATION), X4(DIGIT | HEXADECIMAL), X4(DIGIT | HEXADECIMAL), DIGIT | HEXADECIMAL,
  DIGIT | HEXADECIMAL, PUNCTUATION, PUNCTUATION, X4(PUNCTUATION), PUNCTUATION,
  X4(UPPER | HEXADECIMAL), UPPER | HEXADECIMAL, UPPER | HEXADECIMAL, UPPER, X4(UPPER), X4(UPPER),
  X4(UPPER), X4(UPPER), UPPER, UPPER, UPPER, PUNCTUATION, X4(PUNCTUATION), PUNCTUATION,
  X4(LOWER | HEXADECIMAL), LOWER | HEXADECIMAL, LOWER | HEXADECIMAL, LOWER, X4(LOWER), X4(LOWER),
  X4(LOWER), X4(LOWER), LOWER, LOWER, LOWER, X4(PUNCTUATION), CONTROL,
};
#undef X4
// clang-format on

// What %letter stands for, from 'a' on; 0: the letter itself.
static const unsigned char class_of_letter[26] = {
  ['a' - 'a'] = LOWER | UPPER,
  ['c' - 'a'] = CONTROL,
  ['d' - 'a'] = DIGIT,
  ['g' - 'a'] = LOWER | UPPER | DIGIT | PUNCTUATION,
  ['l' - 'a'] = LOWER,
  ['p' - 'a'] = PUNCTUATION,
  ['s' - 'a'] = SPACE,
  ['u' - 'a'] = UPPER,
  ['w' - 'a'] = LOWER | UPPER | DIGIT,
  ['x' - 'a'] = HEXADECIMAL,
};

// The class of %letter, or 0.
static inline int class_of(unsigned char letter)
{
  unsigned index = (unsigned)(letter | 0x20) - 'a';
  return letter >= 'A' && index < 26 ? class_of_letter[index] : 0;
}

// Whether the character is what %letter stands for.
static inline bool is_in_class(unsigned char c, unsigned char letter)
{
  int class = class_of(letter);
  if (class != 0)
    return ((classes[c] & class) != 0) == ((letter & 0x20) != 0);
  if (letter == 'z' || letter == 'Z')
    return (c == 0) == (letter == 'z');
  return c == letter;
}

// The end of the single-character item at p: a character, %x or [set].
static const char *item_end(const Match *m, const char *p)
{
  if (*p == '%') {
    if (p + 1 == m->pattern_end)
      match_raise(m, "malformed pattern (ends with '%')");
    return p + 2;
  }
  if (*p != '[')
    return p + 1;
  p++;
  if (*p == '^')
    p++;
  for (bool is_first = true; is_first || *p != ']'; is_first = false) { // []] has a ']'
    if (p == m->pattern_end)
      match_raise(m, "malformed pattern (missing ']')");
    if (*p++ == '%' && p < m->pattern_end)
      p++;
  }
  return p + 1;
}

// Whether the set from '[' at p to ']' at `last` has the character.
static bool is_in_set(unsigned char c, const char *p, const char *last)
{
  bool is_wanted = true;
  p++;
  if (*p == '^') {
    is_wanted = false;
    p++;
  }
  while (p < last) {
    if (*p == '%') {
      if (is_in_class(c, (unsigned char)p[1]))
        return is_wanted;
      p += 2;
    } else if (p[1] == '-' && p + 2 < last) {
      if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
        return is_wanted;
      p += 3;
    } else {
      if ((unsigned char)*p == c)
        return is_wanted;
      p++;
    }
  }
  return !is_wanted;
}

static inline bool fits(const char *s, const char *p, const char *end)
{
  unsigned char c = (unsigned char)*s;
  switch (*p) {
  case '.':
    return true;
  case '%':
    return is_in_class(c, (unsigned char)p[1]);
  case '[':
    return is_in_set(c, p, end - 1);
  default:
    return c == (unsigned char)*p;
  }
}

// --- repetitions ---------------------------------------------------------------------------------

// The end of the run of what fits the item, from s on.
static const char *run_end(const Match *m, const char *s, const char *p, const char *end)
{
  const char *last = m->subject_end;
  int class = *p == '%' ? class_of((unsigned char)p[1]) : 0;
  bool is_wanted = (p[1] & 0x20) != 0;
  if (*p == '.')
    return last;
  if (class != 0) {
    while (s < last && ((classes[(unsigned char)*s] & class) != 0) == is_wanted)
      s++;
  } else {
    while (s < last && fits(s, p, end))
      s++;
  }
  return s;
}

// As many as there are, then one less and one less. The item is at p, what comes behind it at rest.
static const char *most(Match *m, const char *s, const char *p, const char *end, const char *rest)
{
  const char *last = run_end(m, s, p, end), *found;
  walk(m, last - s);
  if (rest == m->pattern_end && m->depth < MAX_DEPTH)
    return last;
  for (; last >= s; last--) {
    step(m);
    found = follow(m, last, rest);
    if (found)
      return found;
  }
  return NULL;
}

static const char *least(Match *m, const char *s, const char *p, const char *end, const char *rest)
{
  for (;;) {
    const char *found = follow(m, s, rest);
    if (found)
      return found;
    step(m);
    if (s == m->subject_end || !fits(s, p, end))
      return NULL;
    s++;
  }
}

// --- captures ------------------------------------------------------------------------------------

static const char *open_capture(Match *m, const char *s, const char *rest, ptrdiff_t len)
{
  const char *found;
  if (m->count == PATTERN_MAX_CAPTURES)
    match_raise(m, "too many captures");
  m->captures[m->count++] = (Capture){ s, len };
  found = follow(m, s, rest);
  if (!found)
    m->count--;
  return found;
}

static const char *close_capture(Match *m, const char *s, const char *rest)
{
  const char *found;
  int i = m->count - 1;
  while (i >= 0 && m->captures[i].len != CAPTURE_IS_OPEN)
    i--;
  if (i < 0)
    match_raise(m, "invalid pattern capture");
  m->captures[i].len = s - m->captures[i].start;
  found = follow(m, s, rest);
  if (!found)
    m->captures[i].len = CAPTURE_IS_OPEN;
  return found;
}

// %1 in a pattern: the same bytes again.
static const char *repeat_capture(Match *m, const char *s, char digit)
{
  int i = digit - '1';
  ptrdiff_t len;
  if (i < 0 || i >= m->count || m->captures[i].len == CAPTURE_IS_OPEN)
    match_raise(m, "invalid capture index");
  len = m->captures[i].len;
  if (len < 0 || m->subject_end - s < len) // a position is as long as nothing
    return NULL;
  walk(m, len / 16);
  return memcmp(s, m->captures[i].start, (size_t)len) == 0 ? s + len : NULL;
}

// --- %b and %f -----------------------------------------------------------------------------------

// %bxy, its letters at p: from an x to the y that belongs to it.
static const char *balance(Match *m, const char *s, const char *p)
{
  const char opens = p[0], closes = p[1], *at = s;
  ptrdiff_t depth = 1;
  if (m->pattern_end - p < 2)
    match_raise(m, "unbalanced pattern");
  if (s == m->subject_end || *s != opens)
    return NULL;
  while (++at < m->subject_end) {
    if (*at == closes) {
      if (--depth == 0)
        break;
    } else if (*at == opens) {
      depth++;
    }
  }
  walk(m, at - s);
  return at < m->subject_end ? at + 1 : NULL;
}

// %f[set], the set from p to end: between a character that is not in it and one that is.
static bool is_frontier(const Match *m, const char *s, const char *p, const char *end)
{
  unsigned char before = s == m->subject ? 0 : (unsigned char)s[-1];
  return !is_in_set(before, p, end - 1) && is_in_set((unsigned char)*s, p, end - 1);
}

// --- the pattern ---------------------------------------------------------------------------------

// What begins with '%' at *p and is no single character. True: it was that, *s (NULL: no match) and
// *p are behind it.
static bool follow_special(Match *m, const char **s, const char **p)
{
  const char *end;
  switch ((*p)[1]) {
  case 'b':
    *s = balance(m, *s, *p + 2);
    *p += 4;
    return true;
  case 'f':
    *p += 2;
    if (**p != '[')
      match_raise(m, "missing '[' after '%f' in pattern");
    end = item_end(m, *p);
    if (!is_frontier(m, *s, *p, end))
      *s = NULL;
    *p = end;
    return true;
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    *s = repeat_capture(m, *s, (*p)[1]);
    *p += 2;
    return true;
  default:
    return false;
  }
}

// What follows from p on, at s. Steps over what has one way only; the rest is the callees'.
static const char *follow_items(Match *m, const char *s, const char *p)
{
  const char *end, *found;
  while (p < m->pattern_end) {
    step(m);
    if (*p == '(') {
      if (p[1] == ')')
        return open_capture(m, s, p + 2, CAPTURE_IS_POSITION);
      return open_capture(m, s, p + 1, CAPTURE_IS_OPEN);
    }
    if (*p == ')')
      return close_capture(m, s, p + 1);
    if (*p == '$' && p + 1 == m->pattern_end)
      return s == m->subject_end ? s : NULL;
    if (*p == '%' && follow_special(m, &s, &p)) {
      if (!s)
        return NULL;
      continue;
    }
    end = item_end(m, p);
    switch (*end) {
    case '*':
      return most(m, s, p, end, end + 1);
    case '+':
      return s < m->subject_end && fits(s, p, end) ? most(m, s + 1, p, end, end + 1) : NULL;
    case '-':
      return least(m, s, p, end, end + 1);
    case '?':
      if (s < m->subject_end && fits(s, p, end)) {
        found = follow(m, s + 1, end + 1);
        if (found)
          return found;
      }
      p = end + 1;
      continue;
    default:
      if (s == m->subject_end || !fits(s, p, end))
        return NULL;
      s++;
      p = end;
    }
  }
  return s;
}

static const char *follow(Match *m, const char *s, const char *p)
{
  const char *found;
  if (++m->depth > MAX_DEPTH)
    match_raise(m, "pattern too complex");
  found = follow_items(m, s, p);
  m->depth--;
  return found;
}

bool pattern_is_plain(const char *pattern, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (classes[(unsigned char)pattern[i]] & PUNCTUATION && strchr("^$*+?.([%-", pattern[i]))
      return false;
  }
  return true;
}

const char *match_at(Match *match, const char *pattern, const char *at)
{
  match->count = match->depth = 0;
  return follow(match, at, pattern);
}

// The single-character item that every match starts with; *end is behind it. NULL: none, or it may
// be left out.
static const char *first_item(const Match *m, const char *p, const char **end)
{
  if (!fast_paths_are_on())
    return NULL;
  if (*p == '(' && p[1] != ')')
    p++;
  if (p == m->pattern_end || *p == '(' || *p == ')' || *p == '$')
    return NULL;
  if (*p == '%' && (p[1] == 'b' || p[1] == 'f' || classes[(unsigned char)p[1]] & DIGIT))
    return NULL;
  *end = item_end(m, p);
  return **end == '*' || **end == '?' || **end == '-' ? NULL : p;
}

// Where the item is found next, or NULL.
static const char *find_item(Match *m, const char *s, const char *item, const char *end)
{
  const char *last = m->subject_end, *at = s;
  bool is_escaped = *item == '%' && classes[(unsigned char)item[1]] & PUNCTUATION;
  if (is_escaped || (*item != '%' && *item != '[' && *item != '.')) {
    at = memchr(s, item[is_escaped], (size_t)(last - s));
    walk(m, ((at ? at : last) - s) / 16);
    return at;
  }
  while (at < last && !fits(at, item, end))
    at++;
  walk(m, at - s);
  return at < last ? at : NULL;
}

const char *match_search(Match *match, const char *pattern, const char **at)
{
  const char *s, *item_last = NULL, *item = first_item(match, pattern, &item_last), *end;
  for (s = *at; s <= match->subject_end; s++) {
    if (item) {
      s = find_item(match, s, item, item_last);
      if (!s)
        return NULL;
    }
    step(match);
    end = match_at(match, pattern, s);
    if (end) {
      *at = s;
      return end;
    }
  }
  return NULL;
}

void match_push_capture(Match *match, int index, const char *start, const char *end)
{
  const Capture *capture = &match->captures[index];
  if (index >= match->count) {
    if (index > 0)
      match_raise(match, "invalid capture index");
    lua_pushlstring(match->L, start, (size_t)(end - start));
  } else if (capture->len == CAPTURE_IS_POSITION) {
    lua_pushinteger(match->L, capture->start - match->subject + 1);
  } else if (capture->len == CAPTURE_IS_OPEN) {
    match_raise(match, "unfinished capture");
  } else {
    lua_pushlstring(match->L, capture->start, (size_t)capture->len);
  }
}

int match_push_captures(Match *match, const char *start, const char *end, bool is_whole)
{
  int i, count = match->count == 0 && is_whole ? 1 : match->count;
  luaL_checkstack(match->L, count, "too many captures");
  for (i = 0; i < count; i++)
    match_push_capture(match, i, start, end);
  return count;
}
