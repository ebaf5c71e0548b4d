-- The table of verbs: what it prints as help, as completions and as a manual page says the same,
-- and what it refuses.
local host = require "spec.support.host"
local process = require "spec.support.process"

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function output(...)
  local result = host.run { ... }
  assert.equal(0, result.code, result.stderr)
  assert.equal("", result.stderr)
  return result.stdout
end

-- The lines of the part of a help text that begins with a heading: { name = summary }.
local function part(text, heading)
  local found = {}
  local from = text:match("\n" .. heading .. "\n(.*)$") or ""
  for line in (from:match "^(.-)\n\n" or from):gmatch "[^\n]+" do
    local name, summary = line:match "^  (%S.-)  +(.+)$"
    if name then found[name] = summary end
  end
  return found
end

-- { ["endpoint add"] = help }: every verb that can be run, and every group with its help.
local function all_verbs()
  local runnable, groups = {}, {}
  for name in pairs(part(output "help", "Verbs")) do
    local help = output("help", name)
    local inner = part(help, "Verbs")
    if next(inner) then
      groups[name] = help
      for full in pairs(inner) do
        local group, verb = full:match "^(%S+) (%S+)$"
        runnable[full] = output("help", group, verb)
      end
    else
      runnable[name] = help
    end
  end
  return runnable, groups
end

local function flags_of(help)
  local flags = {}
  for flag, summary in pairs(part(help, "Flags")) do flags[flag:match "^%S+"] = summary end
  return flags
end

local function keys(map)
  local list = {}
  for key in pairs(map) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- What bash offers for the last of these words.
local function offered(script, ...)
  local words = { ... }
  local command = { script, "COMP_WORDS=(moonhook" }
  for _, word in ipairs(words) do command[2] = command[2] .. " '" .. word .. "'" end
  command[2] = command[2] .. ")"
  command[3] = "COMP_CWORD=" .. #words .. "; _moonhook"
  command[4] = [[printf '%s\n' "${COMPREPLY[@]}"]]
  local result = process.run { "bash", "--norc", "-c", table.concat(command, "\n"), seconds = 20 }
  assert.equal("", result.stderr)
  return lines_of(result.stdout)
end

