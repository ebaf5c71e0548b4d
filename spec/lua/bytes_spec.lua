require "spec.support.library"
local bytes = require "host.bytes"

describe("host.bytes", function()
  it("encodes base64", function()
    for plain, coded in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
        ["\255\254\0"] = "//4A" } do
      assert.equal(coded, bytes.base64_encode(plain))
      assert.equal(plain, bytes.base64_decode(coded))
    end
  end)

  it("decodes base64 of both alphabets, with or without padding", function()
    assert.equal("\255\254", bytes.base64_decode "//4")
    assert.equal("\255\254", bytes.base64_decode "__4=")
    assert.equal("\251", bytes.base64_decode "-w")
  end)

  it("refuses what is not base64", function()
    for _, text in ipairs { "a", "Zg=", "Zm9v=", "Zg==\n", "Z g=", "Zh==", "====", "Zg==Zg==" } do
      assert.is_nil((bytes.base64_decode(text)))
    end
  end)

  it("compares bytes", function()
    assert.is_true(bytes.equal("a\0b", "a\0b"))
    assert.is_false(bytes.equal("a\0b", "a\0c"))
    assert.is_false(bytes.equal("a", "ab"))
    assert.is_true(bytes.equal("", ""))
    assert.has_error(function() bytes.equal(nil, "a") end)
  end)

  it("packs little-endian float32", function()
    assert.equal("\0\0\128\63\0\0\0\192", bytes.pack_floats { 1, -2 })
    assert.equal("", bytes.pack_floats {})
    assert.has_error(function() bytes.pack_floats { 1, "2" } end,
      "item 2: expected a number, got string")
  end)

  it("hashes", function()
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      bytes.hex(bytes.sha256 "abc"))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      bytes.hex(bytes.hmac_sha256("Jefe", "what do ya want for nothing?")))
  end)

  it("makes random bytes and UUIDs", function()
    assert.equal(32, #bytes.random(32))
    assert.not_equal(bytes.random(16), bytes.random(16))
    assert.equal("", bytes.random(0))
    assert.has_error(function() bytes.random(-1) end)
    assert.has_error(function() bytes.random(2 ^ 30) end)
    assert.matches("^%x+%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$", bytes.uuid())
  end)

  it("packs with gzip", function()
    local packed = bytes.deflate(("a"):rep(1000), "gzip")
    assert.equal("\31\139", packed:sub(1, 2))
    assert.is_true(#packed < 50)
    assert.is_string(bytes.deflate("", "gzip"))
    assert.has_error(function() bytes.deflate("x", "brotli") end)
  end)
end)
