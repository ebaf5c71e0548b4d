// See bind_crypto.h. Results are made in blocks that belong to the Lua state, so an error may jump
// through; plaintexts and keyed codes in them are wiped once they are copied. Every failure leaves
// OpenSSL's error queue empty: TLS connections of the same thread read it.
#include "bind_crypto.h"

#include <lauxlib.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <string.h>

enum {
  MAX_INPUT_BYTES = INT_MAX / 4, // EVP counts in int
  AES_BLOCK_BYTES = 16,
  GCM_TAG_BYTES = 16,
  MIN_GCM_TAG_BYTES = 12,
  MAX_GCM_IV_BYTES = 128,
  ED25519_KEY_BYTES = 32,
  ED25519_SIGNATURE_BYTES = 64,
};

typedef struct {
  const unsigned char *at;
  size_t len;
} Bytes;

static Bytes check_bytes(lua_State *L, int index)
{
  Bytes bytes;
  bytes.at = (const unsigned char *)luaL_checklstring(L, index, &bytes.len);
  luaL_argcheck(L, bytes.len <= MAX_INPUT_BYTES, index, "too long");
  return bytes;
}

// --- hashes --------------------------------------------------------------------------------------

static const EVP_MD *check_algorithm(lua_State *L, int index)
{
  static const char *const names[] = { "sha1", "sha256", "sha512", NULL };
  switch (luaL_checkoption(L, index, NULL, names)) {
  case 0:
    return EVP_sha1();
  case 1:
    return EVP_sha256();
  default:
    return EVP_sha512();
  }
}

static int not_available(lua_State *L, const EVP_MD *algorithm)
{
  ERR_clear_error();
  return luaL_error(L, "%s is not available", EVP_MD_get0_name(algorithm));
}

static int l_hash(lua_State *L)
{
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int len;
  const EVP_MD *algorithm = check_algorithm(L, 1);
  Bytes bytes = check_bytes(L, 2);
  if (!EVP_Digest(bytes.at, bytes.len, hash, &len, algorithm, NULL))
    return not_available(L, algorithm);
  lua_pushlstring(L, (char *)hash, len);
  return 1;
}

static int l_hmac(lua_State *L)
{
  unsigned char code[EVP_MAX_MD_SIZE];
  unsigned int len;
  const EVP_MD *algorithm = check_algorithm(L, 1);
  Bytes key = check_bytes(L, 2), bytes = check_bytes(L, 3);
  if (!HMAC(algorithm, key.at, (int)key.len, bytes.at, bytes.len, code, &len))
    return not_available(L, algorithm);
  lua_pushlstring(L, (char *)code, len);
  OPENSSL_cleanse(code, sizeof code);
  return 1;
}

// --- AES -----------------------------------------------------------------------------------------

typedef struct {
  const EVP_CIPHER *cipher;
  Bytes key, iv, input, aad;
  unsigned char *tag; // of GCM: written when encrypting, else compared; NULL for CBC
  size_t tag_len;
  bool is_encrypting, is_padded;
} Aes;

static void check_key(lua_State *L, int index, Aes *aes, bool is_gcm)
{
  aes->key = check_bytes(L, index);
  switch (aes->key.len) {
  case 16:
    aes->cipher = is_gcm ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
    return;
  case 24:
    aes->cipher = is_gcm ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
    return;
  case 32:
    aes->cipher = is_gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
    return;
  default:
    luaL_argerror(L, index, "expected 16, 24 or 32 bytes");
  }
}

static bool aes_begin(EVP_CIPHER_CTX *context, const Aes *aes)
{
  int written;
  if (!EVP_CipherInit_ex(context, aes->cipher, NULL, NULL, NULL, aes->is_encrypting))
    return false;
  if (aes->tag && !EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)aes->iv.len, NULL))
    return false;
  if (!EVP_CipherInit_ex(context, NULL, NULL, aes->key.at, aes->iv.at, aes->is_encrypting))
    return false;
  if (aes->tag && !aes->is_encrypting &&
      !EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)aes->tag_len, aes->tag))
    return false;
  if (aes->aad.len > 0 &&
      !EVP_CipherUpdate(context, NULL, &written, aes->aad.at, (int)aes->aad.len))
    return false;
  return EVP_CIPHER_CTX_set_padding(context, aes->is_padded);
}

// Fills `out`, which has a block more than the input. Returns how many bytes, -1 on failure.
static int aes_apply(EVP_CIPHER_CTX *context, const Aes *aes, unsigned char *out)
{
  int written = 0, rest = 0;
  if (!aes_begin(context, aes) ||
      !EVP_CipherUpdate(context, out, &written, aes->input.at, (int)aes->input.len) ||
      !EVP_CipherFinal_ex(context, out + written, &rest))
    return -1;
  if (aes->tag && aes->is_encrypting &&
      !EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)aes->tag_len, aes->tag))
    return -1;
  return written + rest;
}

