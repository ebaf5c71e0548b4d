require "spec.support.library"
local json = require "moonhook.json"
local Error = require "moonhook.error"
local host = require "host.json"

local function message_of(text)
  local value, message = host.decode(text)
  assert.is_nil(value)
  return message
end

describe("json.encode", function()
  it("writes the kinds of values", function()
    assert.equal('"a"', json.encode "a")
    assert.equal("true", json.encode(true))
    assert.equal("null", json.encode(nil))
    assert.equal("null", json.encode(json.null))
    assert.equal("[1,2]", json.encode { 1, 2 })
    assert.equal('{"a":[{"b":null}]}', json.encode { a = { { b = json.null } } })
  end)

  it("writes an empty table as an object and a marked one as an array", function()
    assert.equal("{}", json.encode {})
    assert.equal("[]", json.encode(json.array()))
    assert.equal('{"list":[[]]}', json.encode { list = { json.array {} } })
  end)

  it("writes a marked array as such when it has items", function()
    assert.equal('["a"]', json.encode(json.array { "a" }))
  end)

  it("writes slashes and other characters plainly", function()
    assert.equal([["a/b\\/\"\n\u0001\u007f é 小猫"]], json.encode "a/b\\/\"\n\1\127 é 小猫")
  end)

  it("keeps a backslash before a slash apart from an escape", function()
    for _, text in ipairs { "\\/", "\\\\/", "/\\", "\\\\\\/x/" } do
      assert.equal(text, json.decode(json.encode(text)))
      assert.equal(text, json.decode(json.encode { [text] = { text } })[text][1])
    end
  end)

  it("replaces bytes that are not UTF-8, in values and in names", function()
    assert.equal('"a\239\191\189b"', json.encode "a\255b")
    assert.equal('"\239\191\189\239\191\189\239\191\189"', json.encode "\237\160\128")
    assert.equal('{"k\239\191\189":[1]}', json.encode { ["k\200"] = { 1 } })
  end)

  it("writes whole numbers exactly, without an exponent up to 2^53", function()
    assert.equal("9007199254740991", json.encode(2 ^ 53 - 1))
    assert.equal("-9007199254740992", json.encode(-2 ^ 53))
    assert.equal("100000000000000", json.encode(1e14))
    assert.equal("1700000000123456", json.encode(1700000000123456))
    assert.equal("0", json.encode(0))
  end)

  it("writes every number so that it reads back the same", function()
    math.randomseed(7)
    for _ = 1, 3000 do
      local number = (math.random() - 0.5) * 10 ^ math.random(-30, 30)
      assert.equal(number, json.decode(json.encode(number)))
      assert.equal(number, json.decode(json.encode { number })[1])
    end
    for _, number in ipairs { 0.1, 0.1 + 0.2, 1 / 3, math.pi, 5e-324, 1.7976931348623157e308, 1e-7,
        123456.789, 1e21, 1e22, 1e23, 99999999999999, 90071940993123.3 } do
      assert.equal(number, json.decode(json.encode(number)))
    end
  end)

  it("writes short numbers shortly", function()
    assert.equal("[0.1,1.5,-2.25,1e-05]", json.encode { 0.1, 1.5, -2.25, 0.00001 })
    assert.equal("[9.95,5.788594165e-26,9.2987e-30]",
      json.encode { 9.95, 5.788594165e-26, 9.2987e-30 })
  end)

  it("puts raw text in as it is", function()
    assert.equal('{"a":{ "b" : "\\/" }}', json.encode { a = json.raw '{ "b" : "\\/" }' })
    assert.equal("1.0", json.encode(json.raw "1.0"))
    assert.equal("1.0", tostring(json.raw "1.0"))
  end)

  it("refuses what JSON cannot say, naming the place", function()
    local cases = {
      { { a = { 1, { f = print } } }, "cannot encode a function at .a[2].f as JSON" },
      { { x = 0 / 0 }, "cannot encode NaN at .x as JSON" },
      { { x = { math.huge } }, "cannot encode an infinite number at .x[1] as JSON" },
      { { x = io.stdout }, "cannot encode userdata at .x as JSON" },
      { coroutine.create(print), "cannot encode a coroutine as JSON" },
      { { [1] = 1, [1e9] = 1 },
        "cannot encode an array whose item 2 is missing (use json.null) as JSON" },
      { { l = { 1, nil, 3 } },
        "cannot encode an array whose item 2 is missing (use json.null) at .l as JSON" },
      { { 1, x = 2 }, "cannot encode a table with both items and named members as JSON" },
      { { [1.5] = 1 },
        "cannot encode a number as a member's name (use tostring) at [1.5] as JSON" },
      { { [true] = 1 }, "cannot encode a member that has neither a name nor an index as JSON" },
    }
    for _, case in ipairs(cases) do
      local text, message = host.encode(case[1])
      assert.is_nil(text)
      assert.equal(case[2], message)
    end
    local list = json.array()
    list.name = 1
    assert.matches("an array with named members", select(2, host.encode(list)))
  end)

  it("refuses a table that contains itself", function()
    local loop = {}
    loop.a = { b = { loop } }
    assert.matches("a table that contains itself at %.a%.b%[1%]%.a", select(2, host.encode(loop)))
  end)

  it("refuses more than 128 levels, and takes 128", function()
    local root = {}
    local leaf = root
    for _ = 1, 127 do
      leaf[1] = {}
      leaf = leaf[1]
    end
    assert.equal(("["):rep(127) .. "{}" .. ("]"):rep(127), json.encode(root))
    for _ = 1, 1e5 do
      leaf[1] = {}
      leaf = leaf[1]
    end
    assert.matches("more than 128 levels", select(2, host.encode(root)))
  end)

  it("refuses more than 32 MiB before it makes them", function()
    local megabyte, list = ("x"):rep(2 ^ 20), {}
    for i = 1, 100 do list[i] = megabyte end
    assert.equal("cannot encode more than 33554432 bytes as JSON", select(2, host.encode(list)))
  end)

  it("refuses a small value that unfolds into a great one", function()
    local value = {}
    for _ = 1, 40 do value = { value, value } end
    assert.matches("more than 1,000,000 tables", select(2, host.encode(value)))
  end)

  it("raises at the caller's line", function()
    local ok, message = pcall(function()
      local text = json.encode { print }
      return text
    end)
    assert.is_false(ok)
    assert.matches("json_spec%.lua:%d+: cannot encode a function at %[1%]", message)
  end)

  it("leaves the value as it was", function()
    local value = { a = json.array(), b = 2 ^ 53, c = "x\255", d = { "\255" } }
    json.encode(value)
    assert.same({ a = {}, b = 2 ^ 53, c = "x\255", d = { "\255" } }, value)
  end)
end)

