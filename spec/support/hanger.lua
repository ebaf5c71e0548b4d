--- A library that hosts are started with so that plugins can hang or crash in C, where no hook
--- reaches: see spec/support/hang.c. For setup and teardown of a spec file:
---
---   setup(hanger.build)
---   teardown(hanger.remove)
---   host.start { env = hanger.env() }
local host = require "spec.support.host"
local process = require "spec.support.process"

local is_asan = (os.getenv "MOONHOOK_BIN" or ""):find "asan" ~= nil
local dir

local hanger = {
  HANG = "require('moonhook').crypto.sha256 'hang now'",
  SPIN = "require('moonhook').crypto.sha256 'spin now'",
  CRASH = "require('moonhook').crypto.sha256 'crash now'",
  has_crashes = not is_asan, -- the sanitizer has handlers of its own
}

--- Builds one of spec/support's libraries ("hang") and gives its path.
function hanger.build(name)
  name = type(name) == "string" and name or "hang"
  dir = dir or host.folder {}
  local path = ("%s/%s.so"):format(dir, name)
  local made = process.run { "cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", path,
    ("spec/support/%s.c"):format(name), "-ldl" }
  assert(made.code == 0, made.stderr)
  return path
end

function hanger.remove()
  os.execute("rm -rf " .. dir)
  dir = nil
end

--- `more`: another library to load, and `extra` variables.
function hanger.env(more, extra)
  local env = {
    LD_PRELOAD = dir .. "/hang.so" .. (more and " " .. more or ""),
    ASAN_OPTIONS = is_asan and "exitcode=99:detect_leaks=1:verify_asan_link_order=0" or nil,
  }
  for name, value in pairs(extra or {}) do env[name] = value end
  return env
end

--- Asks for what hangs or crashes a worker, and does not wait for a reply. Gives the record of the
--- worker's death, and where the log was before.
function hanger.kill_worker(server, target)
  local from = #server:log()
  local connection = server:connect()
  connection:send("GET " .. target .. " HTTP/1.1\r\nHost: t\r\n\r\n")
  local died = server:wait_record({ msg = "process died" }, 10, from)
  connection:close()
  return died, from
end

return hanger
