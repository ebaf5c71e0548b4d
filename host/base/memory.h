// The host's own memory. A host that cannot get memory for itself cannot keep a promise: it says so
// on stderr and aborts, and its supervisor starts a fresh one (docs/decisions/0002-crash-only.md).
// So none of these returns NULL. Plugins' memory is another matter: see script/state.h.
#ifndef MOONHOOK_BASE_MEMORY_H
#define MOONHOOK_BASE_MEMORY_H

#include <stddef.h>

void mem_set_up(void);                     // first in a program
void *mem_alloc(size_t size);              // not cleared
void *mem_zero(size_t count, size_t size); // cleared; overflow of the product aborts
void *mem_resize(void *block, size_t size);
char *mem_string(const char *text);             // a copy; NULL gives NULL
char *mem_bytes(const void *bytes, size_t len); // a copy with a NUL after it
void mem_free(void *block);                     // NULL is fine

#endif
