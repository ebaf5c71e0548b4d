// See admin_key.h.
#include "admin_key.h"

#include <ctype.h>
#include <uv.h>

#include "../base/private_file.h"
#include "../base/random.h"

enum { FRESH_LEN = 40, MAX_FILE_BYTES = 4096 };

// Words that stand in examples and in everybody's list of first guesses. A key that is one of them,
// or repeats one, is none.
static const char *const weak_words[] = { "changeme", "password", "secret",    "admin", "moonhook",
                                          "default",  "example",  "letmein",   "test",  "12345678",
                                          "qwerty",   "adminkey", "myadminkey" };

// Whether the key's letters and digits are nothing but this word, over and over.
static bool repeats(Span key, const char *word)
{
  size_t len = strlen(word), i, seen = 0;
  for (i = 0; i < key.len; i++) {
    if (!isalnum((unsigned char)key.at[i]))
      continue;
    if (tolower((unsigned char)key.at[i]) != word[seen++ % len])
      return false;
  }
  return true;
}

static bool is_weak(Span key)
{
  bool seen[256] = { false };
  size_t i, kinds = 0;
  for (i = 0; i < key.len; i++) {
    kinds += !seen[(unsigned char)key.at[i]];
    seen[(unsigned char)key.at[i]] = true;
  }
  for (i = 0; i < sizeof weak_words / sizeof *weak_words; i++) {
    if (repeats(key, weak_words[i]))
      return true;
  }
  return kinds < 5;
}

static int check(const char *path, Span key, Err *err)
{
  size_t i;
  if (key.len == 0)
    return err_set(err, UV_EINVAL, "%s: the admin key is empty", path);
  for (i = 0; i < key.len; i++) {
    if (key.at[i] <= ' ' || key.at[i] >= 0x7f)
      return err_set(err, UV_EINVAL,
                     "%s: expected an admin key of printable ASCII characters without blanks",
                     path);
  }
  if (key.len < ADMIN_KEY_LEAST || key.len > ADMIN_KEY_MOST)
    return err_set(err, UV_EINVAL, "%s: expected an admin key of %d to %d characters, got %zu",
                   path, ADMIN_KEY_LEAST, ADMIN_KEY_MOST, key.len);
  if (is_weak(key))
    return err_set(err, UV_EINVAL,
                   "%s: the admin key can be guessed; remove the file, and a good one is made",
                   path);
  return 0;
}

static int make(const char *path, Buffer *text, Err *err)
{
  char key[FRESH_LEN + 2];
  int rc;
  random_base32(key, FRESH_LEN);
  key[FRESH_LEN] = '\n';
  rc = private_file_write(path, (Span){ key, FRESH_LEN + 1 }, err);
  if (rc == 0)
    buffer_append(text, key, FRESH_LEN + 1);
  digest_forget(key, sizeof key);
  return rc;
}

int admin_key_open(const char *path, bool may_make, AdminKey *key, bool *is_made, Err *err)
{
  Buffer text = { 0 };
  Span found;
  int rc;
  *is_made = false;
  buffer_reserve(&text, 2 * MAX_FILE_BYTES); // it must not move, and leave a copy behind
  rc = private_file_read(path, MAX_FILE_BYTES, &text, err);
  if (rc == UV_ENOENT && may_make) {
    rc = make(path, &text, err);
    *is_made = rc == 0;
  }
  found = (Span){ text.bytes, text.len };
  while (found.len > 0 && isspace((unsigned char)found.at[found.len - 1]))
    found.len--;
  if (rc == 0)
    rc = check(path, found, err);
  if (rc == 0)
    digest_of(found.at, found.len, key->hash);
  digest_forget(text.bytes, text.cap);
  buffer_free(&text);
  return rc;
}

bool admin_key_is(const AdminKey *key, Span given)
{
  unsigned char hash[DIGEST_BYTES];
  digest_of(given.at ? given.at : "", given.len, hash);
  return digest_is_same(hash, key->hash);
}
