-- Every case of h1_cases.lua on the real binary: whole, byte by byte, and in three random splits.
-- The seed is in the suite's name; MOONHOOK_H1_SEED repeats it.
local cjson = require "cjson"
local echo = require "spec.host.echo"
local replies = require "spec.host.replies"

local cases = require "spec.host.h1_cases"

local SEED = tonumber(os.getenv "MOONHOOK_H1_SEED") or os.time() % 1000000

-- Sent behind a case that leaves the connection open: its reply proves that nothing is out of step.
local MARK = ("GET %s/calls HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"):format(echo.prefix)

-- Byte by byte takes a system call each on both sides.
local MAX_BYTEWISE = 100000

local function random_splits(len)
  local positions = {}
  for i = 1, math.min(8, len - 1) do positions[i] = math.random(len - 1) end
  table.sort(positions)
  return positions
end

local function even_splits(len, step)
  local positions = {}
  for position = step, len - 1, step do positions[#positions + 1] = position end
  return positions
end

describe(("HTTP/1.1 (seed %d)"):format(SEED), function()
  local server

  setup(function()
    math.randomseed(SEED)
    server = echo.start()
  end)

  teardown(function() server:stop() end)

  -- Sends a case with `deliver` and gives what came back.
  local function exchange(case, deliver)
    local connection = server:connect()
    deliver(connection, case.bytes) -- a refusal may close the connection before all is sent
    if not case.closes then connection:send(MARK) end
    local text, how = connection:receive_all(10)
    connection:close()
    assert.equal("closed", how, "the connection stays open")
    return replies.parse(text)
  end

  local function check(case, deliver)
    local list = exchange(case, deliver)
    if not case.closes then
      local mark = table.remove(list)
      assert.is_truthy(mark, "no reply at all")
      assert.equal(200, mark.status)
      assert.equal("0", mark.body, "/smuggled ran")
    end
    local statuses = {}
    for i, reply in ipairs(list) do statuses[i] = reply.status end
    assert.same(case.statuses, statuses)
    local last = list[#list]
    if case.closes then assert.equal("close", last.headers.connection) end
    if last.status >= 400 then
      local problem = cjson.decode(last.body).error
      assert.is_string(problem.code)
      assert.matches("^%x+$", problem.request_id)
      assert.equal(last.headers["x-request-id"], problem.request_id)
    end
    for name, value in pairs(case.json or {}) do
      assert.equal(value, cjson.decode(last.body)[name])
    end
  end

  for _, case in ipairs(cases) do
    describe(case.id .. ", " .. case.what .. ",", function()
      it("whole", function()
        check(case, function(connection, bytes) connection:send(bytes) end)
      end)

      if #case.bytes <= MAX_BYTEWISE then
        it("byte by byte", function()
          check(case, function(connection, bytes) connection:send_bytewise(bytes, 30) end)
        end)
      else
        it("997 bytes at a time", function()
          check(case, function(connection, bytes)
            connection:send_split(bytes, even_splits(#bytes, 997))
          end)
        end)
      end

      for number = 1, 3 do
        it("in random split " .. number, function()
          local positions = random_splits(#case.bytes)
          local ok, problem = pcall(check, case, function(connection, bytes)
            connection:send_split(bytes, positions)
          end)
          if not ok then
            error(("cut behind bytes %s: %s"):format(table.concat(positions, ", "),
              type(problem) == "table" and tostring(problem.message or problem) or problem), 0)
          end
        end)
      end
    end)
  end

  it("never ran what was smuggled", function()
    assert.equal("0", server:request { target = echo.prefix .. "/calls" }.body)
  end)
end)