// Pushes the result. Stack: [...] -> [..., output] or [..., nil, code, message]
static int aes_push(lua_State *L, const Aes *aes)
{
  size_t room = aes->input.len + AES_BLOCK_BYTES;
  unsigned char *out = lua_newuserdata(L, room);
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  int written = context ? aes_apply(context, aes, out) : -1;
  EVP_CIPHER_CTX_free(context); // before anything that may raise; wipes the key
  if (written < 0) {
    ERR_clear_error();
    OPENSSL_cleanse(out, room);
    lua_pushnil(L);
    lua_pushstring(L, aes->is_encrypting ? "encrypt_failed" : "decrypt_failed");
    lua_pushstring(L, aes->is_encrypting ? "it cannot be encrypted" : "it cannot be decrypted");
    return 3;
  }
  lua_pushlstring(L, (char *)out, (size_t)written);
  OPENSSL_cleanse(out, room);
  return 1;
}

static int aes_cbc(lua_State *L, bool is_encrypting)
{
  Aes aes = { .is_encrypting = is_encrypting };
  check_key(L, 1, &aes, false);
  aes.iv = check_bytes(L, 2);
  luaL_argcheck(L, aes.iv.len == AES_BLOCK_BYTES, 2, "expected 16 bytes");
  aes.input = check_bytes(L, 3);
  aes.is_padded = lua_toboolean(L, 4);
  return aes_push(L, &aes);
}

static int l_aes_cbc_encrypt(lua_State *L)
{
  return aes_cbc(L, true);
}

static int l_aes_cbc_decrypt(lua_State *L)
{
  return aes_cbc(L, false);
}

static void check_gcm(lua_State *L, Aes *aes, int aad_index)
{
  check_key(L, 1, aes, true);
  aes->iv = check_bytes(L, 2);
  luaL_argcheck(L, aes->iv.len >= 1 && aes->iv.len <= MAX_GCM_IV_BYTES, 2,
                "expected 1 to 128 bytes");
  aes->input = check_bytes(L, 3);
  if (!lua_isnoneornil(L, aad_index))
    aes->aad = check_bytes(L, aad_index);
}

static int l_aes_gcm_encrypt(lua_State *L)
{
  unsigned char tag[GCM_TAG_BYTES];
  Aes aes = { .is_encrypting = true, .tag = tag, .tag_len = sizeof tag };
  int count;
  check_gcm(L, &aes, 4);
  count = aes_push(L, &aes);
  if (count > 1)
    return count;
  lua_pushlstring(L, (char *)tag, sizeof tag);
  return 2;
}

static int l_aes_gcm_decrypt(lua_State *L)
{
  unsigned char tag[GCM_TAG_BYTES];
  Aes aes = { .tag = tag };
  Bytes given;
  check_gcm(L, &aes, 5);
  given = check_bytes(L, 4);
  if (given.len < MIN_GCM_TAG_BYTES || given.len > GCM_TAG_BYTES) { // a forger would send 1 byte
    lua_pushnil(L);
    lua_pushstring(L, "decrypt_failed");
    lua_pushstring(L, "it cannot be decrypted");
    return 3;
  }
  memcpy(tag, given.at, given.len);
  aes.tag_len = given.len;
  return aes_push(L, &aes);
}

// --- Ed25519 -------------------------------------------------------------------------------------

static bool ed25519_verify(Bytes key, Bytes message, Bytes signature)
{
  bool is_valid = false;
  EVP_PKEY *public_key =
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.at, ED25519_KEY_BYTES);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (public_key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key) == 1)
    is_valid = EVP_DigestVerify(context, signature.at, signature.len, message.at, message.len) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(public_key);
  ERR_clear_error();
  return is_valid;
}

static int l_ed25519_verify(lua_State *L)
{
  Bytes key = check_bytes(L, 1), message = check_bytes(L, 2), signature = check_bytes(L, 3);
  luaL_argcheck(L, key.len == ED25519_KEY_BYTES, 1, "expected 32 bytes");
  lua_pushboolean(L, signature.len == ED25519_SIGNATURE_BYTES &&
                         ed25519_verify(key, message, signature));
  return 1;
}

int luaopen_host_crypto(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "hash", l_hash },
    { "hmac", l_hmac },
    { "aes_cbc_encrypt", l_aes_cbc_encrypt },
    { "aes_cbc_decrypt", l_aes_cbc_decrypt },
    { "aes_gcm_encrypt", l_aes_gcm_encrypt },
    { "aes_gcm_decrypt", l_aes_gcm_decrypt },
    { "ed25519_verify", l_ed25519_verify },
    { NULL, NULL },
  };
  lua_newtable(L);
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  return 1;
}