describe("the table of verbs", function()
  it("prints help with examples first for each", function()
    local verbs = all_verbs()
    assert.is_true(#keys(verbs) >= 7)
    for name, help in pairs(verbs) do
      assert.matches("^moonhook " .. name:gsub("%-", "%%-") .. "[^\n]*: [^\n]+\n\nExamples\n", help)
      assert.truthy(help:find("\n  [^\n]*moonhook " .. name), name .. " has an example")
      for flag, summary in pairs(flags_of(help)) do
        assert.matches("^%-%-%l[%l-]*$", flag)
        assert.is_nil(summary:match "[^.]%.$", flag .. ": a full stop")
      end
    end
  end)

  it("prints the same help for --help, wherever it stands", function()
    assert.equal(output("help", "check"), output("check", "--help"))
    assert.equal(output("help", "check"), output("check", "--json", "-h"))
    assert.equal(output "help", output "--help")
    assert.equal(output "version", output "--version")
  end)

  it("completes in bash what help shows, verbs and flags alike", function()
    local script = output("completion", "bash")
    local verbs, groups = all_verbs()
    local first = {}
    for name in pairs(verbs) do first[name:match "^%S+"] = true end
    first["--help"], first["--version"] = true, true
    local seen = {}
    for _, word in ipairs(offered(script, "")) do seen[word] = true end
    assert.same(keys(first), keys(seen))
    for name, help in pairs(groups) do
      seen = {}
      for _, word in ipairs(offered(script, name, "")) do
        if word ~= "--help" then seen[name .. " " .. word] = true end
      end
      assert.same(keys(part(help, "Verbs")), keys(seen))
    end
    for name, help in pairs(verbs) do
      local words = {}
      for word in name:gmatch "%S+" do words[#words + 1] = word end
      words[#words + 1] = "--"
      local flags = offered(script, unpack(words))
      table.sort(flags)
      local wanted = flags_of(help)
      wanted["--help"] = "everywhere"
      assert.same(keys(wanted), flags, name)
    end
  end)

  it("completes values: words, files, folders, also behind '='", function()
    local script = output("completion", "bash")
    assert.same({ "debug", "info", "warn", "error" }, offered(script, "dev", "--log-level", ""))
    assert.same({ "warn" }, offered(script, "serve", "--log-level", "=", "wa"))
    assert.same({ "debug", "info", "warn", "error" }, offered(script, "serve", "--log-level", "="))
    assert.same({ "bash", "zsh", "fish" }, offered(script, "completion", ""))
    assert.same({ "spec/host" }, offered(script, "check", "spec/ho"))
    assert.same({ "Makefile" }, offered(script, "serve", "--config", "Makef"))
    assert.same({ "version" }, offered(script, "help", "vers"))
    assert.same({}, offered(script, "serve", "--listen", ""))
    assert.same({ "cpu_ms=", "head_ms=", "idle_ms=" },
      offered(script, "endpoint", "set", "--limit", ""))
  end)

  it("prints completions for zsh and fish with each verb and flag", function()
    local zsh, fish = output("completion", "zsh"), output("completion", "fish")
    for name, help in pairs((all_verbs())) do
      local block = zsh:match("\n  '" .. name:gsub("%-", "%%-") .. "'%)\n(.-);;\n")
      assert.truthy(block, name .. " in zsh")
      for flag in pairs(flags_of(help)) do
        assert.truthy(block:find("'*" .. flag, 1, true), name .. " " .. flag .. " in zsh")
        assert.truthy(fish:find(("'__moonhook_is \"%s\"' -l %s "):format(name, flag:sub(3)), 1,
          true), name .. " " .. flag .. " in fish")
      end
    end
    -- Where these shells are installed they read it themselves.
    for _, shell in ipairs { "zsh", "fish" } do
      if os.execute("command -v " .. shell .. " >/dev/null") == 0 then
        local result = process.run { shell, "-n", "/dev/stdin", seconds = 20,
          stdin = shell == "zsh" and zsh or fish }
        assert.same({ 0, "" }, { result.code, result.stderr })
      end
    end
  end)

  it("prints a manual page that groff has nothing to say about, with each verb and flag", function()
    local page = output "man"
    local result = process.run { "groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-P-c", "-rLL=200n",
      seconds = 20, stdin = page }
    assert.same({ 0, "" }, { result.code, result.stderr })
    local text = result.stdout:gsub("[^\n]\b", ""):gsub("\27%[[%d;]*m", "")
    for name, help in pairs((all_verbs())) do
      local block = text:match("\n *moonhook " .. name:gsub("%-", "%%-") .. "[^\n]*\n(.*)")
      assert.truthy(block, name)
      for flag, summary in pairs(flags_of(help)) do
        assert.truthy(block:find("\n *" .. flag:gsub("%-", "%%-") .. "[ \n]"), name .. flag)
        assert.truthy(block:gsub("%s+", " "):find(summary:gsub("%s+", " "), 1, true), summary)
      end
    end
  end)

  it("has each flag of serve on the page about operations, and no other", function()
    local file = assert(io.open "docs/operations.md")
    local rows = file:read("*a"):match "## Flags and variables(.-)\n## "
    file:close()
    local documented = {}
    for flag in rows:gmatch "\n| `(%-%-[%l-]+)`" do documented[flag] = true end
    local flags = flags_of(output("help", "serve"))
    flags["--print-urls"], flags["--check"] = nil, nil -- have no key
    assert.same(keys(flags), keys(documented))
  end)
end)

describe("the command line", function()
  local function refused(...)
    local result = host.run { ... }
    assert.equal(2, result.code)
    assert.equal("", result.stdout)
    return (result.stderr:gsub("\n$", ""))
  end

  it("names the nearest verb and flag to a mistyped one", function()
    assert.equal("moonhook: there is no verb 'helpp', did you mean 'help'?; see: moonhook help",
      refused "helpp")
    assert.equal("moonhook serve: unknown flag '--confg', did you mean '--config'?; "
      .. "see: moonhook help serve", refused("serve", "--confg=x"))
  end)

  it("takes exactly what a verb takes", function()
    assert.equal("moonhook init: expected NAME; see: moonhook help init", refused "init")
    assert.equal("moonhook serve: unexpected argument 'x'; see: moonhook help serve",
      refused("serve", "x"))
    assert.equal("moonhook serve: --config expects a value: FILE; see: moonhook help serve",
      refused("serve", "--config"))
    assert.equal("moonhook check: --json takes no value; see: moonhook help check",
      refused("check", "--json=1", "x"))
    assert.equal("moonhook completion: expected bash, zsh or fish, got 'csh'; "
      .. "see: moonhook help completion", refused("completion", "csh"))
    assert.equal("moonhook help: there is no verb 'helpp', did you mean 'help'?; "
      .. "see: moonhook help help", refused("help", "helpp"))
  end)

  it("prints help on stderr, and exits with 2, when it is empty", function()
    local result = host.run {}
    assert.same({ 2, "" }, { result.code, result.stdout })
    assert.matches("^Moonhook serves HTTP endpoints", result.stderr)
  end)

  it("takes what comes after -- as it is", function()
    local result = host.run { "check", "--", "--json" }
    assert.equal("--json: expected a plugin's folder, there is none\n", result.stdout)
  end)
end)

describe("make install", function()
  it("installs the program, its manual page and the completions", function()
    local dir = host.folder {}
    local to = dir .. "/stage"
    local built = (os.getenv "MOONHOOK_BIN" or "build/moonhook"):match "^(.*)/moonhook$"
    local result = process.run { "make", "install", "B=" .. built, "DESTDIR=" .. to,
      "PREFIX=/opt/moonhook", seconds = 300 }
    assert.equal(0, result.code, result.stderr)
    for path, text in pairs {
      ["share/man/man1/moonhook.1"] = output "man",
      ["share/bash-completion/completions/moonhook"] = output("completion", "bash"),
      ["share/zsh/site-functions/_moonhook"] = output("completion", "zsh"),
      ["share/fish/vendor_completions.d/moonhook.fish"] = output("completion", "fish"),
    } do
      local file = assert(io.open(to .. "/opt/moonhook/" .. path))
      assert.equal(text, file:read "*a")
      file:close()
    end
    local installed = process.run { to .. "/opt/moonhook/bin/moonhook", "version", seconds = 20 }
    assert.matches("^moonhook %d", installed.stdout)
    os.execute("rm -rf '" .. dir .. "'")
  end)
end)
