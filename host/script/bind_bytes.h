// Bytes for Lua: encodings, hashes, random values, comparison in constant time.
//
//   host.bytes.base64_encode(bytes) -> text
//   host.bytes.base64_decode(text, is_loose) -> bytes | nil; both alphabets, padding optional,
//                                      nothing else; loose: bits left over at the end may be set
//   host.bytes.equal(a, b)          -> whether they are the same; the time tells only the lengths
//   host.bytes.pack_floats(list)    -> little-endian float32 of each number
//   host.bytes.random(count)        -> that many random bytes, at most 1 MiB
//   host.bytes.uuid()               -> a random UUID, version 4
//   host.bytes.sha256(bytes)        -> 32 bytes
//   host.bytes.hmac_sha256(key, bytes) -> 32 bytes
//   host.bytes.hex(bytes)           -> lower-case hexadecimal
//   host.bytes.hex_decode(text)     -> bytes | nil; both cases, nothing else
//   host.bytes.deflate(bytes, "gzip") -> compressed bytes
#ifndef MOONHOOK_SCRIPT_BIND_BYTES_H
#define MOONHOOK_SCRIPT_BIND_BYTES_H

#include <lua.h>

int luaopen_host_bytes(lua_State *L);

#endif
