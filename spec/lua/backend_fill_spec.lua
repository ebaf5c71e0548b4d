require "spec.support.library"
local json = require "host.json"
local fill = require "moonhook.backend.fill"

local function filled(schema, text, is_complete)
  return fill.json(schema, {
    text = text or "",
    facts = {},
    free_text = function() return text or "" end,
    is_complete = is_complete,
  })
end

local function property(name, schema, text)
  local object = { type = "object", properties = { [name] = schema } }
  return json.decode(filled(object, text, false))[name]
end

describe("filling a JSON schema", function()
  it("finds values by name and format", function()
    local text = 'On 2024-05-06 at https://x.org/a, ada@x.org said "hey" 42 times'
    assert.equal("2024-05-06", property("day", { type = "string" }, text))
    assert.equal("ada@x.org", property("email", { type = "string" }, text))
    assert.equal("https://x.org/a", property("link", { type = "string" }, text))
    assert.equal("hey", property("title", { type = "string" }, text))
    assert.equal("Oslo", property("city", { type = "string" }, "is it cold in Oslo?"))
    assert.equal("Bob Byte", property("person", { type = "string" }, "Ask Bob Byte about it"))
  end)

  it("takes numbers in their order and keeps them in bounds", function()
    local schema = { type = "object", properties = {
      a = { type = "integer" }, b = { type = "number", maximum = 3 },
      c = { type = "integer", minimum = 10 },
    } }
    assert.equal('{"a":-2,"b":3,"c":10}', filled(schema, "from -2 to 7.25 by 1"))
  end)

  it("leaves out what is neither needed nor spoken of", function()
    assert.equal("{}", filled({ type = "object", properties = {
      size = { enum = { "big" } }, n = { type = "integer" }, on = { type = "boolean" },
      list = { type = "array" },
    } }, "x"))
  end)

  it("fills everything in when that is asked for, with sorted keys", function()
    local schema = { type = "object", properties = {
      z = { type = "boolean" }, a = { type = { "string", "null" }, default = "d" },
      m = { type = "array", minItems = 2, items = { type = "integer" } }, n = { type = "null" },
      o = { type = "object", properties = { p = { const = 5 } } },
    } }
    assert.equal('{"a":"d","m":[1,1],"n":null,"o":{"p":5},"z":true}', filled(schema, "", true))
  end)

  it("follows references and alternatives", function()
    local schema = {
      type = "object", required = { "x", "y" },
      properties = { x = { ["$ref"] = "#/$defs/a~1b" }, y = { anyOf = { { type = "integer" } } } },
      ["$defs"] = { ["a/b"] = { enum = { "k" } } },
    }
    assert.equal('{"x":"k","y":1}', filled(schema, ""))
  end)

  it("ends on schemas that contain themselves", function()
    local list = { type = "object", required = { "next" }, properties = {
      next = { ["$ref"] = "#" }, all = { type = "array", minItems = 3, items = { ["$ref"] = "#" } },
    } }
    assert.is_true(#filled(list, "", true) < 20000)
    assert.equal("string", type(filled({ ["$ref"] = "#" }, "x")))
    assert.equal("string", type(filled({ anyOf = { { ["$ref"] = "#" } } }, "x")))
  end)

  it("keeps to lengths without cutting characters", function()
    assert.equal("déj", property("query", { type = "string", maxLength = 4 }, "déjà"))
    assert.equal("ab..", property("query", { type = "string", minLength = 4 }, "ab"))
  end)

  it("survives schemas that are none", function()
    for _, schema in ipairs {
      {}, { type = 5 }, { type = {} }, { properties = 1 }, { required = "x", type = "object" },
      { enum = {} }, { enum = 1 }, { type = "object", properties = { a = true, b = 1 } },
      { ["$ref"] = 1 }, { ["$ref"] = "#/no/where" }, { ["$ref"] = "http://x" }, { anyOf = {} },
      { type = "string", maxLength = "x", minLength = {} }, { type = "array", items = 7 },
      { type = "array", minItems = 1e9 }, { type = "string", minLength = 1e9 },
      { type = "integer", minimum = "a", default = {} }, { type = "string", default = {} },
    } do
      local text = filled(schema, "some text 5", true)
      assert.is_true(#text < 100000)
      assert.is_nil(select(2, json.decode(text)), text)
    end
  end)
end)
