local host = require "spec.support.host"

describe("moonhook version", function()
  it("prints its version and the libraries', on stdout", function()
    local result = host.run { "version" }
    assert.equal(0, result.code)
    assert.matches("^moonhook %d+%.%d+%.%d+\nLuaJIT [^\n]+, llhttp [^\n]+\n$", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("has llhttp 9.2 or newer, since older ones can be fooled", function()
    local major, minor = host.run({ "version" }).stdout:match "llhttp (%d+)%.(%d+)"
    assert.is_true(tonumber(major) * 100 + tonumber(minor) >= 902)
  end)
end)
