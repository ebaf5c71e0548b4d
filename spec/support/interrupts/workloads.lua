-- Code that never ends by itself, run and stopped by drive.c; "check" must work at any time.
local moonhook = require "moonhook"
local json = moonhook.json

local kept = {} -- what the stopped code worked on stays, in whatever state it was left

local workloads = {}

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

return function(name)
  if name == "check" then return check() end
  return workloads[name]()
end
