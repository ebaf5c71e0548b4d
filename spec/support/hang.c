// Preloaded into a host by specs: hashing the bytes "hang now" never ends, as if it waited for a
// lock; "spin now" neither, and takes all the processor time that there is; "crash now" ends in a
// fault of the process's own. As a C function that a plugin calls might.
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;
typedef int Digest(const void *, size_t, unsigned char *, unsigned int *, const EVP_MD *, ENGINE *);

int EVP_Digest(const void *bytes, size_t len, unsigned char *hash, unsigned int *hash_len,
               const EVP_MD *algorithm, ENGINE *engine)
{
  static volatile int turns;
  Digest *digest;
  *(void **)&digest = dlsym(RTLD_NEXT, "EVP_Digest");
  while (len == 8 && memcmp(bytes, "hang now", 8) == 0)
    pause();
  while (len == 8 && memcmp(bytes, "spin now", 8) == 0)
    turns++;
  if (len == 9 && memcmp(bytes, "crash now", 9) == 0)
    *(volatile int *)(size_t)turns = 1;
  return digest(bytes, len, hash, hash_len, algorithm, engine);
}
