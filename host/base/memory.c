// See memory.h.
#include "memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__)
#include <malloc.h>

enum { LARGE_BYTES = 4 * 1024 * 1024 };
#endif

void mem_set_up(void)
{
#if defined(__GLIBC__)
  // Large blocks go back to the system when they are freed. Without this the bound grows with the
  // blocks that are freed, and bodies that came once would be kept for good.
  mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
#endif
}

static void *checked(void *block)
{
  if (block)
    return block;
  fputs("moonhook: out of memory\n", stderr);
  abort();
}

void *mem_alloc(size_t size)
{
  return checked(malloc(size ? size : 1));
}

void *mem_zero(size_t count, size_t size)
{
  return checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *block, size_t size)
{
  return checked(realloc(block, size ? size : 1));
}

char *mem_bytes(const void *bytes, size_t len)
{
  char *copy;
  if (len == SIZE_MAX)
    abort();
  copy = mem_alloc(len + 1);
  if (len)
    memcpy(copy, bytes, len);
  copy[len] = '\0';
  return copy;
}

char *mem_string(const char *text)
{
  return text ? mem_bytes(text, strlen(text)) : NULL;
}

void mem_free(void *block)
{
  free(block);
}