describe("json.decode", function()
  it("reads the kinds of values", function()
    assert.same({ a = { 1, "x", true, json.null, -0.5e2 } },
      json.decode ' {"a" : [1,"x" ,true,null,-0.5E+2]}\r\n\t')
    assert.equal("é\n/😀\0", json.decode [["\u00e9\n\/\ud83d\ude00\u0000"]])
    assert.equal(json.null, json.decode "null")
  end)

  it("keeps empty arrays and empty objects apart, also when encoded again", function()
    for _, text in ipairs { "[]", "{}", "[[]]", "[{}]", '{"a":[]}', "[[],{},[[ ]]]" } do
      assert.equal((text:gsub(" ", "")), json.encode(json.decode(text)))
    end
    assert.is_true(json.is_array(json.decode " [ \n] "))
    assert.is_false(json.is_array(json.decode "{}"))
    assert.is_true(json.is_array(json.decode "[1]"))
    assert.is_false(json.is_array "x")
  end)

  it("does not take [] in a string for an array", function()
    assert.equal('["[]","\\"[]"]', json.encode(json.decode [=[["[]","\"[]"]]=]))
    assert.same({ "[]", {} }, json.decode '["[]",[]]')
  end)

  it("reads whole numbers up to 2^53 exactly", function()
    assert.equal(9007199254740991, json.decode "9007199254740991")
  end)

  it("refuses what is not JSON, naming line and column", function()
    local cases = {
      [""] = "line 1, column 1: expected a value, got the end",
      ["[1,]"] = "line 1, column 4: expected a value, got ']'",
      ['{"a":1,}'] = "line 1, column 8: expected '\"', got '}'",
      ['{\n "a" 1}'] = "line 2, column 6: expected ':', got '1'",
      ["01"] = "line 1, column 2: expected the end, got '1'",
      ["0x10"] = "line 1, column 2: expected the end, got 'x'",
      ["NaN"] = "line 1, column 1: expected a value, got 'N'",
      ["-Infinity"] = "line 1, column 2: expected a digit, got 'I'",
      ["1e999"] = "line 1, column 1: expected a number below 1.8e308, got '1'",
      ["+1"] = "line 1, column 1: expected a value, got '+'",
      [".5"] = "line 1, column 1: expected a value, got '.'",
      ["1."] = "line 1, column 3: expected a digit, got the end",
      ["'a'"] = "line 1, column 1: expected a value, got '''",
      ['"a\nb"'] = "line 1, column 3: expected an escape for a control character, got byte 0x0a",
      ['"\\ud800"'] = "line 1, column 8: expected the second half of a surrogate pair, got '\"'",
      ['"\\x"'] = "line 1, column 3: expected one of \"\\/bfnrtu after '\\', got 'x'",
      ['"\255"'] = "line 1, column 2: expected valid UTF-8, got byte 0xff",
      ["nul"] = "line 1, column 4: expected null, got the end",
      ["[1] 2"] = "line 1, column 5: expected the end, got '2'",
      ["[1}"] = "line 1, column 3: expected ',' or ']', got '}'",
      ["/**/1"] = "line 1, column 1: expected a value, got '/'",
      ['{"a":1 "b":2}'] = "line 1, column 8: expected ',' or '}', got '\"'",
      ["1\0"] = "line 1, column 2: expected the end, got byte 0x00",
    }
    for text, message in pairs(cases) do assert.equal(message, message_of(text)) end
  end)

  it("refuses more than 128 levels, and takes 128", function()
    assert.is_table(json.decode(("["):rep(128) .. ("]"):rep(128)))
    assert.matches("at most 128 levels", message_of(("["):rep(129) .. ("]"):rep(129)))
    assert.matches("at most 128 levels", message_of(('{"a":'):rep(100000)))
  end)

  it("refuses more than 32 MiB", function()
    assert.matches("at most 33554432 bytes", message_of((" "):rep(2 ^ 25) .. "1"))
  end)

  it("raises an Error coded bad_json", function()
    local _, err = pcall(json.decode, "[")
    assert.is_true(Error.is(err))
    assert.equal("bad_json: line 1, column 2: expected a value, got the end", tostring(err))
  end)

  it("refuses what is no string at the author's line", function()
    local _, message = pcall(function()
      local value = json.decode(nil)
      return value
    end)
    assert.matches("json_spec%.lua:%d+: json%.decode: expected a string, got nil", message)
  end)
end)

