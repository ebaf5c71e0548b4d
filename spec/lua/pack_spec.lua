require "spec.support.library"
local moonhook = require "moonhook"
local Error = require "moonhook.error"

local pack, unpack_bytes = moonhook.pack, moonhook.unpack

local function raised(f, ...)
  local ok, value = pcall(f, ...)
  assert.is_false(ok)
  return value
end

local function hex(bytes)
  return moonhook.hex(bytes)
end

describe("moonhook.pack", function()
  it("writes integers little-endian, and big-endian behind >", function()
    assert.equal("01020300", hex(pack("B I3", 1, 0x0302)))
    assert.equal("78563412", hex(pack("<I4", 0x12345678)))
    assert.equal("12345678", hex(pack(">I", 0x12345678)))
    assert.equal("0001" .. "0100", hex(pack("> H < H", 1, 1)))
    assert.equal("001fffffffffffff", hex(pack(">I8", 2 ^ 53 - 1)))
    assert.equal("", pack "")
  end)

  it("writes negative integers as two's complement", function()
    assert.equal("ff" .. "feff" .. "ffffffffffffff80",
      hex(pack("b h >i8", -1, -2, -128)))
    assert.equal("80" .. "8000" .. "80000000", hex(pack(">b h i4", -128, -32768, -2147483648)))
  end)

  it("writes strings with their length, to a zero byte, and of a fixed size", function()
    assert.equal("\0\3abc", pack(">s2", "abc"))
    assert.equal("ab\0" .. "cd\0\0" .. "\0", pack("z c4 x", "ab", "cd"))
  end)

  it("gives back what it was given, for random values and every size", function()
    math.randomseed(20)
    for _ = 1, 300 do
      local order = math.random(2) == 1 and "<" or ">"
      for size = 1, 8 do
        local limit = math.min(256 ^ size, 2 ^ 53)
        local value = math.floor(math.random() * limit)
        local format = order .. "I" .. size
        assert.equal(value, (unpack_bytes(format, pack(format, value))))
        local signed = size < 7 and value - limit / 2 or -value
        format = order .. "i" .. size
        assert.equal(signed, (unpack_bytes(format, pack(format, signed))))
      end
    end
  end)

  it("names a wrong value at the author's line", function()
    for _, case in ipairs {
      { "value 1: expected an integer 0..255 for 'B', got 256", "B", 256 },
      { "value 1: expected an integer -128..127 for 'b', got 128", "b", 128 },
      { "value 2: expected an integer 0..65535 for 'H', got -1", "HH", 1, -1 },
      { "value 1: expected an integer -2147483648..2147483647 for 'i4', got 2147483648",
        "i4", 2 ^ 31 },
      { "value 1: expected an integer 0..9007199254740991 for 'I8', got 1.5", "I8", 1.5 },
      { "value 1: expected an integer 0..4294967295 for 'I', got a string", "I", "1" },
      { "value 1: expected an integer 0..255 for 'B', got nan", "B", 0 / 0 },
      { "value 1: expected an integer -9007199254740991..9007199254740991 for 'i8', got inf",
        "i8", math.huge },
      { "value 1: expected a string for 's1', got a number", "s1", 1 },
      { "value 2: expected a string for 'z', got a nil", "Bz", 1 },
      { "value 1: a string of 256 bytes does not fit 's1'", "s1", ("x"):rep(256) },
      { "value 1: a string of 3 bytes does not fit 'c2'", "c2", "abc" },
      { "value 1: a string of 3 bytes does not fit 'z': it contains a zero byte", "z", "a\0b" },
      { "2 values for a format of 1", "B", 1, 2 },
      { "format: expected a string, got number", 5 },
      { "format: unknown option at \"f\"", "Bf", 1 },
      { "format: unknown option at \"!4\"", "!4" },
      { "format: 'i' needs a size of 1 to 8, got 'i9'", "i9", 1 },
      { "format: 'I' needs a size of 1 to 8, got 'I0'", "I0", 1 },
      { "format: 's' needs a size of 1 to 8, got 's'", "s", "x" },
      { "format: 'c' needs a size", "c", "x" },
      { "format: 'B' takes no size, got 'B2'", "B2", 1 },
    } do
      local message = raised(function()
        local bytes = pack(unpack(case, 2, 4))
        return bytes
      end)
      assert.matches("pack_spec%.lua:%d+: pack: ", message)
      assert.equal("pack: " .. case[1], (message:gsub("^.-:%d+: ", "")))
    end
  end)
end)

