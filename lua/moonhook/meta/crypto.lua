---@meta moonhook.crypto
-- luacheck: ignore 122 212 241 (annotations only)
-- Cryptography over OpenSSL. Everything takes and gives raw bytes; wrong arguments raise at the
-- caller's line. Explained in docs/plugin-api.md, "Crypto".

---@class crypto
local crypto = {}

--- For protocols that ask for it; in anything new use sha256.
---@param bytes string
---@return string hash  20 bytes
function crypto.sha1(bytes) end

---@param bytes string
---@return string hash  32 bytes
function crypto.sha256(bytes) end

---@param bytes string
---@return string hash  64 bytes
function crypto.sha512(bytes) end

--- Authenticates a message (RFC 2104). Compare codes with `crypto.equal`, never with `==`.
---@param algorithm "sha1"|"sha256"|"sha512"
---@param key string  any length
---@param message string
---@return string code  as long as the algorithm's hash
function crypto.hmac(algorithm, key, message) end

--- AES in CBC mode. It hides, but a changed ciphertext goes unnoticed: in anything new use GCM.
---@param key string  16, 24 or 32 bytes: AES-128, 192, 256
---@param iv string  16 bytes, new and random for every message
---@param plaintext string
---@param options? { padding?: "pkcs7"|"none" }  with "none" the plaintext must fill whole blocks
---@return string ciphertext
function crypto.aes_cbc_encrypt(key, iv, plaintext, options) end

--- Raises Error coded "decrypt_failed", the same for a wrong key, padding or length. Check a
--- signature of the ciphertext first: a sender who learns of bad padding can read the message.
---@param key string  16, 24 or 32 bytes
---@param iv string  16 bytes
---@param ciphertext string
---@param options? { padding?: "pkcs7"|"none" }
---@return string plaintext
function crypto.aes_cbc_decrypt(key, iv, ciphertext, options) end

--- AES in GCM mode: hides and authenticates. A nonce used twice with one key gives both away.
---@param key string  16, 24 or 32 bytes
---@param nonce string  12 bytes; 1 to 128 are possible
---@param plaintext string
---@param aad? string  authenticated, not encrypted
---@return string ciphertext  as long as the plaintext
---@return string tag  16 bytes
function crypto.aes_gcm_encrypt(key, nonce, plaintext, aad) end

--- Raises Error coded "decrypt_failed" when anything was changed: ciphertext, tag, nonce or aad.
---@param key string  16, 24 or 32 bytes
---@param nonce string
---@param ciphertext string
---@param tag string  12 to 16 bytes; others are refused as wrong
---@param aad? string
---@return string plaintext
function crypto.aes_gcm_decrypt(key, nonce, ciphertext, tag, aad) end

--- Fills the last block as PKCS #7 does; some protocols put blocks of 32 around unpadded AES.
---@param bytes string
---@param block_bytes? integer  1 to 255, by default 16
---@return string padded
function crypto.pkcs7_pad(bytes, block_bytes) end

--- Raises Error coded "decrypt_failed" when the bytes do not end with a padding.
---@param padded string
---@param block_bytes? integer  1 to 255, by default 16
---@return string bytes
function crypto.pkcs7_unpad(padded, block_bytes) end

---@param public_key string  32 bytes
---@param message string
---@param signature string  64 bytes; any other length is no signature
---@return boolean
function crypto.ed25519_verify(public_key, message, signature) end

--- Whether two strings are the same, in a time that tells only their lengths: for codes and keys.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---@param count integer  at most 1 MiB
---@return string bytes  from the system's random source
function crypto.random(count) end

---@param bytes string
---@return string text  lower-case
function crypto.hex(bytes) end

---@param text string
---@return string? bytes  nil unless it is hexadecimal of either case, and nothing else
function crypto.hex_decode(text) end

---@param bytes string
---@return string text  with padding
function crypto.base64(bytes) end

---@param bytes string
---@return string text  the alphabet for URLs, without padding
function crypto.base64url(bytes) end

--- Reads both alphabets; padding is optional.
---@param text string
---@param is_loose? boolean  also accepts white space, and bits left over at the end
---@return string? bytes  nil for anything else
function crypto.base64_decode(text, is_loose) end

return crypto
