// See secrets.h. The key file: a line of comment, then a line "ID BASE64" per key, the sealing one
// first.
#include "secrets.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "../base/memory.h"
#include "../base/private_file.h"
#include "../base/random.h"

enum {
  KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
  NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
  TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
  BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
  MAX_KEYS = 32,
  MAX_FILE_BYTES = 16 * 1024
};

typedef struct {
  char id[SECRET_KEY_ID_LEN + 1];
  unsigned char bytes[KEY_BYTES];
} Key;

struct Secrets {
  char *path;
  Key keys[MAX_KEYS];
  uint32_t count; // at least 1
};

// --- the file ------------------------------------------------------------------------------------

static bool read_key(const char *line, size_t len, Key *key)
{
  size_t bytes = 0;
  if (len < SECRET_KEY_ID_LEN + 2 || line[SECRET_KEY_ID_LEN] != ' ' ||
      strspn(line, "abcdefghijklmnopqrstuvwxyz234567") != SECRET_KEY_ID_LEN)
    return false;
  memcpy(key->id, line, SECRET_KEY_ID_LEN);
  key->id[SECRET_KEY_ID_LEN] = '\0';
  return sodium_base642bin(key->bytes, KEY_BYTES, line + SECRET_KEY_ID_LEN + 1,
                           len - SECRET_KEY_ID_LEN - 1, NULL, &bytes, NULL, BASE64) == 0 &&
         bytes == KEY_BYTES;
}

static int parse(const char *path, const char *text, Key *keys, uint32_t *count, Err *err)
{
  const char *at = text;
  int line = 1;
  *count = 0;
  for (; *at; line++) {
    size_t len = strcspn(at, "\n");
    if (len > 0 && *at != '#') {
      if (*count == MAX_KEYS)
        return err_set(err, UV_EINVAL, "%s:%d: expected at most %d keys", path, line, MAX_KEYS);
      if (!read_key(at, len, &keys[*count]))
        return err_set(err, UV_EINVAL, "%s:%d: expected a key, \"ID BASE64\"", path, line);
      ++*count;
    }
    at += len + (at[len] == '\n');
  }
  return *count > 0 ? 0 : err_set(err, UV_EINVAL, "%s: there is no key in the key file", path);
}

static void wipe(Buffer *buffer)
{
  if (buffer->bytes)
    sodium_memzero(buffer->bytes, buffer->cap);
  buffer_free(buffer);
}

static int load(Secrets *secrets, Err *err)
{
  Buffer text = { 0 };
  Key keys[MAX_KEYS];
  uint32_t count = 0;
  int rc;
  buffer_reserve(&text, MAX_FILE_BYTES + 8192); // it must not move, and leave a copy behind
  rc = private_file_read(secrets->path, MAX_FILE_BYTES, &text, err);
  if (rc == 0)
    rc = parse(secrets->path, text.bytes, keys, &count, err);
  if (rc == 0) {
    memcpy(secrets->keys, keys, sizeof keys);
    secrets->count = count;
  }
  sodium_memzero(keys, sizeof keys);
  wipe(&text);
  return rc;
}

static int save(const char *path, const Key *keys, uint32_t count, Err *err)
{
  Buffer text = { 0 };
  uint32_t i;
  int rc;
  buffer_reserve(&text, MAX_FILE_BYTES);
  buffer_string(&text, "# Keys of secret settings, the first one seals. Lost keys cannot be made "
                       "again: back this file up.\n");
  for (i = 0; i < count; i++) {
    char encoded[sodium_base64_ENCODED_LEN(KEY_BYTES, BASE64)];
    sodium_bin2base64(encoded, sizeof encoded, keys[i].bytes, KEY_BYTES, BASE64);
    buffer_printf(&text, "%s %s\n", keys[i].id, encoded);
    sodium_memzero(encoded, sizeof encoded);
  }
  rc = private_file_write(path, (Span){ text.bytes, text.len }, err);
  wipe(&text);
  return rc;
}

static void fresh_key(Key *key)
{
  random_base32(key->id, SECRET_KEY_ID_LEN);
  random_source.fill(key->bytes, KEY_BYTES);
}

// --- opening and closing -------------------------------------------------------------------------

Secrets *secrets_open(const char *data_dir, bool may_make, Err *err)
{
  Secrets *secrets = mem_zero(1, sizeof *secrets);
  Buffer path = { 0 };
  int rc;
  if (sodium_init() < 0)
    abort(); // no source of random numbers
  buffer_printf(&path, "%s/secrets.key", data_dir);
  secrets->path = buffer_take(&path);
  rc = load(secrets, err);
  if (rc == UV_ENOENT && may_make) {
    fresh_key(&secrets->keys[0]);
    secrets->count = 1;
    rc = save(secrets->path, secrets->keys, 1, err);
  }
  if (rc == 0)
    return secrets;
  secrets_close(secrets);
  return NULL;
}

