-- Runs with both LuaJITs. Packages that mean mischief, in a folder of plugins that a host serves
-- (M01 to M10): each is refused whole, with its place in the log, and nothing of it is kept.
local host_support = require "spec.support.host"

local HEAD = "version: 0.0.1\ntype: plugin\nauthor: spec\nname: %s\n"
local GOOD = "        - { path: /ok, method: GET, extra: { lua: { source: ok.lua } } }\n"
local PLUGINS = "plugins:\n  endpoints:\n    - endpoints:\n" .. GOOD

local function with(entry)
  return HEAD .. PLUGINS .. "        - { " .. entry .. " }\n"
end

local function laughs()
  local lines = { "a: &a [x,x,x,x,x,x,x,x,x]" }
  for i = 1, 9 do
    local last, this = ("abcdefghij"):sub(i, i), ("abcdefghij"):sub(i + 1, i + 1)
    lines[#lines + 1] = ("%s: &%s [%s]"):format(this, this, ("*" .. last .. ","):rep(9))
  end
  return table.concat(lines, "\n") .. "\n"
end

local SOURCE = "extra: { lua: { source: ok.lua } }"

-- [name] = { the manifest, what the log says of it: the place first }
local BAD = {
  m01 = { with "path: /a, method: GET, extra: { lua: { source: ../../../../etc/passwd } }",
    "manifest.yaml:9:%d+: extra.lua.source: .* leads out of the package" },
  m02 = { with "path: /a, method: GET, extra: { lua: { source: /etc/passwd } }",
    "manifest.yaml:9:%d+: extra.lua.source: .* is an absolute path" },
  m03 = { with "path: /a, method: GET, extra: { lua: { source: link.lua } }",
    "link.lua: expected a file, got a symbolic link" },
  m04 = { HEAD .. laughs() .. PLUGINS,
    "manifest.yaml:%d+:%d+: this alias makes the document too large" },
  m05 = { HEAD .. "x: " .. ("["):rep(20000) .. "\n",
    "manifest.yaml:5:%d+: nested too deeply: at most 64 levels" },
  m06a = { with("path: /a, method: FETCH, " .. SOURCE), "manifest.yaml:9:%d+: method: expected " },
  m06b = { with("path: echo, method: GET, " .. SOURCE),
    "manifest.yaml:9:%d+: path: expected a path starting with '/', got \"echo\"" },
  m06c = { with("path: 5, method: GET, " .. SOURCE),
    "manifest.yaml:9:%d+: path: expected a string starting with '/', got 5" },
  m07 = { with("path: /a, " .. SOURCE) .. GOOD:gsub("/ok", "/third"),
    "manifest.yaml:9:%d+: method: expected one of " },
  m08a = { with("path: /a, path: /b, method: GET, " .. SOURCE),
    "manifest.yaml:9:%d+: path: this key stands here twice" },
  m08b = { with("path: /ok, method: GET, " .. SOURCE), "manifest.yaml:9:%d+: path: .* too" },
  m09a = { HEAD .. PLUGINS .. "x: !!python/object/apply:os.system [ id ]\n",
    "manifest.yaml:9:%d+: .*os.system" },
  m09b = { HEAD .. PLUGINS .. "x: !!binary aGk=\n", "manifest.yaml:9:%d+: .*binary" },
  m10a = { HEAD .. PLUGINS .. "# " .. ("x"):rep(10 * 2 ^ 20) .. "\n",
    "manifest.yaml: is larger than" },
  m10b = { "\255\254v\0e\0r\0", "manifest.yaml:1:1: not UTF%-8 text" },
  m10c = { HEAD .. PLUGINS .. "x: a\0b\n", "manifest.yaml:9:%d+: not UTF%-8 text: a NUL byte" },
}

describe("a folder of plugins with packages that mean mischief", function()
  local server

  setup(function()
    local files, endpoints = {}, { { plugin = "good", hook_id = "good" } }
    files["plugins/good/manifest.yaml"] = HEAD:format "good" .. PLUGINS
    files["plugins/good/ok.lua"] = "return function() return 'ok' end"
    for name, case in pairs(BAD) do
      local folder = "plugins/" .. name .. "/"
      -- Not by format: a text of 10 MiB, and bytes that are no text.
      files[folder .. "manifest.yaml"] = (case[1]:gsub("name: %%s", "name: " .. name, 1))
      files[folder .. "ok.lua"] = "return function() return 'ok' end"
      endpoints[#endpoints + 1] = { plugin = name, name = name, hook_id = name .. "-hook" }
    end
    local dir = host_support.folder { files = files,
      config = { plugins = { "plugins" }, endpoints = endpoints } }
    assert(os.execute(("ln -s /etc/passwd '%s/plugins/m03/link.lua'"):format(dir)) == 0)
    server = host_support.start { dir = dir }
  end)

  teardown(function() server:stop() end)

  for name, case in pairs(BAD) do
    it("refuses " .. name:upper(), function()
      local found
      for _, record in ipairs(server:records()) do
        if record.folder == "plugins/" .. name and record.error:find("^" .. case[2]) then
          found = record.error
        end
      end
      assert.is_truthy(found, server:log():sub(1, 4000))
      assert.is_true(#found < 500, #found)
      for _, path in ipairs { "/ok", "/a", "/third" } do
        local reply = server:request { target = "/e/" .. name .. "-hook" .. path }
        assert.is_true(reply.status == 503 or reply.status == 404, reply.status)
      end
    end)
  end

  it("serves the good one, and keeps a copy of no other", function()
    assert.equal("ok", server:request({ target = "/e/good/ok" }).body)
    local listing = io.popen(("ls -A '%s/data/plugins' | wc -l"):format(server.dir)):read "*n"
    assert.equal(1, listing)
  end)
end)
