// See random.h.
#include "random.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static void fill_from_kernel(void *bytes, size_t len)
{
  if (uv_random(NULL, NULL, bytes, len, 0, NULL) != 0)
    abort(); // no source of secrets: nothing safe can be done
}

RandomSource random_source = { fill_from_kernel };

void random_base32(char *text, size_t len)
{
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  size_t i;
  random_source.fill(text, len);
  for (i = 0; i < len; i++)
    text[i] = alphabet[(unsigned char)text[i] & 31]; // 32 divides 256: uniform
  text[len] = '\0';
}

void random_uuid(char text[37])
{
  uint8_t b[16];
  random_source.fill(b, sizeof b);
  b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
  b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
  snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
           b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
           b[15]);
}
