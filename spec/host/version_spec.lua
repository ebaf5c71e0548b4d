local host = require "spec.support.host"

describe("moonhook version", function()
  it("prints one line, the version, on stdout", function()
    local result = host.run { "version" }
    assert.equal(0, result.code)
    assert.matches("^moonhook %d+%.%d+%.%d+[^\n]*\n$", result.stdout)
    assert.equal("", result.stderr)
  end)
end)
