-- What systemd sees of the host: its sockets taken over, its questions answered.
local echo = require "spec.host.echo"
local http = require "spec.support.http"
local process = require "spec.support.process"

-- Listens on two ports, then becomes the host's parent as systemd would: sockets from descriptor 3
-- on, the pid in LISTEN_PID.
local ACTIVATE = [[
const { spawn } = require("child_process"), net = require("net");
const servers = [net.createServer(), net.createServer()];
let left = 2;
for (const server of servers) server.listen(0, "127.0.0.1", () => {
  if (--left > 0) return;
  const child = spawn("sh", ["-c", "LISTEN_PID=$$ exec \"$@\"", "sh", ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", servers[0]._handle.fd, servers[1]._handle.fd],
    env: { ...process.env, LISTEN_FDS: "2", LISTEN_FDNAMES: "%s" },
  });
  for (const server of servers) server.close(); // the child has them
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code) => process.exit(code ?? 1));
});]]

describe("systemd", function()
  for _, names in ipairs { "public:admin", "admin:public", "" } do
    it(("hands over listening sockets named %q"):format(names), function()
      local server = echo.start { workers = 2,
        under = { "node", "-e", ACTIVATE:format(names) } }
      assert.equal(200, server:request { target = echo.prefix .. "/calls" }.status)
      local ready = http.request {
        url = "http://127.0.0.1:" .. server.admin_port .. "/readyz" }
      assert.equal(200, ready.status)
      server:stop()
    end)
  end

  it("is told when the host is ready, alive and stopping", function()
    local has_unix, unix = pcall(require, "socket.unix")
    assert.is_true(has_unix and unix.dgram ~= nil, "luasocket with datagram sockets")
    local path = os.tmpname()
    os.remove(path)
    local inbox = unix.dgram()
    assert(inbox:bind(path))
    inbox:settimeout(5)
    local server = echo.start { workers = 2,
      env = { NOTIFY_SOCKET = path, WATCHDOG_USEC = "200000" } }
    local seen = {}
    local function wait_for(word)
      process.eventually(function()
        local text = inbox:receive()
        seen[text or ""] = true
        return seen[word]
      end, 10, word)
    end
    wait_for "READY=1"
    wait_for "WATCHDOG=1"
    server.process:kill "TERM"
    wait_for "STOPPING=1"
    server:stop()
    inbox:close()
    os.remove(path)
  end)

  it("has a unit that fits the program", function()
    local file = assert(io.open "examples/systemd/moonhook.service")
    local unit = file:read "*a"
    file:close()
    local command = unit:match "\nExecStart=%S*/moonhook ([^\n]+)"
    local help = io.popen(require("spec.support.host").binary() .. " help serve"):read "*a"
    assert.matches("^serve ", command)
    for flag in command:gmatch "%-%-[%l-]+" do assert.truthy(help:find(flag, 1, true), flag) end
    assert.matches("\nType=notify\n", unit, 1, true)
    assert.is_nil(unit:find "\nMemoryDenyWriteExecute")
    if os.execute "systemd-analyze --version >/dev/null 2>&1" == 0 then
      local said = io.popen("systemd-analyze verify examples/systemd/moonhook.service 2>&1")
        :read "*a"
      said = said:gsub("[^\n]*not executable[^\n]*\n?", "") -- it is not installed here
      assert.is_nil(said:match "moonhook%.service[^\n]*")
    end
  end)
end)
