--- Child processes for specs: start, feed, read with deadlines, signal, wait. Every child is killed
--- when its spec run ends, however it ends. Times are seconds.
local ffi = require "ffi"

-- Specs do not need speed. The runner itself was seen to crash once, before any test; compiled code
-- around the C calls of this file is the likely place, so none is compiled.
jit.off()

-- busted loads modules afresh for each file, into the same Lua state.
if not pcall(ffi.typeof, "moonhook_pollfd") then ffi.cdef [[
typedef struct { int fd; short events; short revents; } moonhook_pollfd;
typedef struct { long sec; long nsec; } moonhook_timespec;
int fork(void);
int getpid(void);
int execvp(const char *file, char *const argv[]);
int waitpid(int pid, int *status, int options);
int kill(int pid, int signal);
int pipe(int fds[2]);
int dup2(int from, int to);
int close(int fd);
int open(const char *path, int flags, int mode);
int chdir(const char *path);
int setenv(const char *name, const char *value, int overwrite);
int unsetenv(const char *name);
int setpgid(int pid, int group);
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int fcntl(int fd, int command, long argument);
long read(int fd, void *bytes, size_t len);
long write(int fd, const void *bytes, size_t len);
int poll(moonhook_pollfd *fds, unsigned long count, int timeout_ms);
int clock_gettime(int clock, moonhook_timespec *time);
void _exit(int code);
char *strerror(int code);
]] end
local C = ffi.C

local F_SETFD, FD_CLOEXEC = 2, 1
local O_RDONLY, O_WRONLY_CREAT_APPEND = 0, 0x441
local POLLIN = 1
local PR_SET_PDEATHSIG = 1
local SIGKILL, SIGTERM = 9, 15
local WNOHANG = 1
local SIGNALS = { HUP = 1, INT = 2, QUIT = 3, KILL = 9, USR1 = 10, SEGV = 11, USR2 = 12, PIPE = 13,
  TERM = 15, CONT = 18, STOP = 19 }

local process = {}
local Process = {}
Process.__index = Process

local timespec = ffi.new "moonhook_timespec"

--- Monotonic time.
function process.now()
  C.clock_gettime(1, timespec)
  return tonumber(timespec.sec) + tonumber(timespec.nsec) / 1e9
end

local now = process.now

function process.pid()
  return C.getpid()
end

local function check(result, what)
  if result < 0 then error(what .. ": " .. ffi.string(C.strerror(ffi.errno())), 3) end
  return result
end

--- Waits, then looks again: calls `condition` every 2 ms until it gives a true value, and returns
--- that. Raises after `seconds` (5), with `what` in the message.
function process.eventually(condition, seconds, what)
  local deadline = now() + (seconds or 5)
  while true do
    local value = condition()
    if value then return value end
    if now() > deadline then
      error(("waited %g s for %s"):format(seconds or 5, what or "a condition"), 2)
    end
    C.poll(nil, 0, 2)
  end
end

local function new_pipe()
  local fds = ffi.new "int[2]"
  check(C.pipe(fds), "pipe")
  C.fcntl(fds[0], F_SETFD, FD_CLOEXEC)
  C.fcntl(fds[1], F_SETFD, FD_CLOEXEC)
  return fds[0], fds[1]
end