void secrets_close(Secrets *secrets)
{
  if (!secrets)
    return;
  sodium_memzero(secrets->keys, sizeof secrets->keys);
  mem_free(secrets->path);
  mem_free(secrets);
}

const char *secrets_key_id(const Secrets *secrets)
{
  return secrets->keys[0].id;
}

// --- sealing -------------------------------------------------------------------------------------

void secrets_seal(const Secrets *secrets, const char *context, Span text, Buffer *out)
{
  size_t room = NONCE_BYTES + text.len + TAG_BYTES;
  unsigned char *sealed = mem_alloc(room);
  unsigned long long len = 0;
  size_t encoded = sodium_base64_encoded_len(room, BASE64);
  random_source.fill(sealed, NONCE_BYTES);
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      sealed + NONCE_BYTES, &len, (const unsigned char *)text.at, text.len,
      (const unsigned char *)context, strlen(context), NULL, sealed, secrets->keys[0].bytes);
  buffer_string(out, secrets->keys[0].id);
  buffer_char(out, '.');
  buffer_reserve(out, encoded);
  sodium_bin2base64(out->bytes + out->len, encoded, sealed, room, BASE64);
  out->len += encoded - 1; // without its NUL
  mem_free(sealed);
}

Span secrets_id_of(Span sealed)
{
  size_t i;
  if (sealed.len <= SECRET_KEY_ID_LEN || sealed.at[SECRET_KEY_ID_LEN] != '.')
    return (Span){ NULL, 0 };
  for (i = 0; i < SECRET_KEY_ID_LEN; i++) {
    char c = sealed.at[i];
    if (!((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
      return (Span){ NULL, 0 };
  }
  return (Span){ sealed.at, SECRET_KEY_ID_LEN };
}

static const Key *find_key(const Secrets *secrets, Span id)
{
  uint32_t i;
  for (i = 0; i < secrets->count; i++) {
    if (span_is(id, secrets->keys[i].id))
      return &secrets->keys[i];
  }
  return NULL;
}

static int open_sealed(const Key *key, const char *context, Span encoded, Buffer *out, Err *err)
{
  size_t room = encoded.len / 4 * 3 + 3, len = 0;
  unsigned char *bytes = mem_alloc(room);
  unsigned long long text_len = 0;
  int rc = 0;
  if (sodium_base642bin(bytes, room, encoded.at, encoded.len, NULL, &len, NULL, BASE64) != 0 ||
      len < NONCE_BYTES + TAG_BYTES) {
    rc = err_set(err, UV_EINVAL, "a sealed secret is damaged");
  } else {
    buffer_reserve(out, len);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)out->bytes + out->len, &text_len, NULL, bytes + NONCE_BYTES,
            len - NONCE_BYTES, (const unsigned char *)context, strlen(context), bytes,
            key->bytes) != 0)
      rc = err_set(err, UV_EINVAL, "a sealed secret is damaged, or is another setting's");
    else
      out->len += (size_t)text_len;
    out->bytes[out->len] = '\0';
  }
  mem_free(bytes);
  return rc;
}

int secrets_unseal(Secrets *secrets, const char *context, Span sealed, Buffer *out, Err *err)
{
  Span id = secrets_id_of(sealed);
  const Key *key;
  if (!id.at)
    return err_set(err, UV_EINVAL, "a sealed secret is damaged");
  key = find_key(secrets, id);
  if (!key && load(secrets, NULL) == 0)
    key = find_key(secrets, id);
  if (!key)
    return err_set(err, UV_ENOENT, "%s has no key with the id %.*s", secrets->path, (int)id.len,
                   id.at);
  return open_sealed(
      key, context, (Span){ sealed.at + SECRET_KEY_ID_LEN + 1, sealed.len - SECRET_KEY_ID_LEN - 1 },
      out, err);
}

// --- rotation ------------------------------------------------------------------------------------

int secrets_rotate(Secrets *secrets, Err *err)
{
  Key keys[MAX_KEYS];
  uint32_t count = secrets->count < MAX_KEYS ? secrets->count + 1 : MAX_KEYS;
  int rc;
  fresh_key(&keys[0]);
  memcpy(&keys[1], secrets->keys, (count - 1) * sizeof *keys);
  rc = save(secrets->path, keys, count, err);
  if (rc == 0) {
    memcpy(secrets->keys, keys, count * sizeof *keys);
    secrets->count = count;
  }
  sodium_memzero(keys, sizeof keys);
  return rc;
}

int secrets_forget_old(Secrets *secrets, Err *err)
{
  int rc = secrets->count > 1 ? save(secrets->path, secrets->keys, 1, err) : 0;
  if (rc < 0)
    return rc;
  sodium_memzero(&secrets->keys[1], (MAX_KEYS - 1) * sizeof *secrets->keys);
  secrets->count = 1;
  return 0;
}
