// What must not be read in the log: texts that are known to be secret, wherever they turn up, and
// what looks like one. The log masks the former in every record (log.h); who logs what a plugin
// wrote masks the latter, too (docs/decisions/0033-masking-in-the-log.md).
#ifndef MOONHOOK_BASE_MASK_H
#define MOONHOOK_BASE_MASK_H

#include <stdbool.h>

#include "buffer.h"

// Shorter texts are words that others may say; longer ones are found by their beginning.
enum { MASK_LEAST = 8, MASK_MOST = 4096 };
#define MASK "********"

// Counted: a text is masked until it was forgotten as often as it was added. Its form within JSON
// is masked as well. For log.c alone, which has the lock; others call log_hide and log_show.
void mask_add(Span secret);
void mask_forget(Span secret);
bool mask_is_empty(void);
bool mask_finds(Span text); // there is a secret in it
// Appends `text` with every secret masked; false, and nothing appended, when there is none.
bool mask_secrets(Span text, Buffer *out);

// Overwrites with '*' what looks secret: a hook id behind "/e/" or anywhere a random one, and what
// follows "Bearer " or "Basic ".
void mask_shapes(char *text, size_t len);
// Whether a field of this name holds a secret: authorization, cookie, password, api_key ...
bool mask_is_secret_name(const char *name);

#endif
