--- The real binary, started for one spec on a free port in a folder of its own under build/spec/.
---
---   local server = host.start { config = { plugins = { "plugins" }, endpoints = { ... } },
---                               files = { ["plugins/echo/manifest.yaml"] = "..." } }
---   local reply = server:request { endpoint = "echo", target = "/say" }
---   server:stop() -- ends it, and asserts that it ended well and left nothing open
---
--- MOONHOOK_BIN names the binary; by default build/moonhook.
local cjson = require "cjson"
local http = require "spec.support.http"
local process = require "spec.support.process"

local START_SECONDS = 10
local STOP_SECONDS = 10

local host = {}

---@class Host
---@field dir string  its folder; the configuration is moonhook.yaml in it
---@field base string  "http://127.0.0.1:PORT"
---@field port integer
---@field admin_port integer
---@field process table
local Host = {}
Host.__index = Host

local root = io.popen("pwd"):read "*l"
local count = 0

--- The binary under test, as an absolute path.
function host.binary()
  local path = os.getenv "MOONHOOK_BIN" or "build/moonhook"
  return path:sub(1, 1) == "/" and path or root .. "/" .. path
end

local function quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local function write_file(path, content)
  assert(os.execute("mkdir -p " .. quote(path:match "^(.*)/")) == 0, path)
  -- Written beside, then renamed: as editors do, and never seen half.
  local file = assert(io.open(path .. ".tmp~", "wb"))
  assert(file:write(content))
  assert(file:close())
  assert(os.rename(path .. ".tmp~", path))
end

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

-- JSON is YAML.
local function to_yaml(value)
  return (cjson.encode(value):gsub("\\/", "/"))
end

--- Makes a folder with `files` (path = text) and the configuration. Returns its path.
function host.folder(options)
  count = count + 1
  local dir = ("%s/build/spec/%d-%d"):format(root, process.pid(), count)
  os.execute("rm -rf " .. quote(dir))
  for path, content in pairs(options.files or {}) do write_file(dir .. "/" .. path, content) end
  local config = options.config or {}
  write_file(dir .. "/moonhook.yaml", type(config) == "table" and to_yaml(config) or config)
  return dir
end

