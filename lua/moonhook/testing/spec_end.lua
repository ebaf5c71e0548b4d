-- What is looked at when a spec is over: that it left nothing running, and, where it failed, what
-- the plugin's log has to say. busted tells when.
local TestPlugin = require "moonhook.testing.plugin"
local Reply = require "moonhook.testing.reply"
local json = require "host.json"
local loop = require "moonhook.testing.loop"
local testbed = require "host.testbed"

local AFTER_MS = 61000 -- what after_response may take, and a second
local MANY = 20        -- plugins that nobody holds any more, before the collector is asked

local spec_end = {}

local open = {}      -- [number] = name and place
local unheld = {}    -- numbers of plugins that were collected
local log_from = 0   -- where in the log the present spec began
local open_count = 0

local function close(id)
  if not open[id] then return end
  open[id] = nil
  open_count = open_count - 1
  testbed.close(id)
end

--- A plugin was loaded. The plugin keeps what is given: when it is collected, it may be closed.
function spec_end.watch(id, text)
  open[id] = text
  open_count = open_count + 1
  local held = newproxy(true)
  getmetatable(held).__gc = function() unheld[#unheld + 1] = id end
  return held
end

local function close_unheld()
  if open_count > MANY then collectgarbage() end
  for _, id in ipairs(unheld) do close(id) end
  unheld = {}
end

-- Lets tasks end that have nobody to answer any more. Gives what is still running.
local function still_running()
  local function is_quiet()
    for id in pairs(open) do
      if testbed.live_tasks(id) > 0 then return false end
    end
    return true
  end
  loop.drain(AFTER_MS, is_quiet)
  for id, text in pairs(open) do
    if testbed.live_tasks(id) > 0 then
      close(id)
      return text
    end
  end
end

local function problem_of()
  local problem = loop.take_problem()
  local replies = TestPlugin.open_replies()
  for _, reply in ipairs(replies) do
    local title, place = Reply.place(reply)
    problem = problem or ("%s: the reply of %s was left open: read it to its end, or reply:close()")
      :format(place, title)
    Reply.abandon(reply)
  end
  local running = still_running()
  if running and not problem then
    problem = ("%s still runs a minute after the spec"):format(running)
  end
  return problem or loop.take_problem()
end

local HIDDEN = {
  ts = true, level = true, msg = true, plugin = true, request_id = true, endpoint = true,
  traceback = true, code = true, error = true,
}

local function show(record)
  local lines = { ("  %s: %s"):format(record.level or "?", record.msg or "") }
  if record.code then lines[1] = lines[1] .. " [" .. record.code .. "]" end
  if record.error then lines[1] = lines[1] .. " " .. record.error end
  for name, value in pairs(record) do
    if not HIDDEN[name] and value ~= "" then
      lines[#lines + 1] = ("    %s=%s"):format(name, tostring(value))
    end
  end
  if record.traceback and record.traceback ~= "" then
    lines[#lines + 1] = "    " .. record.traceback:gsub("\n", "\n    ")
  end
  return table.concat(lines, "\n")
end

-- The log since the spec began, without the line per request.
local function show_log(title)
  local text, lines = testbed.log(log_from), {}
  for line in text:gmatch "[^\n]+" do
    local record = json.decode_plain(line)
    if record and record.msg ~= "request" then lines[#lines + 1] = show(record) end
  end
  if #lines == 0 then return end
  io.stdout:flush()
  io.stderr:write(("\nlog of the plugin during \"%s\":\n%s\n"):format(title,
    table.concat(lines, "\n")))
end

-- The spec itself fails when it leaves something behind, so this is run as its last part.
local function on_test_start(element)
  local run = element.moonhook_run or element.run
  element.moonhook_run = run
  log_from = select(2, testbed.log(log_from))
  element.run = function(...)
    run(...)
    local problem = problem_of()
    if problem then error(problem, 0) end
  end
end

local function on_test_end(element, _, status)
  problem_of()
  close_unheld()
  if status ~= "success" then show_log(element.name) end
end

local function on_file_end()
  for id in pairs(open) do close(id) end
  unheld = {}
end

local is_subscribed = false

--- Asks busted to be told, once. Without busted nothing is looked at.
function spec_end.subscribe()
  if is_subscribed then return end
  local ok, busted = pcall(require, "busted")
  if not ok or not busted.subscribe then return end
  is_subscribed = true
  busted.subscribe({ "test", "start" }, on_test_start)
  busted.subscribe({ "test", "end" }, on_test_end)
  busted.subscribe({ "file", "end" }, on_file_end)
end

return spec_end
