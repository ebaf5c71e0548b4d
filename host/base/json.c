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

// Writes digits of which the last `places` stand behind the point.
static size_t write_decimal(char *out, bool is_negative, uint64_t digits, size_t places)
{
  char text[32], *end = text + sizeof text, *at = put_digits(end, digits);
  size_t len = 0;
  while ((size_t)(end - at) <= places) // a digit stands before the point
    *--at = '0';
  if (is_negative)
    out[len++] = '-';
  memcpy(out + len, at, (size_t)(end - at) - places);
  len += (size_t)(end - at) - places;
  out[len++] = '.';
  memcpy(out + len, end - places, places);
  len += places;
  out[len] = '\0';
  return len;
}

// Numbers between 1e-4 and 1e15 that a decimal of at most 15 digits says. The whole number and the
// power of ten are exact, so their quotient is the double nearest to that decimal. 0: another one.
static size_t write_short(char *out, double number)
{
  static const double powers[] = { 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9, 1e10,
                                   1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19 };
  double size = fabs(number);
  size_t places;
  for (places = 1;; places++) {
    double whole = rint(size * powers[places - 1]);
    if (whole >= 1e15)
      return 0;
    if (whole / powers[places - 1] == size)
      return write_decimal(out, number < 0, (uint64_t)whole, places);
  }
}

__extension__ typedef unsigned __int128 Wide;

// The same with 16 or 17 digits, in whole numbers: the number is m / 2^shift with m below 2^53, so
// its digits are m * 10^places / 2^shift. With 17 of them every double is told from its neighbours;
// 16 do if the rest that was rounded off is less than half of the way to one.
static size_t write_long(char *out, double number)
{
  int exponent;
  uint64_t m = (uint64_t)ldexp(frexp(fabs(number), &exponent), 53);
  unsigned shift = (unsigned)(53 - exponent); // 3 to 66
  size_t places = 0, digits;
  Wide power = 1, whole, off;
  uint64_t least = 1000000000000000u; // of 16 digits
  while ((uint64_t)(m * power >> shift) < least) {
    power *= 10;
    places++;
  }
  for (digits = 16;; digits++) {
    Wide exact = m * power, half = (Wide)1 << (shift - 1);
    whole = (exact + half) >> shift;
    if (exact + half == whole << shift && whole % 2 == 1)
      whole--; // a tie: the even one
    off = whole << shift > exact ? (whole << shift) - exact : exact - (whole << shift);
    // Below a power of two the neighbour is half as far.
    if (digits == 17 || off * (m == (uint64_t)1 << 52 ? 4 : 2) < power)
      break;
    power *= 10;
    places++;
  }
  while (whole % 10 == 0) {
    whole /= 10;
    places--;
  }
  return write_decimal(out, number < 0, (uint64_t)whole, places);
}

size_t json_plain_end(const char *text, size_t i, size_t len)
{
  size_t at = len >= 8 ? len - 8 : i; // some of them once more
  uint64_t odd = json_odd_bytes(json_load(text + at, len - at));
  if (!odd)
    return len;
  return JSON_IS_LITTLE ? at + (size_t)__builtin_ctzll(odd) / 8 : i;
}

size_t json_write_number(char out[JSON_NUMBER_BYTES], double number)
{
  size_t short_len;
  int places, len = 0;
  if (fabs(number) <= MAX_WHOLE && number == floor(number) && (number != 0 || !signbit(number))) {
    char digits[24], *end = digits + sizeof digits;
    char *at = put_digits(end, (uint64_t)fabs(number));
    if (number < 0)
      *--at = '-';
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    return (size_t)(end - at);
  }
  if (fabs(number) >= 1e-4 && fabs(number) < 1e15 && fast_paths_are_on()) {
    short_len = write_short(out, number);
    return short_len > 0 ? short_len : write_long(out, number);
  }
  for (places = 15; places <= 17; places++) {
    len = snprintf(out, JSON_NUMBER_BYTES, "%.*g", places, number);
    if (strtod(out, NULL) == number)
      break;
  }
  return (size_t)len;
}
