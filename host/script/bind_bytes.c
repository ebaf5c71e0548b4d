// See bind_bytes.h. Results are made in blocks that belong to the Lua state, so an error may jump
// through; blocks that may hold a key are wiped once they are copied.
#include "bind_bytes.h"

#include <lauxlib.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "../base/random.h"

enum { HASH_BYTES = 32, MAX_RANDOM_BYTES = 1024 * 1024, MAX_INPUT_BYTES = INT_MAX / 4 };

static const char *check_bytes(lua_State *L, int index, size_t *len)
{
  const char *bytes = luaL_checklstring(L, index, len);
  luaL_argcheck(L, *len <= MAX_INPUT_BYTES, index, "too long");
  return bytes;
}

// Pushes the bytes as a string and wipes them.
static int push_wiped(lua_State *L, void *bytes, size_t len)
{
  lua_pushlstring(L, bytes, len);
  OPENSSL_cleanse(bytes, len);
  return 1;
}

static int l_base64_encode(lua_State *L)
{
  size_t len;
  const char *bytes = check_bytes(L, 1, &len);
  unsigned char *out = lua_newuserdata(L, (len + 2) / 3 * 4 + 1);
  int written = EVP_EncodeBlock(out, (const unsigned char *)bytes, (int)len);
  lua_pushlstring(L, (char *)out, (size_t)written);
  return 1;
}

// The six bits that a character stands for, or -1.
static int base64_value(char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  if (c == '+' || c == '-')
    return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

static int l_base64_decode(lua_State *L)
{
  size_t len, written = 0, padding = 0;
  const char *text = check_bytes(L, 1, &len);
  bool is_loose = lua_toboolean(L, 2);
  unsigned char *out = lua_newuserdata(L, len + 1);
  uint32_t bits = 0;
  int count = 0;
  while (len > 0 && text[len - 1] == '=' && padding < 2) {
    len--;
    padding++;
  }
  if (len % 4 == 1 || (padding > 0 && (len + padding) % 4 != 0))
    return 0;
  for (size_t i = 0; i < len; i++) {
    int value = base64_value(text[i]);
    if (value < 0)
      return 0;
    bits = bits << 6 | (uint32_t)value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out[written++] = (unsigned char)(bits >> count & 0xff);
    }
  }
  if (bits & ((1u << count) - 1) && !is_loose)
    return 0; // bits that no encoder leaves: two texts would mean the same bytes
  return push_wiped(L, out, written);
}

static int l_equal(lua_State *L)
{
  size_t len_a, len_b;
  const char *a = luaL_checklstring(L, 1, &len_a);
  const char *b = luaL_checklstring(L, 2, &len_b);
  lua_pushboolean(L, len_a == len_b && CRYPTO_memcmp(a, b, len_a) == 0);
  return 1;
}

static int l_pack_floats(lua_State *L)
{
  size_t count;
  unsigned char *out;
  luaL_checktype(L, 1, LUA_TTABLE);
  count = lua_objlen(L, 1);
  luaL_argcheck(L, count <= MAX_INPUT_BYTES / 4, 1, "too long");
  out = lua_newuserdata(L, count * 4 + 1);
  for (size_t i = 0; i < count; i++) {
    float number;
    uint32_t bits;
    lua_rawgeti(L, 1, (int)i + 1);
    if (lua_type(L, -1) != LUA_TNUMBER)
      return luaL_error(L, "item %d: expected a number, got %s", (int)i + 1, luaL_typename(L, -1));
    number = (float)lua_tonumber(L, -1);
    memcpy(&bits, &number, sizeof bits);
    for (size_t byte = 0; byte < 4; byte++)
      out[i * 4 + byte] = (unsigned char)(bits >> (8 * byte) & 0xff);
    lua_pop(L, 1);
  }
  lua_pushlstring(L, (char *)out, count * 4);
  return 1;
}

