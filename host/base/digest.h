// SHA-256, by libsodium: that needs no preparation, where OpenSSL's takes milliseconds of a start.
#ifndef MOONHOOK_BASE_DIGEST_H
#define MOONHOOK_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

enum { DIGEST_BYTES = 32 };

void digest_of(const void *bytes, size_t len, unsigned char out[DIGEST_BYTES]);
// In a time that does not depend on where they differ.
bool digest_is_same(const unsigned char a[DIGEST_BYTES], const unsigned char b[DIGEST_BYTES]);
void digest_forget(void *secret, size_t len); // overwrites it, for certain

#endif
