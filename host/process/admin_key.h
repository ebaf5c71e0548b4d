// The key of the admin API: a file that holds it, for its owner alone. Only a hash of it is kept.
#ifndef MOONHOOK_PROCESS_ADMIN_KEY_H
#define MOONHOOK_PROCESS_ADMIN_KEY_H

#include <stdbool.h>

#include "../base/buffer.h"
#include "../base/digest.h"
#include "../base/error.h"

enum { ADMIN_KEY_LEAST = 16, ADMIN_KEY_MOST = 512 };

typedef struct {
  unsigned char hash[DIGEST_BYTES];
} AdminKey;

// Reads the file. With may_make one that is absent is made with a random key, and `*is_made` says
// so. Refused, with a text that names the file: others may read it; the key is empty, shorter than
// ADMIN_KEY_LEAST, longer than ADMIN_KEY_MOST, has blanks or controls in it, or is one that
// everybody tries.
int admin_key_open(const char *path, bool may_make, AdminKey *key, bool *is_made, Err *err);
// Whether this is the key; takes the same time whatever is wrong with it.
bool admin_key_is(const AdminKey *key, Span given);

#endif
