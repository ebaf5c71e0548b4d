-- Hook ids cannot be guessed: they are random in every place, and the host takes as long to refuse
-- one that is nearly right, or of a disabled endpoint, as any other.
local cjson = require "cjson"
local admin = require "spec.support.admin"
local host = require "spec.support.host"
local http = require "spec.support.http"
local process = require "spec.support.process"

local LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
local LENGTH = 26
local IDS = 5000
local REQUESTS = 3000

-- For 31 degrees of freedom p is 5e-9 here, so that one of 26 places goes above it by chance in one
-- of 7 million runs. A letter that is missing gives some 160, and so does one that comes twice.
local MOST_CHI_SQUARED = 100

-- Differences by chance stay below 5. The control, which a handler answers, is far above.
local MOST_T = 12

local CONFIG = { plugins = { "plugins" } }
local FILES = {
  ["plugins/plain/manifest.yaml"] = [[
version: 0.0.1
type: plugin
author: spec
name: plain
plugins:
  endpoints:
    - endpoints: [ { path: /, method: GET, extra: { lua: { source: plain.lua } } } ]
]],
  ["plugins/plain/plain.lua"] = [[
return function()
  local sum = 0
  for i = 1, 200000 do sum = sum + i % 7 end -- a fraction of a millisecond
  return tostring(sum)
end]],
}

-- How far the letters of one place are from being equally many.
local function chi_squared(ids, place)
  local counts, sum = {}, 0
  for letter in LETTERS:gmatch "." do counts[letter] = 0 end
  for _, id in ipairs(ids) do
    local letter = id:sub(place, place)
    counts[letter] = counts[letter] + 1
  end
  local expected = #ids / #LETTERS
  for _, count in pairs(counts) do sum = sum + (count - expected) ^ 2 / expected end
  return sum
end

local function with_letter(id, place, letter)
  return id:sub(1, place - 1) .. letter .. id:sub(place + 1)
end

-- Of the times below `limit`: the others are the machine's.
local function describe_times(times, limit)
  local count, mean, squares = 0, 0, 0
  for _, time in ipairs(times) do
    if time <= limit then
      count = count + 1
      local distance = time - mean
      mean = mean + distance / count
      squares = squares + distance * (time - mean)
    end
  end
  return count, mean, squares / (count - 1)
end

-- Welch's t of two classes of times, without the slowest tenth of both together.
local function welch_t(a, b)
  local all = {}
  for _, times in ipairs { a, b } do
    for _, time in ipairs(times) do all[#all + 1] = time end
  end
  table.sort(all)
  local limit = all[math.floor(#all * 0.9)]
  local count_a, mean_a, variance_a = describe_times(a, limit)
  local count_b, mean_b, variance_b = describe_times(b, limit)
  return (mean_a - mean_b) / math.sqrt(variance_a / count_a + variance_b / count_b)
end

describe("hook ids", function()
  local server, api

  setup(function()
    server = host.start { config = CONFIG, files = FILES }
    api = admin.of(server)
  end)

  teardown(function()
    server:stop()
  end)

  local function make()
    return api:ask("POST", "/endpoints", { plugin = "plain" }, 201)
  end

  it("are all different, and random in every place", function()
    local made = make()
    local connection = http.connect(server.admin_port)
    local ids, seen = { made.hook_id }, { [made.hook_id] = true }
    local headers = { Authorization = "Bearer " .. api.key }
    while #ids < IDS do -- a new one is made as the first was, without 5,000 endpoints
      local reply = http.request { port = server.admin_port, connection = connection,
        method = "POST", target = "/api/v1/endpoints/" .. made.id .. "/rotate",
        headers = headers, seconds = 20 }
      assert.equal(200, reply.status, reply.body)
      local id = cjson.decode(reply.body).hook_id
      assert.is_nil(seen[id], id)
      seen[id], ids[#ids + 1] = true, id
    end
    connection:close()
    for _, id in ipairs(ids) do
      assert.equal(LENGTH, #id)
      assert.is_nil(id:find("[^" .. LETTERS .. "]"), id)
    end
    for place = 1, LENGTH do
      local distance = chi_squared(ids, place)
      assert.is_true(distance < MOST_CHI_SQUARED, ("place %d: %.1f"):format(place, distance))
    end
    local biased = {} -- the measure sees that one letter stands for another
    for i, id in ipairs(ids) do biased[i] = id:gsub("7", "a") end
    assert.is_true(chi_squared(biased, 1) > MOST_CHI_SQUARED)
    api:ask("DELETE", "/endpoints/" .. made.id, nil, 204)
  end)

  it("are refused in the same time, be they unknown, nearly right or disabled", function()
    local good, disabled = make(), make()
    api:ask("POST", "/endpoints/" .. disabled.id .. "/disable")
    local last = good.hook_id:sub(-1)
    local targets = {
      unknown = ("q7"):rep(LENGTH / 2),
      near = with_letter(good.hook_id, LENGTH, last == "a" and "b" or "a"),
      disabled = disabled.hook_id,
      control = good.hook_id,
    }
    local connection = http.connect(server.port)
    local times = { unknown = {}, near = {}, disabled = {}, control = {} }
    local bodies = {}
    local function measure(class)
      local started = process.now()
      local reply = http.request { port = server.port, connection = connection, seconds = 20,
        target = "/e/" .. targets[class] .. "/" }
      table.insert(times[class], process.now() - started)
      assert.equal(class == "control" and 200 or 404, reply.status, class)
      bodies[class] = reply.body:gsub('"request_id":"[^"]*"', "")
    end
    local order = { "unknown", "near", "disabled", "control" }
    for _ = 1, REQUESTS do
      for i = #order, 2, -1 do -- another order each time
        local j = math.random(i)
        order[i], order[j] = order[j], order[i]
      end
      for _, class in ipairs(order) do measure(class) end
    end
    connection:close()
    assert.equal(bodies.unknown, bodies.near)
    assert.equal(bodies.unknown, bodies.disabled)
    for _, pair in ipairs { { "unknown", "near" }, { "unknown", "disabled" },
        { "near", "disabled" } } do
      local t = welch_t(times[pair[1]], times[pair[2]])
      assert.is_true(math.abs(t) < MOST_T, ("%s and %s: t = %.1f"):format(pair[1], pair[2], t))
      if os.getenv "SOAK" then print(("# %s, %s: t = %.1f"):format(pair[1], pair[2], t)) end
    end
    local control_t = welch_t(times.control, times.unknown)
    assert.is_true(control_t > MOST_T, ("the control: t = %.1f"):format(control_t))
    if os.getenv "SOAK" then print(("# the control: t = %.1f"):format(control_t)) end
    for _, endpoint in ipairs { good, disabled } do
      api:ask("DELETE", "/endpoints/" .. endpoint.id, nil, 204)
    end
  end)
end)
