local library = require "spec.support.library"
local moonhook = require "moonhook"
local Error = require "moonhook.error"

local function raised(f, ...)
  local ok, value = pcall(f, ...)
  assert.is_false(ok)
  return value
end

describe("moonhook", function()
  it("loads a module when it is first asked for", function()
    local kept = library.reload()
    local fresh = require "moonhook"
    assert.is_nil(package.loaded["moonhook.response"])
    assert.equal(fresh.Response, require "moonhook.response")
    assert.equal(fresh.Response, rawget(fresh, "Response"))
    library.restore(kept)
  end)

  it("has what the documentation lists, and documents what it has", function()
    local file = assert(io.open("docs/plugin-api.md"))
    local text = file:read "*a"
    file:close()
    local init = assert(io.open("lua/moonhook/init.lua"))
    local source = init:read "*a"
    init:close()
    local exported = {}
    for name in source:gmatch "\n  ([%w_]+) = function" do
      exported[name] = true
      assert.is_not_nil(moonhook[name])
      assert.is_true(text:find("moonhook." .. name, 1, true) ~= nil, name .. " is not documented")
    end
    for name in text:gmatch "[^%w/\"]moonhook%.([%a_]+)[^%w_]" do
      assert.is_true(exported[name] or name == "yaml" or name == "testing", name .. " is not there")
    end
  end)

  it("names a member that it lacks at the author's line", function()
    assert.matches("moonhook_spec%.lua:%d+: moonhook has no member 'respond'",
      raised(function() return (moonhook.respond) end))
  end)

  it("reads files of the package", function()
    library.files["data/words.txt"] = "a\nb\n"
    assert.equal("a\nb\n", moonhook.read "data/words.txt")
    assert.equal("no_such_file", raised(moonhook.read, "../x").code)
    assert.matches("moonhook_spec%.lua:%d+: moonhook%.read: path: expected a string",
      raised(function()
        local bytes = moonhook.read(nil)
        return bytes
      end))
  end)

  it("tells the time in whole seconds", function()
    assert.equal(1700000000, moonhook.time())
  end)

  it("sleeps through the host's timer", function()
    library.slept_ms = 0
    moonhook.sleep(250)
    assert.equal(250, library.slept_ms)
    for _, delay in ipairs { -1, "5", math.huge, 0 / 0 } do
      assert.matches("moonhook%.sleep: delay_ms: expected milliseconds from 0 to 86400000",
        raised(moonhook.sleep, delay))
    end
  end)

  it("raises when the wait was cancelled", function()
    local timer = require "host.timer"
    local start = timer.start
    function timer.start() return nil, "cancelled", "the client left" end
    local err = raised(moonhook.sleep, 1)
    timer.start = start
    assert.same({ true, "cancelled" }, { Error.is(err), err.code })
  end)

  it("writes to the log", function()
    moonhook.log.warn("careful", { count = 1 })
    assert.same({ "warn", "careful", { count = 1 } }, library.log[#library.log])
    assert.matches("moonhook_spec%.lua:%d+: log%.info: message: expected a string, got table",
      raised(function() moonhook.log.info {} end))
  end)
end)
