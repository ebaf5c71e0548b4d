--- What a process uses, from /proc; nil where there is none (not Linux).
local usage = {}

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

usage.is_known = read "/proc/self/stat" ~= nil

--- Seconds of CPU, user and system together, in steps of 10 ms.
function usage.cpu_seconds(pid)
  local fields = read(("/proc/%d/stat"):format(pid)):match "^.*%) (.*)$"
  local numbers = {}
  for word in fields:gmatch "%S+" do numbers[#numbers + 1] = word end
  return (tonumber(numbers[12]) + tonumber(numbers[13])) / 100
end

--- Resident memory in bytes.
function usage.memory_bytes(pid)
  return tonumber(read(("/proc/%d/status"):format(pid)):match "VmRSS:%s*(%d+)") * 1024
end

--- Open descriptors.
function usage.descriptors(pid)
  local count = 0
  for _ in io.popen(("ls /proc/%d/fd"):format(pid)):lines() do count = count + 1 end
  return count
end

return usage
