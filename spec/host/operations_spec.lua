-- docs/operations.md, "Endpoints day to day": its commands, run in their order in one shell on a
-- host in the folder that "First start" describes, print what the page shows.
local host = require "spec.support.host"
local process = require "spec.support.process"

local root = io.popen("pwd"):read "*l"

local function read_page()
  local file = assert(io.open "docs/operations.md")
  local page = file:read "*a"
  file:close()
  return page
end

local function section(page, title)
  return assert(page:match("\n## " .. title .. "\n(.-)\n## "), title)
end

-- { { command, expected lines } ... } of all console blocks.
local function commands_of(text)
  local commands = {}
  for block in text:gmatch "```console\n(.-)```" do
    for line in block:gmatch "[^\n]+" do
      local command = line:match "^%$ (.*)$"
      if command then
        commands[#commands + 1] = { command = command }
      else
        table.insert(commands[#commands], line)
      end
    end
  end
  return commands
end

-- What is another at each run reads the same.
local function normal(line)
  line = line:gsub("127%.0%.0%.1:%d+", "HOST"):gsub("ep_%w+", "ID"):gsub("/e/[a-z2-7]+", "/e/HOOK")
  return (line:gsub("%s+", " "):gsub(" $", ""))
end

-- Whether the lines are the expected ones; "..." is any lines, at a line's end the rest of it.
local function fits(expected, lines, i, j)
  i, j = i or 1, j or 1
  if not expected[i] then return lines[j] == nil end
  if expected[i] == "..." then
    for k = j, #lines + 1 do
      if fits(expected, lines, i + 1, k) then return true end
    end
    return false
  end
  if not lines[j] then return false end
  local wanted, line = normal(expected[i]), normal(lines[j])
  local start = wanted:match "^(.-)%.%.%.$"
  if start and line:sub(1, #start) == start or line == wanted then
    return fits(expected, lines, i + 1, j + 1)
  end
  return false
end

describe("docs/operations.md", function()
  it("shows an endpoint's life as the commands really do it", function()
    local page = read_page()
    local config = section(page, "First start"):match "```yaml\n(.-)```"
    assert.equal("moonhook serve", commands_of(section(page, "First start"))[1].command)
    local dir = host.folder { config = config }
    os.execute(("ln -s '%s/plugins' '%s/plugins'; mkdir '%s/bin'; ln -s '%s' '%s/bin/moonhook'"):
      format(root, dir, dir, host.binary(), dir))
    local server = host.start { dir = dir }

    local commands = commands_of(section(page, "Endpoints day to day"))
    assert.is_true(#commands > 20)
    local script = {}
    for i, item in ipairs(commands) do
      -- Each command's output in a file of its own; the shell's variables live on.
      script[i] = ("{ %s\n} >out.%d 2>err.%d || echo failed >>err.%d"):format(item.command, i, i, i)
    end
    local result = process.run { "bash", "--norc", "-c", table.concat(script, "\n"), cwd = dir,
      seconds = 60, env = { PATH = dir .. "/bin:" .. os.getenv "PATH",
        MOONHOOK_ADMIN = "127.0.0.1:" .. server.admin_port } }
    assert.equal(0, result.code, result.stderr)
    for i, item in ipairs(commands) do
      local lines = {}
      for line in io.lines(("%s/out.%d"):format(dir, i)) do lines[#lines + 1] = line end
      local errors = io.open(("%s/err.%d"):format(dir, i)):read "*a"
      assert.is_nil(errors:find("failed\n", 1, true), item.command .. "\n" .. errors)
      assert.is_true(fits(item, lines), ("%s\nprinted\n%s\ninstead of\n%s"):format(item.command,
        table.concat(lines, "\n"), table.concat(item, "\n")))
    end

    -- The key is not to be found in the log.
    local key = io.open(dir .. "/key.txt"):read "*l"
    assert.equal(32, #key)
    assert.is_nil(server:log():find(key, 1, true))
    server:stop()
  end)
end)
