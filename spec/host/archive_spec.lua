-- Runs with both LuaJITs. Packed plugins: .difypkg and .zip files are served like folders, and
-- refused when they are not what they should be (M11, M12).
local host = require "spec.support.host"
local process = require "spec.support.process"
local zip = require "spec.support.zip"

-- `check` of one archive: its exit code and what it said.
local function check(bytes, name)
  name = name or "bad.difypkg"
  local result = host.run { "check", name, files = { [name] = bytes }, env = { TMPDIR = "." } }
  return result.code, result.stdout .. result.stderr, result.dir
end

-- What is in the folder, sorted.
local function listing(dir)
  local pipe = io.popen("cd '" .. dir .. "' && find . | LC_ALL=C sort")
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function with(entry, more)
  local entries = zip.plugin("bad", "bad")
  entries[#entries + 1] = entry
  entries[#entries + 1] = more
  return zip.make(entries)
end

describe("an archive is refused", function()
  local function refused(bytes, text)
    local code, said, dir = check(bytes)
    assert.same({ 1, "bad.difypkg: " .. text }, { code, said:match "^[^\n]*" })
    assert.equal(".\n./bad.difypkg\n./moonhook.yaml\n", listing(dir)) -- nothing was left
  end

  it("when a name leads out of the package", function()
    for name, text in pairs {
      ["../../evil.lua"] = 'expected a name without "." and ".."',
      ["a/../../evil.lua"] = 'expected a name without "." and ".."',
      ["a/.."] = 'expected a name without "." and ".."',
      ["./evil.lua"] = 'expected a name without "." and ".."',
      ["/tmp/evil.lua"] = "expected a relative name, got an absolute one",
      ["C:evil.lua"] = "expected a relative name, got one with a drive's letter",
      ["C:\\x"] = "expected a name without backslashes",
      ["..\\evil.lua"] = "expected a name without backslashes",
      ["a//b.lua"] = "expected a name without empty parts",
    } do
      refused(with { name = name, data = "x" }, ('entry "%s": %s'):format(name, text))
    end
  end)

  it("when a name is not text", function()
    refused(with { name = "a\255.lua", flags = 0 }, 'entry "a?.lua": expected a name in UTF-8')
    refused(with { name = "a\27[2J.lua", flags = 0 },
      'entry "a?[2J.lua": expected a name without control characters')
    refused(with { name = ("a"):rep(300) },
      ('entry "%s": expected at most 255 bytes between slashes'):format(("a"):rep(199)))
    refused(with { name = ("a/"):rep(40) .. "b" },
      ('entry "%sb": expected at most 32 folders inside each other'):format(("a/"):rep(40)))
  end)

  it("when an entry is no file", function()
    refused(with { name = "link.lua", data = "/etc/passwd", mode = 0xa1ff },
      'entry "link.lua": expected a file, got a symbolic link')
    refused(with { name = "code2/", data = "", mode = 0xa1ff },
      'entry "code2/": expected a file, got a symbolic link')
    refused(with { name = "pipe", mode = 0x11a4 },
      'entry "pipe": expected a file, got a device, pipe or socket')
    refused(with { name = "folder/", data = "bytes", mode = 0x41ed },
      'entry "folder/": expected a folder to be empty')
  end)

  it("when two entries come to lie in one place", function()
    refused(with { name = "code/a.lua", data = "x" }, 'entry "code/a.lua": it is there twice')
    refused(with { name = "Code/A.lua", data = "x" },
      'entry "code/a.lua": another one differs only in upper and lower case')
    refused(with({ name = "lib", data = "x" }, { name = "lib/b.lua", data = "x" }),
      'entry "lib/b.lua": its folder is a file as well')
  end)

  it("when it is encrypted or packed in another way", function()
    refused(with { name = "a.lua", data = "x", flags = 0x801 }, 'entry "a.lua": it is encrypted')
    refused(with { name = "a.lua", data = "x", method = 12 },
      'entry "a.lua": expected it stored or deflated, got another compression')
  end)

  it("when it holds too much", function()
    local bomb = ("\0"):rep(60 * 1024 * 1024)
    local bytes = with { name = "bomb", data = bomb }
    assert.is_true(#bytes < 1024 * 1024)
    refused(bytes, 'entry "bomb": expected at most 50 MiB in a package')
    -- One that lies about its size is read no further than it says.
    refused(with { name = "bomb", data = bomb, size = 10 },
      'entry "bomb": it is damaged or truncated')
    local half = ("\0"):rep(30 * 1024 * 1024)
    refused(with({ name = "one", data = half }, { name = "two", data = half }),
      'entry "two": expected at most 50 MiB in a package')
  end)

  it("when it holds too many files", function()
    local entries = zip.plugin("many", "many")
    for i = 1, 1999 do entries[#entries + 1] = { name = "f" .. i } end
    refused(zip.make(entries), 'entry "f1999": expected at most 2000 files in a package')
    for i = 2000, 60000 do entries[#entries + 1] = { name = "f" .. i } end
    refused(zip.make(entries), "expected at most 2000 files in a package")
  end)

  it("when it is no zip, or not whole", function()
    local whole = zip.make(zip.plugin("bad", ("text "):rep(100)))
    for _, bytes in ipairs { "", "PK", "not a zip at all", ("x"):rep(5000), whole:sub(1, -10),
        whole:sub(1, 100), whole:sub(50) } do
      local code, said, dir = check(bytes)
      assert.equal(1, code)
      assert.matches("^bad.difypkg: expected a zip file that is whole: ", said)
      assert.equal(".\n./bad.difypkg\n./moonhook.yaml\n", listing(dir))
    end
    refused(with { name = "a.lua", data = "return 1", crc = 1 },
      'entry "a.lua": it is damaged or truncated')
    refused(with { name = "a.lua", data = "x", packed = "\255\255\255\255" },
      'entry "a.lua": it is damaged or truncated')
  end)
end)

describe("an archive", function()
  it("is checked like a folder, by places in it", function()
    local code, said = check(zip.make(zip.plugin("fine", "fine")), "fine.zip")
    assert.same({ 0, "checked 1 plugin: no problem\n" }, { code, said })
    local entries = zip.plugin("broken", "x")
    entries[3].data = "return function("
    code, said = check(zip.make(entries), "broken.difypkg")
    assert.equal(1, code)
    assert.matches("^broken%.difypkg/code/a%.lua:1:", said)
  end)

  it("is served, by its name or from a folder, also as --plugins", function()
    local server = host.start {
      config = { plugins = { "one.difypkg", "more" },
        endpoints = { { plugin = "one", hook_id = "one" }, { plugin = "two", hook_id = "two" } } },
      files = { ["one.difypkg"] = zip.make(zip.plugin("one", "first")),
        ["more/two.zip"] = zip.make(zip.plugin("two", "second")) },
    }
    assert.equal("first", server:request { target = "/e/one/" }.body)
    assert.equal("second", server:request { target = "/e/two/" }.body)
    server:stop()
    server = host.start {
      config = { endpoints = { { plugin = "one", hook_id = "one" } } },
      files = { ["one.difypkg"] = zip.make(zip.plugin("one", "flag")) },
      args = { "--plugins", "one.difypkg" },
    }
    assert.equal("flag", server:request { target = "/e/one/" }.body)
    server:stop()
  end)

  it("leaves out hidden files and specs, and gives the hash that its folder would", function()
    local entries = zip.plugin("same", "same")
    local files = { ["same/manifest.yaml"] = entries[1].data }
    files["same/code/a.lua"] = entries[3].data
    entries[#entries + 1] = { name = ".verification.dify.json", data = "{}" }
    entries[#entries + 1] = { name = "spec/a_spec.lua", data = "error 'not here'" }
    files["packed.difypkg"] = zip.make(entries)
    local server = host.start { files = files,
      config = { plugins = { "same" }, endpoints = { { plugin = "same", hook_id = "same" } } } }
    local folder = server:find_record { msg = "plugin loaded" }
    server:stop()
    local again = host.start { files = files, config = {
      plugins = { "packed.difypkg" }, endpoints = { { plugin = "same", hook_id = "same" } },
    } }
    assert.equal(folder.hash, again:find_record({ msg = "plugin loaded" }).hash)
    again:stop()
  end)

  it("is loaded anew when it is replaced in dev, unless the new one is bad", function()
    local server = host.start {
      verb = "dev",
      config = { plugins = { "p.difypkg" }, endpoints = { { plugin = "p", hook_id = "p-hook" } } },
      files = { ["p.difypkg"] = zip.make(zip.plugin("p", "one")) },
    }
    assert.equal("one", server:request { target = "/e/p-hook/" }.body)
    server:write("p.difypkg", zip.make(zip.plugin("p", "two")))
    process.eventually(function()
      return server:request({ target = "/e/p-hook/" }).body == "two"
    end, 10, "the new archive")
    server:write("p.difypkg", "not a zip")
    process.eventually(function()
      return server:log():find("expected a zip file that is whole", 1, true)
    end, 10, "the refusal")
    assert.equal("two", server:request { target = "/e/p-hook/" }.body)
    server:stop()
  end)
end)

describe("plugin pack", function()
  it("writes an archive that is served as the folder is", function()
    local entries = zip.plugin("packed", "from a package")
    local dir = host.folder { files = { ["mine/manifest.yaml"] = entries[1].data,
      ["mine/code/a.lua"] = entries[3].data, ["mine/.hidden"] = "x", ["mine/spec/x.lua"] = "x" } }
    local packed = host.run { "plugin", "pack", "mine", dir = dir }
    assert.same({ 0, "packed-0.0.1.difypkg\n", "" }, { packed.code, packed.stdout, packed.stderr })
    local first = io.open(dir .. "/packed-0.0.1.difypkg", "rb"):read "*a"
    assert.equal(0, host.run({ "plugin", "pack", "mine", "other.difypkg", dir = dir }).code)
    assert.equal(first, io.open(dir .. "/other.difypkg", "rb"):read "*a")
    assert.is_nil(first:find("hidden", 1, true))
    assert.is_nil(first:find("spec/", 1, true))
    assert.equal(0, host.run({ "check", "other.difypkg", dir = dir }).code)
    local server = host.start {
      config = {
        plugins = { "it.difypkg" }, endpoints = { { plugin = "packed", hook_id = "packed" } },
      },
      files = { ["it.difypkg"] = first },
    }
    assert.equal("from a package", server:request { target = "/e/packed/" }.body)
    server:stop()
  end)

  it("does not pack what has problems", function()
    local dir = host.folder { files = { ["mine/manifest.yaml"] = "version: 1\n" } }
    local packed = host.run { "plugin", "pack", "mine", dir = dir }
    assert.equal(1, packed.code)
    assert.matches("mine/manifest.yaml", packed.stdout .. packed.stderr, 1, true)
    assert.equal(".\n./mine\n./mine/manifest.yaml\n./moonhook.yaml\n", listing(dir))
  end)
end)
