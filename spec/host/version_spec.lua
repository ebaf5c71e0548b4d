local host = require "spec.support.host"

describe("moonhook version", function()
  it("prints its version and the libraries', on stdout", function()
    local result = host.run { "version" }
    assert.equal(0, result.code)
    assert.matches("^moonhook %d+%.%d+%.%d+\nLuaJIT [^\n]+, llhttp [^\n]+\n"
      .. "plugins run %a+: [^\n]+\n$", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("says whether plugins run compiled, which the environment may forbid", function()
    local cjson = require "cjson"
    local told = cjson.decode(host.run({ "version", "--json" }).stdout)
    assert.equal("boolean", type(told.plugins_compiled))
    local result = host.run { "version", "--json", env = { MOONHOOK_JIT = "off" } }
    assert.is_false(cjson.decode(result.stdout).plugins_compiled)
  end)

  it("has llhttp 9.2 or newer, since older ones can be fooled", function()
    local major, minor = host.run({ "version" }).stdout:match "llhttp (%d+)%.(%d+)"
    assert.is_true(tonumber(major) * 100 + tonumber(minor) >= 902)
  end)
end)