-- In the child: becomes the program, or leaves with 127.
local function become(argv, options, stdin, stdout, stderr)
  C.setpgid(0, 0)
  if ffi.os == "Linux" then C.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) end
  C.dup2(stdin, 0)
  C.dup2(stdout, 1)
  C.dup2(stderr, 2)
  for name, value in pairs(options.env or {}) do
    if value then C.setenv(name, value, 1) else C.unsetenv(name) end
  end
  if not options.cwd or C.chdir(options.cwd) == 0 then C.execvp(argv[0], argv) end
  local message = ("cannot run %s: %s\n"):format(options[1], ffi.string(C.strerror(ffi.errno())))
  C.write(2, message, #message)
  C._exit(127)
end

-- Where an output goes: a new pipe (nil), or a file that it is appended to. Returns the fd for the
-- child and, for a pipe, the one to read.
local function open_output(path)
  if not path then
    local reader, writer = new_pipe()
    return writer, reader
  end
  return check(C.open(path, O_WRONLY_CREAT_APPEND, 0x1A4), path)
end

local function open_input(text)
  if not text then return check(C.open("/dev/null", O_RDONLY, 0), "/dev/null") end
  local reader, writer = new_pipe()
  assert(#text <= 65536, "stdin: more than a pipe holds")
  C.write(writer, text, #text)
  C.close(writer)
  return reader
end

---@class ProcessOptions  the array part is the command and its arguments
---@field env? table<string, string|false>  changes to the environment; false removes
---@field cwd? string
---@field stdin? string  text, at most 64 KiB; else nothing
---@field stdout? string  a file to append to; else a pipe, read by :read and :wait_for
---@field stderr? string  likewise

--- Starts a program. Its process group is its own.
---@param options ProcessOptions
function process.start(options)
  local argv = ffi.new("char *[?]", #options + 1)
  local keep = {} -- argv holds pointers only
  for i, word in ipairs(options) do
    keep[i] = ffi.new("char[?]", #word + 1, word)
    argv[i - 1] = keep[i]
  end
  local stdin = open_input(options.stdin)
  local stdout, read_stdout = open_output(options.stdout)
  local stderr, read_stderr = open_output(options.stderr)
  local pid = check(C.fork(), "fork")
  if pid == 0 then become(argv, options, stdin, stdout, stderr) end
  C.setpgid(pid, pid)
  C.close(stdin)
  C.close(stdout)
  C.close(stderr)
  local child = setmetatable({
    pid = pid,
    command = table.concat(options, " "),
    _fds = { stdout = read_stdout, stderr = read_stderr },
    _text = { stdout = "", stderr = "" },
  }, Process)
  process._children[pid] = child
  return child
end

-- Reads what has come on the pipes, waiting up to `seconds` for the first byte or the end.
function Process:_drain(seconds)
  local fds, names = ffi.new "moonhook_pollfd[2]", {}
  for name, fd in pairs(self._fds) do
    fds[#names].fd, fds[#names].events = fd, POLLIN
    names[#names + 1] = name
  end
  if C.poll(fds, #names, math.max(0, math.ceil(seconds * 1000))) <= 0 then return false end
  local bytes = ffi.new "char[65536]"
  for i, name in ipairs(names) do
    if fds[i - 1].revents ~= 0 then
      local len = tonumber(C.read(self._fds[name], bytes, 65536))
      if len > 0 then
        self._text[name] = self._text[name] .. ffi.string(bytes, len)
      else
        C.close(self._fds[name])
        self._fds[name] = nil
      end
    end
  end
  return true
end

--- What came on a pipe so far ("stdout" or "stderr").
function Process:output(name)
  while next(self._fds) and self:_drain(0) do end
  return self._text[name]
end

--- Waits until `pattern` is found in a pipe's text; returns its captures (or the match). Raises
--- after `seconds` (5) or when the pipe ends, with the text so far.
function Process:wait_for(name, pattern, seconds)
  local deadline = now() + (seconds or 5)
  while true do
    local found = { self._text[name]:match(pattern) }
    if found[1] then return unpack(found) end
    local left = deadline - now()
    if left <= 0 or not self._fds[name] then
      error(("%s: no %q on its %s, which was:\n%s"):format(self.command, pattern, name,
        self._text[name]), 2)
    end
    self:_drain(left)
  end
end

--- Sends a signal ("TERM") to any process. False: there is none of that pid.
function process.kill(pid, signal)
  return C.kill(pid, SIGNALS[signal] or error("unknown signal " .. signal, 2)) == 0
end

--- Is there a process of that pid, and is it no zombie?
function process.is_alive(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return false end
  local state = file:read("*a"):match "%) (%a)"
  file:close()
  return state ~= nil and state ~= "Z"
end

--- The pids of a process's children, zombies included.
function process.children(pid)
  local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  local pids = {}
  if not file then return pids end
  for child in file:read("*a"):gmatch "%d+" do pids[#pids + 1] = tonumber(child) end
  file:close()
  return pids
end

--- Sends a signal ("TERM") to the process alone.
function Process:kill(signal)
  if not self.code and not self.signal then
    C.kill(self.pid, SIGNALS[signal or "TERM"] or error("unknown signal " .. signal, 2))
  end
end

-- Collects the process if it has ended.
function Process:_reap()
  local status = ffi.new "int[1]"
  if self.code or self.signal then return true end
  if C.waitpid(self.pid, status, WNOHANG) ~= self.pid then return false end
  local signal = bit.band(status[0], 0x7f)
  if signal == 0 then
    self.code = bit.band(bit.rshift(status[0], 8), 0xff)
  else
    self.signal = signal
  end
  process._children[self.pid] = nil
  return true
end

function Process:is_running()
  return not self:_reap()
end

--- Waits for the end. Returns the exit code, or nil and the signal that ended it. Raises after
--- `seconds` (5); the process is then killed.
function Process:wait(seconds)
  local deadline = now() + (seconds or 5)
  while not self:_reap() do
    if now() > deadline then
      self:destroy()
      error(("%s did not end within %g s"):format(self.command, seconds or 5), 2)
    end
    if next(self._fds) then self:_drain(0.005) else C.poll(nil, 0, 2) end
  end
  while next(self._fds) and self:_drain(0) do end
  self:_close_pipes() -- a grandchild may still hold them
  return self.code, self.signal
end

function Process:_close_pipes()
  for name, fd in pairs(self._fds) do
    C.close(fd)
    self._fds[name] = nil
  end
end

--- Kills the process and its group, and collects it.
function Process:destroy()
  if self:_reap() then return end
  C.kill(-self.pid, SIGKILL)
  C.kill(self.pid, SIGKILL)
  while not self:_reap() do C.poll(nil, 0, 1) end
  self:_close_pipes()
end

--- Runs a program to its end: { code, signal, stdout, stderr }. `seconds` in the options: 10.
---@param options ProcessOptions
function process.run(options)
  local child = process.start(options)
  local code, signal = child:wait(options.seconds or 10)
  return { code = code, signal = signal, stdout = child._text.stdout, stderr = child._text.stderr }
end

--- Asks every child that is left to end, then makes it.
function process.kill_all()
  local left = {}
  for _, child in pairs(process._children) do
    C.kill(child.pid, SIGTERM)
    left[#left + 1] = child
  end
  for _, child in ipairs(left) do child:destroy() end
end

-- The children live in a table of their own so that the end of the Lua state finds them.
process._children = {}
process._guard = newproxy(true)
getmetatable(process._guard).__gc = process.kill_all

return process
