require "spec.support.library"
local host = require "host.json"

-- In a state of the host the library sets these up before a plugin's code is loaded.
local raw_pairs, raw_next = pairs, next
local lazy = require "moonhook.lazy"
_G.pairs, _G.next = raw_pairs, raw_next

local TEXT = '{"event":"message","task_id":"t-1","answer":"a / \\"b\\" \\u00e9","files":null,'
  .. '"created_at":1679586595,"metadata":{"usage":{"latency":0.77},"list":[1,null,{"a":[]}]}}'

local is_off = host.lazy == nil -- MOONHOOK_FAST_PATHS=off

-- What plugins see, by its name.
local env = setmetatable({ table = setmetatable(lazy.table, { __index = table }) }, {
  __index = function(_, name) return lazy[name] or _G[name] end,
})

-- Each is done to a table that nobody has looked at, and to one that was decoded; what they give,
-- and the tables afterwards, have to be the same.
local OPERATIONS = {
  ["an index"] = function(t) return t.answer, t.files, t.nothing, t[1], t[0], t.metadata.usage end,
  ["an assignment"] = function(t) t.answer = "other"; t.extra = { 1 } end,
  ["an assignment of nil"] = function(t) t.answer, t.files, t.nothing = nil, nil, nil end,
  ["a null that is set"] = function(t) t.files = "now" end,
  ["an item"] = function(t) t[1] = "item"; return #t end,
  ["pairs"] = function(t)
    local count = 0
    for name, value in env.pairs(t) do
      assert.equal(value, t[name])
      count = count + 1
    end
    return count
  end,
  ["pairs, left early"] = function(t)
    local count = 0
    for _ in env.pairs(t) do
      count = count + 1
      if count == 2 then break end
    end
    return count
  end,
  ["next"] = function(t) return (env.next(t)) ~= nil end,
  ["next in a loop"] = function(t)
    local names = {}
    for name in env.next, t do names[#names + 1] = name end
    table.sort(names)
    return table.concat(names, " ")
  end,
  ["next behind a name"] = function(t)
    local after = env.next(t, "answer")
    return after == nil or t[after] ~= nil
  end,
  ["pcall of next"] = function(t) return pcall(env.next, t, "no such name") end,
  ["ipairs"] = function(t)
    local count = 0
    for _ in ipairs(t) do count = count + 1 end
    return count
  end,
  ["the length"] = function(t) return #t end,
  ["rawget"] = function(t) return env.rawget(t, "answer"), env.rawget(t, "nothing") end,
  ["rawset"] = function(t) return env.rawset(t, "answer", "raw") == t end,
  ["rawequal"] = function(t) return rawequal(t, t), t == {}, t == t end,
  ["getmetatable"] = function(t) return type(env.getmetatable(t)) end,
  ["setmetatable"] = function(t)
    env.setmetatable(t, { __index = { nothing = "found" } })
    return t.nothing, t.answer, rawget(t, "answer")
  end,
  ["a table that inherits"] = function(t)
    local child = setmetatable({}, { __index = t, __newindex = t })
    child.fresh = 1
    return child.answer, rawget(child, "fresh"), t.fresh
  end,
  ["table.insert"] = function(t) env.table.insert(t, "item"); return #t, t[1] end,
  ["table.insert at a place"] = function(t) env.table.insert(t, 1, "item"); return #t, t[1] end,
  ["table.foreach"] = function(t)
    local count = 0
    env.table.foreach(t, function() count = count + 1 end)
    return count
  end,
  ["table.remove"] = function(t) return table.remove(t) end,
  ["table.concat"] = function(t) return table.concat(t) end,
  ["table.sort"] = function(t) return table.sort(t) end,
  ["table.maxn"] = function(t) return table.maxn(t) end,
  ["table.getn"] = function(t) return table.getn(t) end,
  ["table.foreachi"] = function(t) return table.foreachi(t, function() return 1 end) end,
  ["unpack"] = function(t) return select("#", unpack(t)) end,
  ["gsub by it"] = function(t) return (("$event $no"):gsub("%$(%w+)", t)) end,
  ["an environment"] = function(t) return load("return answer, nothing", "=e", "t", t)() end,
  ["arithmetic"] = function(t) return pcall(function() return t + 1 end) end,
  ["a comparison"] = function(t) return pcall(function() return t < t end) end,
  ["a concatenation"] = function(t) return pcall(function() return t .. "" end) end,
  ["a call"] = function(t) return pcall(function() return t() end) end,
  ["tostring"] = function(t) return tostring(t):match "^table: 0x" end,
  ["json.encode"] = function(t) return host.decode_plain(host.encode(t)) end,
  ["json.encode inside of another"] = function(t)
    return host.decode_plain(host.encode { data = t, list = { t } })
  end,
  ["json.encode after table.insert"] = function(t)
    env.table.insert(t, 1)
    return host.encode(t)
  end,
  ["json.is_array"] = function(t) return host.is_array(t) end,
  ["json.array"] = function(t) return host.array(t) == t, host.encode(t) end,
}

local function pack(...) return { n = select("#", ...), ... } end

describe("an event that nobody has looked at", function()
  local made = { -- in both ways in which one arrives
    ["alone"] = function() return host.decode_event(TEXT) end,
    ["in a frame"] = function()
      local event = host.decode_framed_event('{"data":' .. TEXT .. ',"error":""}')
      return event or host.decode_event(TEXT)
    end,
    ["like another"] = function()
      return is_off and host.decode_event(TEXT) or host.event_alike(TEXT, 6)
    end,
    ["like another, in a frame"] = function()
      if is_off then return host.decode_event(TEXT) end
      return host.framed_event_alike('{"data":' .. TEXT .. ',"error":""}', 1)
    end,
  }
  for way, make in raw_pairs(made) do
    for name, operation in raw_pairs(OPERATIONS) do
      it(("that came %s cannot be told from a decoded one by %s"):format(way, name), function()
        local event, decoded = make(), host.decode_plain(TEXT)
        assert.equal(not is_off, getmetatable(event) == host.lazy and host.lazy ~= nil)
        assert.same(pack(operation(decoded)), pack(operation(event)))
        host.fill(event)
        assert.same(decoded, event)
        assert.equal(type(getmetatable(decoded)), type(getmetatable(event)))
        if not name:find "item" and not name:find "insert" and name ~= "json.array" then
          assert.same(host.decode_plain(host.encode(decoded)),
            host.decode_plain(host.encode(event)))
        end
      end)
    end
  end

  it("tells its name and its task", function()
    local function told(_, name, task_id) return { name, task_id } end
    assert.same({ "message", "t-1" }, told(host.decode_event(TEXT)))
    assert.same(is_off and {} or { "message", "t-1" },
      told(host.decode_framed_event('{"data":' .. TEXT .. ',"error":""}')))
    assert.same({ "b" }, told(host.decode_event '{"event":"a","event":"b"}'))
    assert.same({ nil, "t" }, told(host.decode_event '{"event":{"event":"x"},"task_id":"t"}'))
    assert.same({}, told(host.decode_event '{"event":"a","event":7}'))
    assert.same({}, told(host.decode_event '{"data":{"event":"a"}}'))
    assert.same({ 'a"b' }, told(host.decode_event [[{"event":"a\"b"}]]))
    assert.same({ "ping" }, told(host.decode_event [[{"e\u0076ent":"ping"}]]))
  end)

  it("tells where its answer is, whatever that has in it", function()
    if is_off then return end
    local function place(text, is_framed)
      local piece = is_framed and '{"data":' .. text .. ',"error":""}' or text
      local decode = is_framed and host.decode_framed_event or host.decode_event
      local event, _, _, members, first, last = decode(piece)
      assert.equal(host.lazy, getmetatable(event))
      return first and piece:sub(first, last), members
    end
    for _, is_framed in ipairs { false, true } do
      assert.same({ [[a / \"b\" \u00e9]], 6 }, { place(TEXT, is_framed) })
      assert.same({ "", 2 }, { place('{"event":"a","answer":""}', is_framed) })
      assert.same({ "2", 2 }, { place('{"answer":"1","answer":"2"}', is_framed) })
      for _, text in ipairs {
        '{"event":"a"}', '{"answer":7}', '{"data":{"answer":"x"}}', '{"answer":["x"]}',
        '{"answer":"1","answer":null}',
      } do
        assert.is_nil((place(text, is_framed)), text)
      end
    end
  end)

  it("is encoded as its text", function()
    if not is_off then assert.equal(TEXT, host.encode((host.decode_event(TEXT)))) end
  end)

  it("is decoded at once where its text has line breaks, which plugins frame it by", function()
    for _, text in ipairs { '{"event":\n"a"}', '{"event":\r"a"}' } do
      local event, name = host.decode_event(text)
      assert.equal("a", rawget(event, "event"))
      assert.equal("a", name)
      assert.equal('{"event":"a"}', host.encode(event))
    end
  end)

  it("is not taken for one that is gone and whose text lay where its own does", function()
    if is_off then return end
    local shape = [[{"event":"message","answer":"%06d","note":"a\nb","list":[1,2]}]]
    local first = shape:format(0)
    local _, _, _, members = host.decode_event(first)
    local plain = '{"event":"message","answer":"%0' .. #first - 31 .. 'd"}' -- as long
    local function place_of_gone()
      local text = plain:format(1)
      host.decode_event(text)
      return ("%p"):format(text)
    end
    local place, texts = place_of_gone(), {}
    collectgarbage()
    for i = 1, 100000 do
      texts[i] = shape:format(i)
      if ("%p"):format(texts[i]) == place then
        assert.equal("a\nb", host.event_alike(texts[i], members).note)
        return
      end
    end
    error "no text came to lie there"
  end)

  it("keeps apart events that were scanned in turn", function()
    local first = host.decode_event '{"event":"a","list":[1,2,3]}'
    local second = host.decode_event '{"event":"b","list":[],"more":{"x":1}}'
    assert.same({ event = "a", list = { 1, 2, 3 } }, { event = first.event, list = first.list })
    assert.equal(1, second.more.x)
  end)

  it("comes from nothing but a valid object", function()
    assert.is_false((host.decode_event '{"event":"a"'))
    assert.is_false((host.decode_event '{"event":"\255"}'))
    assert.same({ 1, 2 }, (host.decode_event "[1,2]"))
    assert.equal("x", (host.decode_event '"x"'))
    assert.is_nil((host.decode_event "null"))
    for _, text in ipairs {
      '{"data":{"event":"a"},"error":"boom"}', '{"data":{"event":"a"}', "{}",
      '{"data":null,"error":""}', '{"data":[1],"error":""}',
      '{"data":{"a":1},"x":{},"error":""}', '{"data":{}}},"error":""}',
    } do
      assert.is_nil((host.decode_framed_event(text)), text)
    end
  end)

  it("survives the collector with its text", function()
    local events = {}
    for i = 1, 300 do
      events[i] = host.decode_event(('{"event":"message","answer":"%d"}'):format(i))
      if i % 50 == 0 then collectgarbage() end
    end
    for i = 1, 300 do assert.equal(tostring(i), events[i].answer) end
  end)
end)

-- Of a model's event that is like the last the chunk is made without its empty arrays.
describe("a chunk whose arrays nobody has looked at", function()
  local openai = require "moonhook.backend.openai"

  local function alike(fingerprint)
    local like = { model = "m", system_fingerprint = fingerprint }
    return is_off and openai.chunk({
      model = "m", system_fingerprint = fingerprint, choices = { { delta = { content = "hi" } } },
    }) or openai.text_chunk("hi", 0, like)
  end

  local function decoded(fingerprint)
    return openai.chunk({
      model = "m", system_fingerprint = fingerprint, choices = { { delta = { content = "hi" } } },
    }, "m")
  end

  local OTHER_META = { __index = { nothing = 7 } }

  -- Each is done to the chunk and to its message, `name` being the array's.
  local TO_EITHER = {
    ["an index"] = function(t, name) return t[name], t.nothing, t[1], host.is_array(t[name]) end,
    ["an assignment"] = function(t, name) t[name] = { 1 }; return host.decode(host.encode(t)) end,
    ["an assignment of nil"] = function(t, name) t[name] = nil; return t[name] end,
    ["another name"] = function(t) t.extra = 1 end,
    ["an item of the array"] = function(t, name) t[name][1] = "item" end,
    ["pairs"] = function(t)
      local names = {}
      for name, value in env.pairs(t) do
        assert.equal(value, t[name])
        names[#names + 1] = name
      end
      table.sort(names)
      return table.concat(names, " ")
    end,
    ["next"] = function(t)
      local count = 0
      for _ in env.next, t do count = count + 1 end
      return count
    end,
    ["next behind a name"] = function(t, name) env.next(t, name) end,
    ["rawget"] = function(t, name) return env.rawget(t, name), env.rawget(t, "nothing") end,
    ["rawset"] = function(t, name) env.rawset(t, name, 7) end,
    ["getmetatable"] = function(t) return env.getmetatable(t) end,
    ["setmetatable"] = function(t) env.setmetatable(t, OTHER_META) end,
    ["members that go"] = function(t)
      t.model, t.role = nil, nil
      return host.decode(host.encode(t))
    end,
    ["table.insert"] = function(t) env.table.insert(t, 1) end,
    ["json.encode"] = function(t) return host.decode(host.encode(t)) end,
    ["json.copy"] = function(t, name)
      local copy = host.copy(t)
      copy[name][1] = "changed"
      return copy
    end,
  }
  for name, operation in raw_pairs(TO_EITHER) do
    for _, fingerprint in ipairs { false, "f" } do
      it(("cannot be told from a whole one by %s (%s)"):format(name, tostring(fingerprint)),
        function()
          local other, expected = alike(fingerprint or nil), decoded(fingerprint or nil)
          assert.same(pack(operation(expected, "prompt_messages")),
            pack(operation(other, "prompt_messages")))
          assert.same(pack(operation(expected.delta.message, "tool_calls")),
            pack(operation(other.delta.message, "tool_calls")))
          for _, chunk in ipairs { other, expected } do
            host.fill(chunk)
            host.fill(chunk.delta.message)
          end
          assert.same(expected, other)
          assert.equal(getmetatable(expected), getmetatable(other))
          assert.equal(getmetatable(expected.delta.message), getmetatable(other.delta.message))
          local fresh = alike(fingerprint or nil)
          assert.same({}, fresh.prompt_messages)
          assert.same({}, fresh.delta.message.tool_calls)
        end)
    end
  end

  it("makes an array once", function()
    local chunk = alike()
    assert.equal(chunk.prompt_messages, chunk.prompt_messages)
  end)
end)
