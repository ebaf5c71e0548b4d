// Random bytes from the kernel, and identifiers made of them.
#ifndef MOONHOOK_BASE_RANDOM_H
#define MOONHOOK_BASE_RANDOM_H

#include <stddef.h>

enum { HOOK_ID_LEN = 26 };

// Replaceable by a spec; the default reads getrandom.
typedef struct {
  void (*fill)(void *bytes, size_t len);
} RandomSource;
extern RandomSource random_source;

void random_base32(char *text, size_t len); // `len` characters of [a-z2-7], and a NUL
void random_uuid(char text[37]);            // version 4, lower case, and a NUL

#endif