describe("what plugins read", function()
  local text = '{"a":null,"b":[null,{"c":null,"d":1}],"e":[],"f":{}}'

  it("has nil for a null member and json.null in arrays", function()
    local value = host.decode_plain(text)
    assert.is_nil(value.a)
    assert.equal(json.null, value.b[1])
    assert.is_nil(value.b[2].c)
    for name in pairs(value) do assert.not_equal("a", name) end
  end)

  it("is encoded with its nulls when nobody changed it", function()
    local value = host.decode_plain(text)
    assert.same(json.decode(text), json.decode(json.encode(value)))
    assert.same(json.decode(text), json.decode(json.encode(value)))
  end)

  it("is encoded with what was set since", function()
    local value = host.decode_plain(text)
    value.a, value.b[2].c = 1, false
    assert.same({ a = 1, b = { json.null, { c = false, d = 1 } }, e = {}, f = {} },
      json.decode(json.encode(value)))
  end)

  it("is nil without a message when the text is null", function()
    assert.equal(1, select("#", host.decode_plain "null"))
    assert.is_nil((host.decode_plain "null"))
  end)
end)

describe("json.raw", function()
  it("refuses what is not JSON", function()
    local _, err = pcall(json.raw, "{")
    assert.equal("bad_json", err.code)
  end)
end)

describe("the JSON of a stream", function()
  it("does not grow the state", function()
    local chunk = '{"id":"x","choices":[{"delta":{"content":"é/"},"finish_reason":null}],"u":[]}'
    local function round() json.encode(host.decode_plain(chunk)) end
    for _ = 1, 100 do round() end
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 2000 do round() end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 16)
  end)
end)

