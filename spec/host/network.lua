-- The address policy in a network of its own, where public addresses and the names that lead to
-- them are the spec's: run by http_policy_spec.lua inside `unshare -rnm`.
local cjson = require "cjson"
local http = require "spec.support.http"
local process = require "spec.support.process"
local web = require "spec.support.web"

describe("in a network where every address answers", function()
  local server, names, caller

  setup(function()
    server = web.serve { "127.0.0.1:80", "93.184.216.34:80", "169.254.169.254:80", "10.1.2.3:80",
      "192.168.1.1:80", "[fd00::1]:80", "[2606:2800::1]:80", "[::1]:80" }
    names = process.start { "node", "spec/support/name_server.mjs" }
    names:wait_for("stdout", "ready", 5)
    caller = web.start { allow = { "10.0.0.0/8" } }
  end)

  teardown(function()
    caller:stop()
    server:stop()
    names:kill "TERM"
    names:wait(5)
  end)

  before_each(function() server:forget() end)

  local function asked(name)
    return cjson.decode(http.request { port = 5380, target = "/asked" }.body)[name]
  end

  local function addresses()
    local list = {}
    for _, record in ipairs(server:seen()) do list[#list + 1] = record.address end
    return list
  end

  it("calls public addresses, by address and by name", function()
    assert.equal(200, caller:call({ url = "http://93.184.216.34/" }).status)
    assert.equal(200, caller:call({ url = "http://[2606:2800::1]/" }).status)
    assert.equal(200, caller:call({ url = "http://a93-184-216-34.test/" }).status)
    assert.same({ "93.184.216.34", "2606:2800::1", "93.184.216.34" }, addresses())
  end)

  it("calls none of the others", function()
    for _, host in ipairs { "127.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]", "[::1]",
        "[::ffff:127.0.0.1]", "[::ffff:192.168.1.1]", "a127-0-0-1.test", "a169-254-169-254.test",
        "a192-168-1-1.test", "a0-0-0-0.test" } do
      assert.equal("blocked_address", caller:call({ url = "http://" .. host .. "/" }).code, host)
    end
    assert.same({}, server:seen())
  end)

  it("connects to the address that was checked, and looks no name up twice for it", function()
    local name = "a93-184-216-34.b127-0-0-1.test"
    assert.equal(200, caller:call({ url = "http://" .. name .. "/" }).status)
    assert.equal(1, asked(name))
    assert.same({ "93.184.216.34" }, addresses())
  end)

  it("looks at every answer of its own, whatever the last one was", function()
    local name = "a127-0-0-1.b93-184-216-34.test"
    assert.equal("blocked_address", caller:call({ url = "http://" .. name .. "/" }).code)
    assert.same({}, server:seen())
  end)

  it("connects only to the public ones of several addresses", function()
    for _, name in ipairs { "both.127-0-0-1.93-184-216-34.test",
        "both.169-254-169-254.192-168-1-1.93-184-216-34.test" } do
      assert.equal(200, caller:call({ url = "http://" .. name .. "/" }).status)
    end
    assert.same({ "93.184.216.34", "93.184.216.34" }, addresses())
    assert.equal("blocked_address",
      caller:call({ url = "http://both.127-0-0-1.192-168-1-1.test/" }).code)
  end)

  it("calls what the operator has opened", function()
    assert.equal(200, caller:call({ url = "http://10.1.2.3/" }).status)
    assert.equal(200, caller:call({ url = "http://a10-1-2-3.test/" }).status)
    assert.same({ "10.1.2.3", "10.1.2.3" }, addresses())
  end)

  it("stops at a redirect from a public address inward", function()
    for _, to in ipairs { "http://127.0.0.1/", "http://a127-0-0-1.test/",
        "http://169.254.169.254/latest/meta-data/" } do
      local result = caller:call { url = "http://93.184.216.34/to/302?" .. to }
      assert.equal("blocked_address", result.code)
    end
    assert.same({ "93.184.216.34", "93.184.216.34", "93.184.216.34" }, addresses())
  end)
end)
