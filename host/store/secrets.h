// Sealing what must not stand readable in the database: secret settings. The keys are in one file
// of the data folder, DATA/secrets.key (mode 0600); each has an id, the first one seals, the others
// only unseal what was sealed before a rotation. XChaCha20-Poly1305 of libsodium; what is sealed is
// bound to its context (which endpoint, which setting), so that a row cannot borrow another's.
//
// A sealed text is printable, "KEYID.BASE64", and needs no escaping in JSON.
#ifndef MOONHOOK_STORE_SECRETS_H
#define MOONHOOK_STORE_SECRETS_H

#include <stdbool.h>

#include "../base/buffer.h"
#include "../base/error.h"

typedef struct Secrets Secrets;

enum { SECRET_KEY_ID_LEN = 8, SECRET_MAX_BYTES = 1024 * 1024 };

// Reads the key file. With may_make a file that is absent is made with a fresh key; else that is
// UV_ENOENT. Refused with a text that names the file: others may read it, it is damaged.
Secrets *secrets_open(const char *data_dir, bool may_make, Err *err);
void secrets_close(Secrets *secrets); // wipes the keys; NULL is fine

const char *secrets_key_id(const Secrets *secrets); // of the key that seals

// Appends the sealed form of `text` (at most SECRET_MAX_BYTES) to `out`.
void secrets_seal(const Secrets *secrets, const char *context, Span text, Buffer *out);
// Appends the text. UV_ENOENT: no such key ("key id abcd2345"), UV_EINVAL: damaged, or of another
// context. Reads the key file again when the id is unknown, as another process may have rotated.
int secrets_unseal(Secrets *secrets, const char *context, Span sealed, Buffer *out, Err *err);
// The key id of a sealed text, as a borrowed part of it; `at` NULL: not sealed text.
Span secrets_id_of(Span sealed);

// Makes a fresh key, writes it to the file as the first, and seals with it from now on. What was
// sealed before can still be unsealed.
int secrets_rotate(Secrets *secrets, Err *err);
// Forgets every key but the first, in the file too: after all was sealed anew.
int secrets_forget_old(Secrets *secrets, Err *err);

#endif