describe("moonhook.unpack", function()
  it("reads values and says where the next byte stands", function()
    assert.same({ 1, 2, 4 }, { unpack_bytes(">BH", "\1\0\2rest") })
    assert.same({ "abc", "de", "f\0", 11 }, { unpack_bytes("s1 z c2 x", "\3abcde\0f\0\0!") })
    assert.same({ -1, 3 }, { unpack_bytes("h", "\255\255") })
    assert.same({ 513, 5 }, { unpack_bytes("<H", "xx\1\2x", 3) })
    assert.same({ 1 }, { unpack_bytes("", "abc") })
    assert.same({ "", 5 }, { unpack_bytes("s4", "\0\0\0\0") })
  end)

  it("reads the ends of the exact range and refuses what lies beyond", function()
    assert.equal(2 ^ 53 - 1, (unpack_bytes(">I8", "\0\31" .. ("\255"):rep(6))))
    assert.equal(1 - 2 ^ 53, (unpack_bytes(">i8", "\255\224\0\0\0\0\0\1")))
    for _, bytes in ipairs { "\0\32\0\0\0\0\0\0", "\0\32\0\0\0\0\0\1", ("\255"):rep(8) } do
      local err = raised(unpack_bytes, ">I8", bytes)
      assert.same({ "bad_bytes", "'I8' at byte 1: the integer is beyond 2^53 - 1" },
        { err.code, err.message })
    end
    assert.equal("bad_bytes", raised(unpack_bytes, ">i8", "\255\224\0\0\0\0\0\0").code)
    assert.equal("bad_bytes", raised(unpack_bytes, ">i8", "\128\0\0\0\0\0\0\0").code)
  end)

  it("raises an Error where the bytes end too early", function()
    for _, case in ipairs {
      { "I4", "\1\2\3", "'I4' at byte 1" }, { "BB", "\1", "'B' at byte 2" },
      { "s1", "\5abc", "'s1' at byte 1" }, { ">s4", "\255\255\255\255", "'s4' at byte 1" },
      { "s2", "\1", "'s2' at byte 1" }, { "z", "abc", "'z' at byte 1" },
      { "c3", "ab", "'c3' at byte 1" }, { "x", "", "'x' at byte 1" },
      { "B", "ab", "'B' at byte 9", 9 },
    } do
      local err = raised(unpack_bytes, case[1], case[2], case[4])
      assert.is_true(Error.is(err))
      assert.same({ "bad_bytes", case[3] .. ": the data ends" }, { err.code, err.message })
    end
  end)

  it("gives values or an Error for any bytes", function()
    math.randomseed(7)
    local formats = { ">s4 z B", "<i8 I8", "c3 s1 s2 z", "bBhH x i3 I7" }
    for _ = 1, 2000 do
      local bytes = {}
      for i = 1, math.random(0, 20) do
        bytes[i] = string.char(math.random(3) == 1 and math.random(0, 255) or math.random(0, 3))
      end
      local ok, err = pcall(unpack_bytes, formats[math.random(#formats)], table.concat(bytes))
      assert.is_true(ok or Error.is(err) and err.code == "bad_bytes")
    end
  end)

  it("names a wrong argument at the author's line", function()
    for expected, arguments in pairs {
      ["unpack: bytes: expected a string, got nil"] = { "B" },
      ["unpack: position: expected an integer from 1 on, got 0"] = { "B", "a", 0 },
      ["unpack: format: unknown option at \"q\""] = { "q", "a" },
    } do
      local message = raised(function()
        local value = unpack_bytes(unpack(arguments, 1, 3))
        return value
      end)
      assert.matches("pack_spec%.lua:%d+: unpack: ", message)
      assert.equal(expected, (message:gsub("^.-:%d+: ", "")))
    end
  end)
end)
