--- moonhook doctor: looks at everything that a host needs here, and says what is wrong with it.

local bit = require "bit"
local json = require "moonhook.json"
local tool = require "host.tool"
local output = require "moonhook.cli.output"

local PROBE_MS = 5000
local YEAR_2024_MS = 1704067200000

---@class Finding
---@field check string  what was looked at
---@field status "ok"|"warn"|"fail"
---@field message string

local Report = {}
Report.__index = Report

function Report:add(status, check, format, ...)
  self[#self + 1] = { check = check, status = status, message = format:format(...) }
end

-- { ["limits.max_connections"] = 10000 }, and the folder that paths are relative to.
local function values_of(config)
  local values = {}
  for _, value in ipairs(config.values) do
    if value.value ~= json.null then values[value.key] = value.value end
  end
  return values, config.file ~= json.null and type(config.file) == "string"
    and config.file:match "^(.*)/[^/]*$" or "."
end

local function join(folder, path)
  return path:sub(1, 1) == "/" and path or folder == "." and path or folder .. "/" .. path
end

-- ---- files --------------------------------------------------------------------------------------

local function check_folder(report, check, path, made_by)
  local found = tool.stat(path)
  if not found then
    local parent = path:match "^(.+)/[^/]+/?$" or (path:sub(1, 1) == "/" and "/" or ".")
    local ok, message = tool.may_write(parent)
    if ok then
      report:add("ok", check, "%s is made %s", path, made_by)
    elseif tool.stat(parent) then
      report:add("fail", check, "%s cannot be made: %s: %s", path, parent, message)
    else
      report:add("ok", check, "%s is made %s, with the folders above it", path, made_by)
    end
  elseif found.type ~= "folder" then
    report:add("fail", check, "%s is no folder", path)
  else
    local ok, why = tool.may_write(path)
    if not ok then
      report:add("fail", check, "%s cannot be written: %s", path, why)
    elseif bit.band(found.mode, 63) ~= 0 then -- group and others: octal 77
      report:add("warn", check, "others on this machine may look into %s: chmod 700 it", path)
    else
      report:add("ok", check, "%s can be written", path)
    end
  end
end

-- A file with a secret in it is for its owner alone.
local function check_key(report, check, path, is_needed)
  local found, why = tool.stat(path)
  if not found then
    if is_needed then
      report:add("fail", check, "%s: %s", path, why)
    else
      report:add("ok", check, "%s is made at the first start", path)
    end
    return
  end
  local file
  file, why = io.open(path, "rb")
  if file then file:close() end
  if not file then
    report:add("fail", check, "%s", why)
  elseif bit.band(found.mode, 63) ~= 0 then
    report:add(is_needed and "warn" or "fail", check,
      "others on this machine may read %s: chmod 600 it", path)
  else
    report:add("ok", check, "%s is for its owner alone", path)
  end
end

local function check_files(report, input, values, folder)
  check_folder(report, "data folder", values.data, "at the first start")
  if tool.stat(values.data) then
    check_folder(report, "snapshot store", values.data .. "/plugins", "when a plugin is loaded")
  end
  check_key(report, "admin key", input.admin.key_file, values["admin.key_file"] ~= nil)
  check_key(report, "key of secrets", values.data .. "/secrets.key", false)
  local keys = {}
  for key, path in pairs(values) do
    if key:find "^backends%..*key_file$" then keys[#keys + 1] = { key, join(folder, path) } end
  end
  table.sort(keys, function(a, b) return a[1] < b[1] end)
  for _, key in ipairs(keys) do check_key(report, key[1], key[2], true) end
end

-- ---- listeners ----------------------------------------------------------------------------------

local function split_address(address)
  local host, port = address:match "^%[(.*)%]:(%d+)$"
  if not host then host, port = address:match "^(.*):(%d+)$" end
  return host, tonumber(port)
end

local ANY = { ["0.0.0.0"] = "127.0.0.1", ["::"] = "::1" }

local function is_loopback(host)
  return host:find "^127%." ~= nil or host == "::1" or host == "localhost"
    or host:find "%.localhost$" ~= nil
end

-- Whether a host of ours answers on its admin listener.
local function is_running(input)
  local status, body = tool.call("GET", input.admin.url .. "/healthz", {}, "", PROBE_MS)
  return status == 200 and body == "ok\n"
end

local function check_listener(report, check, address, runs)
  local host, port = split_address(address)
  local ok, why = tool.connect(ANY[host] or host, port, PROBE_MS)
  if ok and runs then
    report:add("ok", check, "the host answers at %s", address)
  elseif ok then
    report:add("fail", check, "another program listens at %s", address)
  elseif runs then
    report:add("fail", check, "a host runs, and %s does not answer: %s", address, why)
  else
    ok, why = tool.listen(host, port)
    if ok then
      report:add("ok", check, "%s can be listened at; no host runs", address)
    else
      report:add("fail", check, "%s cannot be listened at: %s", address, why)
    end
  end
end

-- ---- the public URL -----------------------------------------------------------------------------

local function probe_public(report, url)
  local status, body = tool.call("GET", url .. "/e/moonhook-doctor/", {}, "", PROBE_MS)
  if not status then
    report:add("warn", "public URL", "%s does not answer from here: %s", url, body)
  elseif status == 404 and body:find('"code":"not_found"', 1, true) then
    report:add("ok", "public URL", "%s leads to a host", url)
  else
    report:add("warn", "public URL", "%s answered with %d, and not as a host does", url, status)
  end
end

local function check_public(report, values, runs)
  local url, domain = values["public.url"], values["public.base_domain"]
  local listens = split_address(values["public.listen"])
  local host = domain or url and (url:match "^https?://%[(.-)%]" or url:match "^https?://([^/:]+)")
  if host and is_loopback(host) and not is_loopback(listens) then
    report:add("warn", "public URL", "%s leads to this machine only, while %s is open to others",
      domain or url, values["public.listen"])
  elseif not host and not is_loopback(listens) and not values["public.trusted_proxies"] then
    report:add("warn", "public URL", "public.url is not set: URLs are made of what requests say")
  elseif not host and values["public.trusted_proxies"] then
    report:add("warn", "public URL", "public.url is not set: verbs and the admin API show %s, "
      .. "which clients of the proxy do not reach", values["public.listen"])
  elseif not host then
    report:add("ok", "public URL", "none is set; URLs are made of what requests say")
  elseif url and url:find "^http:" and not is_loopback(host) then
    report:add("warn", "public URL", "%s is not encrypted: put a proxy with TLS in front", url)
  elseif url and runs then
    probe_public(report, url)
  else
    report:add("ok", "public URL", "%s", url or "{hook_id}." .. domain)
  end
end

-- ---- the rest -----------------------------------------------------------------------------------

local function check_backends(report, values)
  local names = {}
  for key in pairs(values) do names[#names + 1] = key:match "^backends%.(.*)%.url$" end
  table.sort(names)
  for _, name in ipairs(names) do
    local url = values["backends." .. name .. ".url"]
    local status, why = tool.call("GET", url, {}, "", PROBE_MS)
    if not status then
      report:add("fail", "backend " .. name, "%s cannot be reached: %s", url, why)
    elseif status >= 500 then
      report:add("warn", "backend " .. name, "%s answers with %d", url, status)
    else
      report:add("ok", "backend " .. name, "%s answers", url)
    end
  end
end

local function check_clock(report, values)
  local now, newest = tool.wall_ms(), 0
  for _, name in ipairs { "moonhook.db", "moonhook.db-wal", "registry.db-wal" } do
    local found = tool.stat(values.data .. "/" .. name)
    if found then newest = math.max(newest, found.changed_ms) end
  end
  if now < YEAR_2024_MS then
    report:add("fail", "clock", "it says %s", os.date("!%Y-%m-%dT%H:%M:%SZ", now / 1000))
  elseif newest > now + 60000 then
    report:add("warn", "clock", "the data was written %d s from now: it went backwards",
      (newest - now) / 1000)
  else
    report:add("ok", "clock", "%s", os.date("!%Y-%m-%dT%H:%M:%SZ", now / 1000))
  end
end

local function check_luajit(report, input)
  if input.runs_compiled then
    report:add("ok", "LuaJIT", "%s, plugins run compiled", input.luajit)
  else
    report:add("warn", "LuaJIT", "%s cannot interrupt compiled code: plugins run interpreted",
      input.luajit)
  end
end

local NO_SUCH_CALL, SWITCHED_OFF = -38, -95 -- ENOSYS, EOPNOTSUPP

local function why_no_files(landlock)
  if landlock == NO_SUCH_CALL then
    return "this kernel has no Landlock, which Linux has from 5.13 on"
  elseif landlock == SWITCHED_OFF then
    return "this kernel has Landlock and does not use it: boot with landlock in lsm="
  elseif landlock < 0 then
    return ("Landlock gives error %d"):format(-landlock)
  end
  return "Landlock refuses the rules"
end

-- What a worker that starts here is kept from, found out by trying.
local function check_kernel(report, found)
  local lacks = {}
  if not found.has_calls then lacks[#lacks + 1] = "system calls are not filtered (seccomp)" end
  if not found.has_files then
    lacks[#lacks + 1] = "files are not kept from workers: " .. why_no_files(found.landlock)
  end
  if found.is_off then
    report:add("warn", "confinement", "MOONHOOK_CONFINE=off: workers that start here keep all "
      .. "system calls and files")
  elseif #lacks > 0 then
    report:add("warn", "confinement", "%s", table.concat(lacks, "; "))
  else
    report:add("ok", "confinement", "workers get filtered system calls (seccomp) and the host's "
      .. "own files (Landlock, version %d)", found.landlock)
  end
end

-- What holds for those that run.
local function check_workers(report, input)
  local file = io.open(input.admin.key_file, "rb")
  local key = file and file:read "*l"
  if file then file:close() end
  local status, body = tool.call("GET", input.admin.url .. "/api/v1/status",
    { "Authorization", "Bearer " .. (key or "") }, "", PROBE_MS)
  local ok, answer = pcall(json.decode, body)
  if status ~= 200 or not ok or not answer.processes then
    report:add("warn", "workers", "the host does not say what they are kept from: %s",
      key and "it does not take the key in " .. input.admin.key_file
        or input.admin.key_file .. " cannot be read")
    return
  end
  local free, count, is_single = {}, 0, true
  for _, process in ipairs(answer.processes) do
    if process.name == "keeper" then
      is_single = false
    elseif process.ready then
      count = count + 1
      if not (process.calls_filtered and process.files_confined) then
        free[#free + 1] = ("%s (%s)"):format(process.name, process.calls_filtered and "all files"
          or process.files_confined and "all system calls" or "all system calls and files")
      end
    end
  end
  if is_single then
    report:add("ok", "workers", "moonhook dev runs, which is one process and not confined")
  elseif #free > 0 then
    report:add("warn", "workers", "not confined wholly: %s", table.concat(free, ", "))
  else
    report:add("ok", "workers", "%d confined: filtered system calls, the host's own files", count)
  end
end

local function check_open_files(report, values)
  local soft, hard = tool.open_files()
  -- A connection is one descriptor, a call to an upstream another.
  local wanted = 2 * values["limits.max_connections"]
  if soft >= 0 and soft < wanted then
    report:add("warn", "open files", "at most %d here, and limits.max_connections wants %d "
      .. "(LimitNOFILE, ulimit -n%s)", soft, wanted,
      (hard < 0 or hard >= wanted) and "; it may be raised" or "")
  else
    report:add("ok", "open files", "%s", soft < 0 and "no limit" or ("at most %d"):format(soft))
  end
end

-- ---- the verb -----------------------------------------------------------------------------------

local function examine(input)
  local report = setmetatable({}, Report)
  if not input.config then
    report:add("fail", "configuration", "%s", input.problem)
    check_luajit(report, input)
    return report
  end
  local values, folder = values_of(input.config)
  local file = input.config.file
  report:add("ok", "configuration", "%s",
    type(file) == "string" and file or "none, the defaults hold")
  check_files(report, input, values, folder)
  local runs = is_running(input)
  check_listener(report, "public listener", values["public.listen"], runs)
  check_listener(report, "admin listener", values["admin.listen"], runs)
  check_public(report, values, runs)
  check_backends(report, values)
  check_clock(report, values)
  check_luajit(report, input)
  check_open_files(report, values)
  check_kernel(report, input.confine)
  if runs then check_workers(report, input) end
  return report
end

---@param input CliInput
return function(input)
  local report, counts = examine(input), { ok = 0, warn = 0, fail = 0 }
  local rows = {}
  for i, finding in ipairs(report) do
    counts[finding.status] = counts[finding.status] + 1
    rows[i] = { finding.status, finding.check, finding.message }
  end
  if input.flags["--json"] then
    output.json { checks = json.array(setmetatable(report, nil)), failed = counts.fail,
      warnings = counts.warn }
  else
    output.columns({ "STATUS", "CHECK", "FOUND" }, rows)
  end
  output.say("%d fine, %d to look at, %d wrong", counts.ok, counts.warn, counts.fail)
  return counts.fail > 0 and 1 or 0
end
