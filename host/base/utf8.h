// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef MOONHOOK_BASE_UTF8_H
#define MOONHOOK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

size_t utf8_length(const char *text, size_t len); // bytes of the first character, 0 when invalid
size_t utf8_write(char *out, unsigned code);      // at most 4 bytes; returns how many
bool utf8_is_valid(const char *text, size_t len);

#endif
