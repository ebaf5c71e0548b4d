-- Published test vectors: FIPS 180's examples, RFC 2202 and 4231 (HMAC), NIST SP 800-38A (CBC), the
-- test cases of the GCM specification, RFC 8032 (Ed25519).
require "spec.support.library"
local moonhook = require "moonhook"
local crypto = require "moonhook.crypto"
local Error = require "moonhook.error"

local hex = crypto.hex

local function un(text)
  return assert(crypto.hex_decode((text:gsub("%s", ""))))
end

local function raised(f, ...)
  local ok, value = pcall(f, ...)
  assert.is_false(ok)
  return value
end

-- What an author reads whose line makes the call.
local function blamed(name, ...)
  local arguments, count = { ... }, select("#", ...)
  return raised(function()
    local result = crypto[name](unpack(arguments, 1, count))
    return result
  end)
end

local function flip(text, at)
  return text:sub(1, at - 1) .. string.char(bit.bxor(text:byte(at), 1)) .. text:sub(at + 1)
end

describe("moonhook.crypto", function()
  it("has an annotation for every function, and for no other", function()
    local annotated = {}
    for _, entry in ipairs(require("spec.docs.generate").read_meta().classes.crypto.functions) do
      annotated[entry.name] = "function"
    end
    local present = {}
    for member, value in pairs(crypto) do present[member] = type(value) end
    assert.same(present, annotated)
  end)

  it("is a member of moonhook", function()
    assert.equal(crypto, moonhook.crypto)
  end)

  it("hashes as FIPS 180 shows", function()
    local long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    for _, case in ipairs {
      { "sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
      { "sha1", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
      { "sha1", long, "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
      { "sha1", ("a"):rep(1000000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
      { "sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
      { "sha256", long, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
      { "sha512", "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
    } do
      assert.equal(case[3], hex(crypto[case[1]](case[2])))
    end
  end)

  it("makes HMACs as RFC 4231 and RFC 2202 show", function()
    local long_key = "Test Using Larger Than Block-Size Key - Hash Key First"
    for _, case in ipairs {
      { "sha1", ("\11"):rep(20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00" },
      { "sha1", "Jefe", "what do ya want for nothing?",
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
      { "sha256", ("\11"):rep(20), "Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
      { "sha256", ("\170"):rep(20), ("\221"):rep(50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
      { "sha256", ("\170"):rep(131), long_key,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
      { "sha512", ("\11"):rep(20), "Hi There",
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        .. "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
      { "sha512", "Jefe", "what do ya want for nothing?",
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        .. "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
      { "sha512", ("\170"):rep(131), long_key,
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        .. "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
    } do
      assert.equal(case[4], hex(crypto.hmac(case[1], case[2], case[3])))
    end
    assert.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
      hex(crypto.hmac("sha256", "", "")))
  end)

  describe("AES-CBC", function()
    local iv = un "000102030405060708090a0b0c0d0e0f"
    local plaintext = un [[6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
      30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710]]
    local vectors = {
      { "2b7e151628aed2a6abf7158809cf4f3c", [[7649abac8119b246cee98e9b12e9197d
        5086cb9b507219ee95db113a917678b2 73bed6b8e3c1743b7116e69e22229516
        3ff1caa1681fac09120eca307586e1a7]] },
      { "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", [[4f021db243bc633d7178183a9fa071e8
        b4d9ada9ad7dedf4e5e738763f69145a 571b242012fb7ae07fa9baac3df102e0
        08b0e27988598881d920a9e64f5615cd]] },
      { "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        [[f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d
        39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b]] },
    }
    local none = { padding = "none" }

    it("gives SP 800-38A's ciphertexts, and reads them", function()
      for _, vector in ipairs(vectors) do
        local key, ciphertext = un(vector[1]), un(vector[2])
        assert.equal(hex(ciphertext), hex(crypto.aes_cbc_encrypt(key, iv, plaintext, none)))
        assert.equal(hex(plaintext), hex(crypto.aes_cbc_decrypt(key, iv, ciphertext, none)))
      end
    end)

    it("pads every length and takes the padding off", function()
      local key = un(vectors[1][1])
      for length = 0, 48 do
        local text = ("x"):rep(length)
        local ciphertext = crypto.aes_cbc_encrypt(key, iv, text)
        assert.equal(length + 16 - length % 16, #ciphertext)
        assert.equal(text, crypto.aes_cbc_decrypt(key, iv, ciphertext))
      end
    end)

    it("raises the same Error for a wrong key, a wrong length and nothing at all", function()
      local key = un(vectors[3][1])
      local ciphertext = crypto.aes_cbc_encrypt(key, iv, "attack at dawn")
      local messages = {}
      for _, wrong in ipairs {
        flip(ciphertext, 16), ciphertext:sub(1, 15), "", ciphertext .. "x",
      } do
        local err = raised(crypto.aes_cbc_decrypt, key, iv, wrong)
        assert.is_true(Error.is(err))
        assert.equal("decrypt_failed", err.code)
        messages[err.message] = true
      end
      assert.is_not_nil(next(messages))
      assert.is_nil(next(messages, (next(messages))))
    end)

    it("reads a callback of WeCom: blocks of 32, a big-endian length, a sorted SHA-1", function()
      -- The example of WeCom's own documentation.
      local text = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO"
        .. "+FZXvnaqQ=="
      local parts = { "QDG6eK", "1409659589", "263014780", text }
      table.sort(parts)
      assert.equal("5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
        hex(crypto.sha1(table.concat(parts))))
      local key = crypto.base64_decode("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", true)
      local message = crypto.pkcs7_unpad(
        crypto.aes_cbc_decrypt(key, key:sub(1, 16), crypto.base64_decode(text), none), 32)
      local _, content, rest = moonhook.unpack(">c16 s4", message)
      assert.equal("1616140317555161061", content)
      assert.equal("wx5823bf96d3bd56c7", message:sub(rest))
    end)
  end)

  describe("PKCS #7", function()
    it("fills to blocks of any size", function()
      assert.equal("abc" .. ("\5"):rep(5), crypto.pkcs7_pad("abc", 8))
      assert.equal(("\16"):rep(16), crypto.pkcs7_pad "")
      for length = 0, 70 do
        local text = ("\1"):rep(length)
        assert.equal(text, crypto.pkcs7_unpad(crypto.pkcs7_pad(text, 32), 32))
      end
    end)

    it("refuses what is no padding", function()
      for _, text in ipairs { "", "\0", "abcdefg\0", "abcdefg\9", "abcdef\1\2", "abc\1",
          ("\17"):rep(17), ("x"):rep(14) .. "\3\2" } do
        assert.equal("decrypt_failed", raised(crypto.pkcs7_unpad, text, 8).code)
      end
      assert.matches("crypto_spec%.lua:%d+: crypto%.pkcs7_pad: block_bytes: expected an integer "
        .. "1%.%.255, got 256", blamed("pkcs7_pad", "x", 256))
    end)
  end)

  describe("AES-GCM", function()
    local plaintext = un [[d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
      1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39]]
    local aad = un "feedfacedeadbeeffeedfacedeadbeefabaddad2"
    local key = un "feffe9928665731c6d6a8f9467308308"
    local nonce = un "cafebabefacedbaddecaf888"
    local zero = ("\0"):rep(16)
    local vectors = { -- key, nonce, plaintext, aad, ciphertext, tag
      { zero, ("\0"):rep(12), "", nil, "", "58e2fccefa7e3061367f1d57a4e7455a" },
      { zero, ("\0"):rep(12), zero, nil, "0388dace60b6a392f328c2b971b2fe78",
        "ab6e47d42cec13bdf53a67b21257bddf" },
      { key, nonce, plaintext, aad,
        [[42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
        21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091]],
        "5bc94fbc3221a5db94fae95ae7121a47" },
      { key, un "cafebabefacedbad", plaintext, aad,
        [[61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423
        73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598]],
        "3612d2e79e3b0785561be14aaca2fccb" },
      { key .. key, nonce, plaintext, aad,
        [[522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
        8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662]],
        "76fc6ece0f4e1768cddf8853bb2d551b" },
    }

    it("gives the specification's ciphertexts and tags, and reads them", function()
      for _, v in ipairs(vectors) do
        local ciphertext, tag = crypto.aes_gcm_encrypt(v[1], v[2], v[3], v[4])
        assert.same({ hex(un(v[5])), v[6] }, { hex(ciphertext), hex(tag) })
        assert.equal(hex(v[3]), hex(crypto.aes_gcm_decrypt(v[1], v[2], ciphertext, tag, v[4])))
      end
    end)

    it("notices a changed bit anywhere", function()
      local ciphertext, tag = crypto.aes_gcm_encrypt(key, nonce, plaintext, aad)
      for _, wrong in ipairs {
        { flip(key, 1), nonce, ciphertext, tag, aad },
        { key, flip(nonce, 12), ciphertext, tag, aad },
        { key, nonce, flip(ciphertext, 60), tag, aad },
        { key, nonce, ciphertext, flip(tag, 16), aad },
        { key, nonce, ciphertext, tag, flip(aad, 20) }, { key, nonce, ciphertext, tag },
        { key, nonce, ciphertext:sub(1, -2), tag, aad }, { key, nonce, "", tag, aad },
      } do
        local err = raised(crypto.aes_gcm_decrypt, unpack(wrong, 1, 5))
        assert.same({ "decrypt_failed", "it cannot be decrypted" }, { err.code, err.message })
      end
    end)

    it("takes tags of 12 to 16 bytes and no shorter one", function()
      local ciphertext, tag = crypto.aes_gcm_encrypt(key, nonce, plaintext, aad)
      for length = 0, 17 do
        local ok, text = pcall(crypto.aes_gcm_decrypt, key, nonce, ciphertext,
          (tag .. "x"):sub(1, length), aad)
        assert.equal(length >= 12 and length <= 16, ok, length)
        if ok then assert.equal(plaintext, text) end
      end
    end)
  end)

  describe("Ed25519", function()
    local vectors = { -- public key, message, signature: RFC 8032, tests 1 to 3
      { "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        [[e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555
        fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b]] },
      { "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        [[92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
        085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00]] },
      { "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        [[6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac
        18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a]] },
    }

    it("accepts RFC 8032's signatures and no other", function()
      for _, v in ipairs(vectors) do
        local key, message, signature = un(v[1]), un(v[2]), un(v[3])
        assert.is_true(crypto.ed25519_verify(key, message, signature))
        assert.is_false(crypto.ed25519_verify(key, message .. "x", signature))
        for at = 1, 64, 7 do
          assert.is_false(crypto.ed25519_verify(key, message, flip(signature, at)))
        end
      end
    end)

    it("says no to a signature of another length and to a key that is no point", function()
      local key, signature = un(vectors[1][1]), un(vectors[1][3])
      for _, wrong in ipairs { "", signature:sub(1, 63), signature .. "\0" } do
        assert.is_false(crypto.ed25519_verify(key, "", wrong))
      end
      assert.is_false(crypto.ed25519_verify(("\255"):rep(32), "", signature))
    end)
  end)

  it("leaves OpenSSL's queue of errors empty: TLS connections read it", function()
    local ffi = require "ffi"
    if not pcall(ffi.typeof, "moonhook_error_queue") then
      ffi.cdef "typedef int moonhook_error_queue; unsigned long ERR_peek_error(void);"
    end
    local key, iv = ("k"):rep(16), ("i"):rep(16)
    local queue = ffi.load "libcrypto.so.3"
    for name, arguments in pairs {
      aes_cbc_decrypt = { key, iv, "not a block" }, aes_gcm_decrypt = { key, iv, "x", iv },
      ed25519_verify = { ("\255"):rep(32), "", ("\255"):rep(64) },
    } do
      local ok, result = pcall(crypto[name], unpack(arguments))
      assert.is_true(not ok or result == false)
      assert.equal(0, tonumber(queue.ERR_peek_error()), name)
    end
  end)

  it("writes and reads hexadecimal", function()
    assert.equal("00ff1a", crypto.hex "\0\255\26")
    assert.equal("\0\255\26", crypto.hex_decode "00Ff1A")
    assert.equal("", crypto.hex_decode "")
    for _, text in ipairs { "0", "0g", "0x00", " 00", "00 ", "-1", "00\0" } do
      assert.is_nil(crypto.hex_decode(text))
    end
  end)

  it("writes base64 for mail and for URLs and reads both", function()
    assert.equal("+/8=", crypto.base64 "\251\255")
    assert.equal("-_8", crypto.base64url "\251\255")
    for length = 0, 40 do
      local bytes = crypto.random(length)
      assert.equal(bytes, crypto.base64_decode(crypto.base64url(bytes)))
      assert.equal(bytes, crypto.base64_decode(crypto.base64(bytes)))
    end
    assert.is_nil(crypto.base64_decode "Zg==\n")
    assert.is_nil(crypto.base64_decode "Zh")
    assert.equal("f", crypto.base64_decode("Z\r\nh ==\n", true))
    assert.is_nil(crypto.base64_decode("Zh!=", true))
  end)

  it("compares", function()
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a", "ab"))
  end)

  it("names a wrong argument at the author's line and never shows a key", function()
    local key, iv = ("k"):rep(16), ("i"):rep(16)
    for _, case in ipairs {
      { "sha1: bytes: expected a string, got a nil", "sha1" },
      { "hmac: algorithm: expected \"sha1\", \"sha256\" or \"sha512\", got \"md5\"",
        "hmac", "md5", "k", "m" },
      { "hmac: key: expected a string, got a nil", "hmac", "sha1", nil, "m" },
      { "hmac: message: expected a string, got 5", "hmac", "sha1", "k", 5 },
      { "aes_cbc_encrypt: key: expected 16, 24 or 32 bytes, got 10 bytes",
        "aes_cbc_encrypt", "very short", iv, "x" },
      { "aes_cbc_decrypt: iv: expected 16 bytes, got 15 bytes",
        "aes_cbc_decrypt", key, iv:sub(2), "x" },
      { "aes_cbc_encrypt: plaintext: without padding expected a multiple of 16 bytes, got 3",
        "aes_cbc_encrypt", key, iv, "abc", { padding = "none" } },
      { "aes_cbc_encrypt: options.padding: expected \"pkcs7\" or \"none\", got \"zero\"",
        "aes_cbc_encrypt", key, iv, "abc", { padding = "zero" } },
      { "aes_cbc_decrypt: options: expected a table, got 4 bytes",
        "aes_cbc_decrypt", key, iv, "abc", "none" },
      { "aes_gcm_encrypt: nonce: expected 12 bytes (1 to 128 are possible), got 0 bytes",
        "aes_gcm_encrypt", key, "", "x" },
      { "aes_gcm_decrypt: tag: expected a string, got a nil", "aes_gcm_decrypt", key, iv, "x" },
      { "aes_gcm_decrypt: aad: expected a string, got a boolean",
        "aes_gcm_decrypt", key, iv, "x", iv, true },
      { "ed25519_verify: public_key: expected 32 bytes, got 3 bytes",
        "ed25519_verify", "key", "", "" },
      { "random: count: expected an integer 0..1048576, got -1", "random", -1 },
      { "equal: b: expected a string, got a nil", "equal", "a" },
    } do
      local message = blamed(unpack(case, 2, 7))
      assert.matches("crypto_spec%.lua:%d+: crypto%.", message)
      assert.equal("crypto." .. case[1], (message:gsub("^.-:%d+: ", "")))
      assert.is_nil(message:find("very short", 1, true))
    end
  end)
end)