static int l_random(lua_State *L)
{
  lua_Integer count = luaL_checkinteger(L, 1);
  void *out;
  luaL_argcheck(L, count >= 0 && count <= MAX_RANDOM_BYTES, 1, "expected 0 to 1048576");
  out = lua_newuserdata(L, (size_t)count + 1);
  random_source.fill(out, (size_t)count);
  return push_wiped(L, out, (size_t)count);
}

static int l_uuid(lua_State *L)
{
  char text[37];
  random_uuid(text);
  lua_pushstring(L, text);
  return 1;
}

static int l_sha256(lua_State *L)
{
  unsigned char hash[HASH_BYTES];
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  if (!EVP_Digest(bytes, len, hash, NULL, EVP_sha256(), NULL))
    return luaL_error(L, "SHA-256 is not available");
  lua_pushlstring(L, (char *)hash, sizeof hash);
  return 1;
}

static int l_hmac_sha256(lua_State *L)
{
  unsigned char hash[HASH_BYTES];
  size_t key_len, len;
  const char *key = check_bytes(L, 1, &key_len);
  const char *bytes = luaL_checklstring(L, 2, &len);
  if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)bytes, len, hash, NULL))
    return luaL_error(L, "HMAC-SHA-256 is not available");
  return push_wiped(L, hash, sizeof hash);
}

static int l_hex(lua_State *L)
{
  size_t len;
  const char *bytes = check_bytes(L, 1, &len);
  char *out = lua_newuserdata(L, len * 2 + 1);
  for (size_t i = 0; i < len; i++) {
    out[2 * i] = "0123456789abcdef"[(unsigned char)bytes[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[(unsigned char)bytes[i] & 15];
  }
  lua_pushlstring(L, out, len * 2);
  return 1;
}

// The value of a hexadecimal digit, or -1.
static int hex_value(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int l_hex_decode(lua_State *L)
{
  size_t len;
  const char *text = check_bytes(L, 1, &len);
  unsigned char *out = lua_newuserdata(L, len / 2 + 1);
  if (len % 2 != 0)
    return 0;
  for (size_t i = 0; i < len; i += 2) {
    int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0)
      return 0;
    out[i / 2] = (unsigned char)(high << 4 | low);
  }
  return push_wiped(L, out, len / 2);
}

static int l_deflate(lua_State *L)
{
  enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8 };
  size_t len;
  const char *bytes = check_bytes(L, 1, &len);
  z_stream stream = { 0 };
  unsigned char *out;
  uLong room;
  int rc;
  luaL_argcheck(L, strcmp(luaL_checkstring(L, 2), "gzip") == 0, 2, "expected \"gzip\"");
  room = compressBound((uLong)len) + 32; // a gzip head is longer than zlib's
  out = lua_newuserdata(L, room);
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return luaL_error(L, "gzip is not available");
  stream.next_in = (Bytef *)(uintptr_t)bytes;
  stream.avail_in = (uInt)len;
  stream.next_out = out;
  stream.avail_out = (uInt)room;
  rc = deflate(&stream, Z_FINISH);
  deflateEnd(&stream); // before anything that may raise
  if (rc != Z_STREAM_END)
    return luaL_error(L, "gzip failed");
  lua_pushlstring(L, (char *)out, stream.total_out);
  return 1;
}

int luaopen_host_bytes(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "base64_encode", l_base64_encode },
    { "base64_decode", l_base64_decode },
    { "equal", l_equal },
    { "pack_floats", l_pack_floats },
    { "random", l_random },
    { "uuid", l_uuid },
    { "sha256", l_sha256 },
    { "hmac_sha256", l_hmac_sha256 },
    { "hex", l_hex },
    { "hex_decode", l_hex_decode },
    { "deflate", l_deflate },
    { NULL, NULL },
  };
  lua_newtable(L);
  for (const luaL_Reg *f = functions; f->name; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
  return 1;
}
