--- Cryptography for plugins, under its usual names. Everything takes and gives raw bytes; `hex` and
--- `base64` make text of them. Wrong arguments raise at the author's line, what cannot be decrypted
--- raises an Error. The work is done by host.crypto and host.bytes, in C.

local bytes = require "host.bytes"
local host = require "host.crypto"
local Error = require "moonhook.error"

local error, ipairs, pairs, string, table = error, ipairs, pairs, string, table
local tostring, type = tostring, type
local blame = Error.blame

local MAX_BLOCK_BYTES = 255 -- a padding byte says how many there are

local crypto = {}

-- --- arguments -----------------------------------------------------------------------------------

local function show(value)
  if type(value) == "string" then return #value .. " bytes" end -- never a key itself
  return type(value) == "number" and tostring(value) or "a " .. type(value)
end

-- Raises unless `value` is a string, of one of these lengths if any are given.
local function check(place, name, value, ...)
  local lengths = { ... }
  if type(value) == "string" then
    if #lengths == 0 then return end
    for _, length in ipairs(lengths) do
      if #value == length then return end
    end
  end
  local wanted = "a string"
  if lengths[1] then
    wanted = table.concat(lengths, ", "):gsub(", (%d+)$", " or %1") .. " bytes"
  end
  blame(("crypto.%s: %s: expected %s, got %s"):format(place, name, wanted, show(value)))
end

local function check_block(place, block_bytes)
  if block_bytes == nil then return 16 end
  if type(block_bytes) == "number" and block_bytes % 1 == 0 and block_bytes >= 1
      and block_bytes <= MAX_BLOCK_BYTES then
    return block_bytes
  end
  blame(("crypto.%s: block_bytes: expected an integer 1..255, got %s")
    :format(place, show(block_bytes)))
end

-- What host.crypto gave, or the Error it tells of.
local function must(result, code, message)
  if not result then error(Error.new(code, message), 0) end
  return result, code
end

-- --- hashes --------------------------------------------------------------------------------------

local ALGORITHMS = { sha1 = true, sha256 = true, sha512 = true }

for name in pairs(ALGORITHMS) do
  crypto[name] = function(text)
    check(name, "bytes", text)
    return host.hash(name, text)
  end
end

--- Authenticates a message: HMAC, RFC 2104.
---@param algorithm "sha1"|"sha256"|"sha512"
---@param key string
---@param message string
---@return string code  raw bytes
function crypto.hmac(algorithm, key, message)
  if not ALGORITHMS[algorithm] then
    local got = type(algorithm) == "string" and '"' .. algorithm .. '"' or show(algorithm)
    blame(('crypto.hmac: algorithm: expected "sha1", "sha256" or "sha512", got %s'):format(got))
  end
  check("hmac", "key", key)
  check("hmac", "message", message)
  return host.hmac(algorithm, key, message)
end

-- --- AES -----------------------------------------------------------------------------------------

local function is_padded(place, options)
  if options == nil then return true end
  if type(options) ~= "table" then
    blame(("crypto.%s: options: expected a table, got %s"):format(place, show(options)))
  end
  local padding = options.padding
  if padding == nil or padding == "pkcs7" then return true end
  if padding == "none" then return false end
  blame(('crypto.%s: options.padding: expected "pkcs7" or "none", got %s')
    :format(place, type(padding) == "string" and '"' .. padding .. '"' or show(padding)))
end

local function check_cbc(place, key, iv, name, text)
  check(place, "key", key, 16, 24, 32)
  check(place, "iv", iv, 16)
  check(place, name, text)
end

