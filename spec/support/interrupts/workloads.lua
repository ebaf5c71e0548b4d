-- Code that never ends by itself, run and stopped by drive.c; "check" must work at any time.
local moonhook = require "moonhook"
local json = moonhook.json

local kept = {} -- what the stopped code worked on stays, in whatever state it was left

local workloads = {}
local BODY = ('{"stream":true}'):rep(200)

function workloads.json()
  local value = { list = { 1, 2.5, "three", json.null }, text = ("\u{e9}\n"):rep(50) }
  while true do
    value = json.decode(json.encode(value))
    kept.json = value
  end
end

function workloads.sort()
  local list = {}
  while true do
    for i = 1, 200 do list[i] = (i * 7919) % 211 end
    kept.sort = list
    table.sort(list)
    table.sort(list, function(a, b) return a > b end)
  end
end

function workloads.gsub()
  local names = { a = "one", b = "two" }
  local text = ("a b c "):rep(50)
  while true do
    kept.gsub = text:gsub("%w", names)
    kept.gsub = text:gsub("(%w)( ?)", function(word, space) return space .. word:upper() end)
    kept.gsub = text:gsub("%s+", "%0%0")
    for word in text:gmatch "%a" do kept.word = word end
  end
end

function workloads.coroutines()
  while true do
    local inner = coroutine.wrap(function()
      for i = 1, 100 do
        coroutine.yield(coroutine.wrap(function() coroutine.yield(i) end)())
      end
    end)
    for _ = 1, 100 do kept.coroutine = inner() end
  end
end

function workloads.garbage()
  while true do
    local chain
    for i = 1, 500 do chain = { chain, tostring(i), function() return chain end } end
    kept.garbage = chain
  end
end

function workloads.strings()
  local n = 0
  while true do
    local parts = {}
    for i = 1, 200 do parts[i] = ("%d:%s"):format(i + n, ("x"):rep(i)) end
    n = n + 1
    kept.strings = table.concat(parts, ",") .. n
  end
end

function workloads.numbers()
  local x = 0
  for i = 1, 1e15 do x = x + i % 7 end
  return x
end

function workloads.caught()
  local function deeper() pcall(deeper) end
  while true do
    pcall(error, { code = "x" })
    xpcall(function() return kept.nothing.x end, function(text) return text .. "!" end)
    deeper()
  end
end

function workloads.bytes()
  local crypto = moonhook.crypto
  while true do kept.bytes = crypto.sha256(crypto.random(100)) end
end

function workloads.sleep()
  while true do
    moonhook.sleep(1)
    for i = 1, 5000 do kept[i % 50 + 1] = { i } end
  end
end

-- ---- with calls in flight --------------------------------------------------------------------

-- A call to this backend of drive.c; nil when it cannot be made just now.
local function open(exchange, backend, body)
  local ok, call = pcall(exchange.open, backend, "llm", body or BODY, { stream = true })
  if ok then return call end
  kept.problem = call
  moonhook.sleep(1)
end

function workloads.hog()
  local list = {}
  while true do list[#list + 1] = ("x"):rep(10000) .. #list end
end

function workloads.streams(exchange)
  while true do
    local call = open(exchange, "sse")
    for _ = 1, call and 30 or 0 do
      local piece = exchange.read(call)
      if not piece then break end
      kept.piece = json.decode(piece)
    end
    if call then exchange.close(call) end
  end
end

-- Some are never read to their end, nor closed.
function workloads.halves(exchange)
  while true do
    local one, two = open(exchange, "sse"), open(exchange, "silent")
    if one then kept.piece = exchange.read(one) end
    kept.call = two
    for i = 1, 3000 do kept[i % 50 + 1] = { i } end
    if one and #kept % 2 == 0 then exchange.close(one) end
  end
end

function workloads.answers(exchange)
  while true do
    local ok, call = pcall(exchange.open, "whole", "llm", BODY, {})
    if ok then
      kept.piece = exchange.read(call)
      exchange.close(call)
    else
      moonhook.sleep(1)
    end
  end
end

function workloads.beside(exchange, spawn)
  while true do
    local tasks = {}
    for i = 1, 10 do
      local ok, task = pcall(spawn, function()
        if i == 1 then return moonhook.sleep(20000) end
        local call = open(exchange, i % 2 == 0 and "sse" or "silent")
        for _ = 1, call and 5 or 0 do
          if not exchange.read(call) then break end
        end
        return i
      end)
      tasks[i] = ok and task
    end
    for i = 2, 10, 2 do
      if tasks[i] then pcall(tasks[i].wait, tasks[i]) end
    end
    moonhook.sleep(1)
  end
end

function workloads.bodies(exchange)
  local body = ("b"):rep(200000)
  while true do
    kept.call = open(exchange, "never", body)
    for i = 1, 500 do kept[i % 50 + 1] = { i } end
    if kept.call and #kept % 2 == 0 then exchange.close(kept.call) end
    moonhook.sleep(1)
  end
end

local function check()
  local list = { 5, 3, 4, 1, 2 }
  table.sort(list, function(a, b) return a < b end)
  assert(json.encode(list) == "[1,2,3,4,5]")
  assert(json.decode('{"a":[true]}').a[1] == true)
  assert(("abc"):gsub("%w", function(c) return c .. c end) == "aabbcc")
  assert(("a-b"):gsub("%w", { a = "b", b = "a" }) == "b-a")
  assert(coroutine.wrap(function() return coroutine.yield(1) end)() == 1)
  local ok, problem = pcall(error, "caught", 0)
  assert(not ok and problem == "caught")
  local sum = 0
  for i = 1, 1000 do sum = sum + i end
  assert(sum == 500500)
end

return function(name, ...)
  if name == "check" then return check() end
  return workloads[name](...)
end
