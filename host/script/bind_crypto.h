// Cryptography for Lua, over OpenSSL: hashes, HMAC, AES and Ed25519. Sizes are checked; what the
// world sends (a ciphertext, a signature) never raises.
//
//   host.crypto.hash(algorithm, bytes)      -> the raw hash; "sha1", "sha256", "sha512"
//   host.crypto.hmac(algorithm, key, bytes) -> the raw code
//   host.crypto.aes_cbc_encrypt(key, iv, bytes, is_padded) -> ciphertext
//   host.crypto.aes_cbc_decrypt(key, iv, bytes, is_padded) -> plaintext | nil, code, message
//   host.crypto.aes_gcm_encrypt(key, iv, bytes, aad)       -> ciphertext, tag of 16 bytes
//   host.crypto.aes_gcm_decrypt(key, iv, bytes, tag, aad)  -> plaintext | nil, code, message
//   host.crypto.ed25519_verify(public_key, message, signature) -> whether it is
//
// A key has 16, 24 or 32 bytes; a CBC iv 16, a GCM iv 1 to 128, a tag to be checked 12 to 16; an
// Ed25519 public key 32. The code of what cannot be decrypted is "decrypt_failed", whatever it is
// that is wrong.
#ifndef MOONHOOK_SCRIPT_BIND_CRYPTO_H
#define MOONHOOK_SCRIPT_BIND_CRYPTO_H

#include <lua.h>

int luaopen_host_crypto(lua_State *L);

#endif