---@param key string  16, 24 or 32 bytes
---@param iv string  16 bytes, new and random for every message
---@param plaintext string
---@param options? { padding?: "pkcs7"|"none" }  with "none" the plaintext must fill whole blocks
---@return string ciphertext
function crypto.aes_cbc_encrypt(key, iv, plaintext, options)
  local place = "aes_cbc_encrypt"
  check_cbc(place, key, iv, "plaintext", plaintext)
  local has_padding = is_padded(place, options)
  if not has_padding and #plaintext % 16 ~= 0 then
    blame(("crypto.%s: plaintext: without padding expected a multiple of 16 bytes, got %d")
      :format(place, #plaintext))
  end
  return (must(host.aes_cbc_encrypt(key, iv, plaintext, has_padding)))
end

--- Raises Error coded "decrypt_failed". CBC does not notice a changed ciphertext: check a signature
--- of it first, and never let a sender know why it was refused.
---@param key string  16, 24 or 32 bytes
---@param iv string  16 bytes
---@param ciphertext string
---@param options? { padding?: "pkcs7"|"none" }
---@return string plaintext
function crypto.aes_cbc_decrypt(key, iv, ciphertext, options)
  local place = "aes_cbc_decrypt"
  check_cbc(place, key, iv, "ciphertext", ciphertext)
  return (must(host.aes_cbc_decrypt(key, iv, ciphertext, is_padded(place, options))))
end

local function check_gcm(place, key, nonce, name, text, aad)
  check(place, "key", key, 16, 24, 32)
  if type(nonce) ~= "string" or #nonce < 1 or #nonce > 128 then
    blame(("crypto.%s: nonce: expected 12 bytes (1 to 128 are possible), got %s")
      :format(place, show(nonce)))
  end
  check(place, name, text)
  if aad ~= nil then check(place, "aad", aad) end
end

---@param key string  16, 24 or 32 bytes
---@param nonce string  12 bytes, never used twice with the same key
---@param plaintext string
---@param aad? string  authenticated, not encrypted
---@return string ciphertext
---@return string tag  16 bytes
function crypto.aes_gcm_encrypt(key, nonce, plaintext, aad)
  check_gcm("aes_gcm_encrypt", key, nonce, "plaintext", plaintext, aad)
  return must(host.aes_gcm_encrypt(key, nonce, plaintext, aad))
end

--- Raises Error coded "decrypt_failed" when anything was changed: ciphertext, tag, nonce or aad.
---@param key string  16, 24 or 32 bytes
---@param nonce string
---@param ciphertext string
---@param tag string  12 to 16 bytes
---@param aad? string
---@return string plaintext
function crypto.aes_gcm_decrypt(key, nonce, ciphertext, tag, aad)
  check_gcm("aes_gcm_decrypt", key, nonce, "ciphertext", ciphertext, aad)
  check("aes_gcm_decrypt", "tag", tag)
  return (must(host.aes_gcm_decrypt(key, nonce, ciphertext, tag, aad)))
end

--- Fills the last block as PKCS #7 does; some protocols use blocks of 32 bytes around AES.
---@param text string
---@param block_bytes? integer  1..255, by default 16
---@return string
function crypto.pkcs7_pad(text, block_bytes)
  check("pkcs7_pad", "bytes", text)
  local count = check_block("pkcs7_pad", block_bytes)
  count = count - #text % count
  return text .. string.char(count):rep(count)
end

--- Takes the padding off. Raises Error coded "decrypt_failed" when it is none.
---@param text string
---@param block_bytes? integer  1..255, by default 16
---@return string
function crypto.pkcs7_unpad(text, block_bytes)
  check("pkcs7_unpad", "bytes", text)
  local block = check_block("pkcs7_unpad", block_bytes)
  local count = text:byte(-1) or 0
  local is_valid = count >= 1 and count <= block and #text % block == 0
    and bytes.equal(text:sub(-count), string.char(count):rep(count))
  if not is_valid then must(nil, "decrypt_failed", "it cannot be decrypted") end
  return text:sub(1, -count - 1)
end

-- --- Ed25519 -------------------------------------------------------------------------------------

---@param public_key string  32 bytes
---@param message string
---@param signature string  64 bytes; any other length is no signature
---@return boolean
function crypto.ed25519_verify(public_key, message, signature)
  check("ed25519_verify", "public_key", public_key, 32)
  check("ed25519_verify", "message", message)
  check("ed25519_verify", "signature", signature)
  return host.ed25519_verify(public_key, message, signature)
end

-- --- bytes and text ------------------------------------------------------------------------------

--- Whether two strings are the same, in a time that tells only their lengths.
---@return boolean
function crypto.equal(a, b)
  check("equal", "a", a)
  check("equal", "b", b)
  return bytes.equal(a, b)
end

---@param count integer  0..1048576
---@return string
function crypto.random(count)
  if type(count) ~= "number" or count % 1 ~= 0 or count < 0 or count > 1048576 then
    blame("crypto.random: count: expected an integer 0..1048576, got " .. show(count))
  end
  return bytes.random(count)
end

---@return string text  lower-case
function crypto.hex(text)
  check("hex", "bytes", text)
  return bytes.hex(text)
end

--- Both cases; nil for anything that is not hexadecimal.
---@return string?
function crypto.hex_decode(text)
  check("hex_decode", "text", text)
  return (bytes.hex_decode(text))
end

---@return string
function crypto.base64(text)
  check("base64", "bytes", text)
  return bytes.base64_encode(text)
end

--- Base64 for URLs, without padding.
---@return string
function crypto.base64url(text)
  check("base64url", "bytes", text)
  return (bytes.base64_encode(text):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
end

--- Both alphabets, padding optional; nil for anything else. `is_loose` also accepts white space and
--- bits left over at the end, as in keys that were made of 43 random letters.
---@return string?
function crypto.base64_decode(text, is_loose)
  check("base64_decode", "text", text)
  if is_loose then return (bytes.base64_decode((text:gsub("%s+", "")), true)) end
  return (bytes.base64_decode(text))
end

return require("moonhook.strict").close(crypto, "moonhook.crypto")
