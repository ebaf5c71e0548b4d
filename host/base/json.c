// See json.h; the checker is in json_scan.c.
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fast_paths.h"

#define MAX_WHOLE 9007199254740992.0 // 2^53: each whole number up to it is a double

static char *put_digits(char *end, uint64_t number)
{
  do
    *--end = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return end;
}

// A number from 1e-4 to below 1e15 that a decimal of at most 15 digits says. The whole number and
// the power of ten are exact, so their quotient is the double nearest to that decimal. 0: another
// one.
static size_t write_short(char *out, double number)
{
  static const double powers[] = { 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9, 1e10,
                                   1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19 };
  double size = fabs(number);
  size_t places, len;
  char digits[24], *end = digits + sizeof digits, *at;
  for (places = 1;; places++) {
    double whole = rint(size * powers[places - 1]);
    if (whole >= 1e15)
      return 0;
    if (whole / powers[places - 1] != size)
      continue;
    at = put_digits(end, (uint64_t)whole);
    while ((size_t)(end - at) <= places) // a digit stands before the point
      *--at = '0';
    break;
  }
  len = 0;
  if (number < 0)
    out[len++] = '-';
  memcpy(out + len, at, (size_t)(end - at) - places);
  len += (size_t)(end - at) - places;
  out[len++] = '.';
  memcpy(out + len, end - places, places);
  len += places;
  out[len] = '\0';
  return len;
}

size_t json_write_number(char out[JSON_NUMBER_BYTES], double number)
{
  double size = fabs(number);
  bool is_usual = size >= 1e-4 && size < 1e15 && fast_paths_are_on();
  size_t short_len;
  int places, len = 0;
  if (size <= MAX_WHOLE && number == floor(number) && (number != 0 || !signbit(number))) {
    char digits[24], *end = digits + sizeof digits;
    char *at = put_digits(end, (uint64_t)size);
    if (number < 0)
      *--at = '-';
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    return (size_t)(end - at);
  }
  if (is_usual && (short_len = write_short(out, number)) > 0)
    return short_len;
  for (places = is_usual ? 16 : 15; places <= 17; places++) {
    len = snprintf(out, JSON_NUMBER_BYTES, "%.*g", places, number);
    if (strtod(out, NULL) == number)
      break;
  }
  return (size_t)len;
}