local function append(list, more)
  for _, item in ipairs(more or {}) do list[#list + 1] = item end
  return list
end

local function environment(options)
  local env = { ASAN_OPTIONS = "exitcode=99:detect_leaks=1:quarantine_size_mb=8" }
  for name, value in pairs(options.env or {}) do env[name] = value end
  return env
end

--- Runs a verb to its end in a folder made by host.folder: { code, stdout, stderr, dir }.
--- { "check", "plugins/broken", files = { ... }, config = ..., seconds = 10, env = { ... } }
function host.run(options)
  local dir = options.dir or host.folder(options)
  local command = append({ host.binary() }, options)
  command.cwd, command.env, command.stdin = dir, environment(options), options.stdin
  command.seconds = options.seconds
  local result = process.run(command)
  result.dir = dir
  return result
end

---@class HostOptions
---@field config? string|table  of moonhook.yaml: text, or a table
---@field files? table<string, string>  written first
---@field dir? string  of host.folder, instead of config and files; to start again on the same data
---@field finds_config? boolean  start without --config: the file in the folder is found
---@field verb? string  "serve"
---@field binary? string  another one than host.binary()
---@field workers? integer|false  of `serve`: 1, or MOONHOOK_SPEC_WORKERS; false: as configured
---@field listen? string  "127.0.0.1:0"
---@field args? string[]  more arguments
---@field under? string[]  a command to run it under, as { "nice" }
---@field env? table<string, string|false>

--- Starts the host and waits until it listens. Raises with its output if it does not.
---@param options? HostOptions
---@return Host
function host.start(options)
  options = options or {}
  local dir = options.dir or host.folder(options)
  os.remove(dir .. "/stdout")
  os.remove(dir .. "/stderr")
  local command = append({ options.binary or host.binary(), options.verb or "serve" },
    not options.finds_config and { "--config", "moonhook.yaml" })
  command = append(command, { "--data", "data", "--listen", options.listen or "127.0.0.1:0",
    "--admin", "127.0.0.1:0" })
  command = append(command, options.args)
  if command[2] == "serve" then
    append(command, { "--print-urls" })
    if options.workers ~= false then
      append(command, { "--workers",
        tostring(options.workers or os.getenv "MOONHOOK_SPEC_WORKERS" or 1) })
    end
  end
  command = append(append({}, options.under), command)
  command.cwd, command.env = dir, environment(options)
  command.stdout, command.stderr = dir .. "/stdout", dir .. "/stderr"
  local self = setmetatable({ dir = dir, process = process.start(command) }, Host)
  self.is_single = (options.verb or "serve") ~= "serve"
  self._records, self._starts, self._log_bytes = {}, {}, 0
  local is_waiting, ready = pcall(process.eventually, function()
    return self:find_record { msg = "listening", listener = "public" }
      or not self.process:is_running() and "ended"
  end, START_SECONDS, "the host to listen")
  if not is_waiting or ready == "ended" then
    self.process:destroy()
    error(("the host did not start (%s):\n%s"):format(
      is_waiting and "code " .. tostring(self.process.code) or ready, self:log()), 2)
  end
  self.port = tonumber(ready.address:match ":(%d+)$")
  local admin = self:find_record { msg = "listening", listener = "admin" }
  self.admin_port = admin and tonumber(admin.address:match ":(%d+)$")
  self.base = "http://" .. ready.address
  return self
end

--- What it wrote on stderr; `from`: only the part after so many bytes.
function Host:log(from)
  return read_file(self.dir .. "/stderr"):sub((from or 0) + 1)
end

--- What it wrote on stdout.
function Host:output()
  return read_file(self.dir .. "/stdout")
end

-- A record of the pretty log; a line that is none is { text = line }.
local function read_pretty(line)
  local level, message, fields = line:match "^%d+:%d+:%d+%.%d+ (%l+) +(.-)( [%w_]+=.*)$"
  if not level then return { text = line } end
  local record = { level = level, msg = message, text = line }
  for name, value in fields:gmatch " ([%w_]+)=(%S+)" do record[name] = tonumber(value) or value end
  return record
end

-- Takes in the lines that were written since the last time.
function Host:_read_log()
  local file = io.open(self.dir .. "/stderr", "rb")
  if not file then return end
  file:seek("set", self._log_bytes)
  for line in file:read("*a"):gmatch "([^\n]*)\n" do
    local ok, record = pcall(cjson.decode, line)
    self._records[#self._records + 1] = ok and type(record) == "table" and record
      or read_pretty(line)
    self._starts[#self._records] = self._log_bytes
    self._log_bytes = self._log_bytes + #line + 1
  end
  file:close()
end

--- The log's records, as tables, in order; `from`: only those after so many bytes of the log. Lines
--- that are no JSON are { text = line }.
function Host:records(from)
  local records = {}
  self:_read_log()
  for i = #self._records, 1, -1 do
    if self._starts[i] < (from or 0) then break end
    table.insert(records, 1, self._records[i])
  end
  return records
end

--- The first record that has all these fields; strings with a `~` in front are patterns.
function Host:find_record(fields, from)
  for _, record in ipairs(self:records(from)) do
    local is_match = true
    for name, wanted in pairs(fields) do
      local value = record[name]
      local pattern = type(wanted) == "string" and wanted:match "^~(.*)$"
      if pattern then
        is_match = is_match and type(value) == "string" and value:find(pattern) ~= nil
      else
        is_match = is_match and value == wanted
      end
    end
    if is_match then return record end
  end
end

--- Waits for such a record.
function Host:wait_record(fields, seconds, from)
  return process.eventually(function() return self:find_record(fields, from) end, seconds,
    "a log record with " .. cjson.encode(fields))
end

--- The URL of an endpoint, by its name or its plugin.
function Host:url(endpoint)
  local record = process.eventually(function()
    return self:find_record { msg = "endpoint", name = endpoint }
      or self:find_record { msg = "endpoint", plugin = endpoint }
  end, 5, "the URL of endpoint " .. endpoint)
  return record.url
end

local function prepare(self, request)
  if request.endpoint then
    request.url = self:url(request.endpoint)
  elseif not request.url then
    request.port = self.port
  end
  return request
end

--- One exchange with it; { endpoint = "echo", target = "/say" } or { target = "/e/hook/say" }, and
--- what spec.support.http takes.
---@return HttpReply
function Host:request(request)
  return http.request(prepare(self, request))
end

--- The same, with the body left to be read in pieces.
---@return HttpReply
function Host:open(request)
  return http.open(prepare(self, request))
end

--- A raw connection to its public listener.
function Host:connect(options)
  return http.connect(self.port, options)
end

--- Writes a file in its folder, atomically.
function Host:write(path, content)
  write_file(self.dir .. "/" .. path, content)
end

--- The pid of worker `name` (1), or of the "keeper"; nil: there is none now. `dev` has one process.
function Host:pid(name)
  if self.is_single then return self.process.pid end
  local pid
  name = name == "keeper" and name or "worker " .. (name or 1)
  for _, record in ipairs(self:records()) do
    if record.msg == "process started" and record.process == name then
      pid = record.pid
    elseif record.msg == "process died" and record.pid == pid then
      pid = nil
    end
  end
  return pid
end

-- What each process said of its end, by its pid: the "closed" record, or false. Those that were
-- killed are left out.
function Host:_ends()
  local ends = {}
  for _, record in ipairs(self:records()) do
    if record.msg == "process started" then ends[record.pid] = false end
    if record.msg == "process died" then ends[record.pid] = nil end
    if record.msg == "closed" then ends[record.pid] = record end
  end
  return ends
end

--- Ends it with SIGTERM. Asserts a clean exit with nothing left open; then removes its folder,
--- unless `keeps_folder`.
function Host:stop(keeps_folder)
  self.process:kill "TERM"
  local code, signal = self.process:wait(STOP_SECONDS)
  if code ~= 0 then
    error(("the host ended with %s, its log was:\n%s"):format(
      code and "code " .. code or "signal " .. signal, self:log()), 2)
  end
  local has_closed
  for pid, closed in pairs(self:_ends()) do
    has_closed = true
    if not closed or closed.open_handles ~= 0 or closed.live_tasks ~= 0
      or closed.leaked_bytes ~= 0 then
      error(("process %d left something open: %s"):format(pid,
        closed and cjson.encode(closed) or self:log()), 2)
    end
  end
  if self:find_record { msg = "process died", how = "exit code 99" } then
    error("the sanitizer found something:\n" .. self:log(), 2)
  end
  if not has_closed then error("the host did not close:\n" .. self:log(), 2) end
  if not keeps_folder then os.execute("rm -rf " .. quote(self.dir)) end
end

return host
