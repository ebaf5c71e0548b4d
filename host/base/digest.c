// See digest.h.
#include "digest.h"

#include <assert.h>
#include <sodium.h>

static_assert(DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void digest_of(const void *bytes, size_t len, unsigned char out[DIGEST_BYTES])
{
  crypto_hash_sha256(out, bytes, len);
}

bool digest_is_same(const unsigned char a[DIGEST_BYTES], const unsigned char b[DIGEST_BYTES])
{
  return sodium_memcmp(a, b, DIGEST_BYTES) == 0;
}

void digest_forget(void *secret, size_t len)
{
  sodium_memzero(secret, len);
}
