-- moonhook doctor: what it finds, before the first start, beside a running host, and in trouble.
local cjson = require "cjson"
local host = require "spec.support.host"
local tcp = require "spec.support.socket"

local FREE = "public: { listen: 127.0.0.1:%d }\nadmin: { listen: 127.0.0.1:%d }\n"

local function free_config(more)
  return FREE:format(tcp.free_port(), tcp.free_port()) .. (more or "")
end

-- { [check] = { status, message } }, and the exit code.
local function examined(options)
  local command = { "doctor", "--json", dir = options.dir, config = options.config,
    files = options.files, env = options.env, seconds = 60 }
  for _, word in ipairs(options) do command[#command + 1] = word end
  local result = host.run(command)
  local found = cjson.decode(result.stdout)
  local checks, counts = {}, { ok = 0, warn = 0, fail = 0 }
  for _, check in ipairs(found.checks) do
    checks[check.check] = { check.status, check.message }
    counts[check.status] = counts[check.status] + 1
  end
  assert.same({ counts.fail, counts.warn }, { found.failed, found.warnings })
  assert.equal(("%d fine, %d to look at, %d wrong\n"):format(counts.ok, counts.warn, counts.fail),
    result.stderr)
  assert.equal(counts.fail > 0 and 1 or 0, result.code)
  return checks, result
end

describe("moonhook doctor", function()
  it("finds nothing wrong before the first start, and makes nothing", function()
    local dir = host.folder { config = free_config() }
    local checks = examined { dir = dir }
    for name, check in pairs(checks) do assert.are_not.equal("fail", check[1], name) end
    assert.same({ "ok", "data is made at the first start" }, checks["data folder"])
    assert.same({ "ok", "data/admin.key is made at the first start" }, checks["admin key"])
    assert.matches("can be listened at; no host runs$", checks["public listener"][2])
    assert.matches("^LuaJIT 2%.1", checks.LuaJIT[2])
    assert.matches("^%d+%-%d+%-%d+T", checks.clock[2])
    assert.is_nil(io.open(dir .. "/data"))
    os.execute("rm -rf '" .. dir .. "'")
  end)

  it("sees a running host, and other programs", function()
    local server = host.start { config = {} }
    local args = { "--listen", "127.0.0.1:" .. server.port, "--admin",
      "127.0.0.1:" .. server.admin_port, dir = server.dir }
    local checks = examined(args)
    assert.same({ "ok", "the host answers at 127.0.0.1:" .. server.port },
      checks["public listener"])
    assert.same({ "ok", "the host answers at 127.0.0.1:" .. server.admin_port },
      checks["admin listener"])
    assert.same({ "ok", "data can be written" }, checks["data folder"])
    assert.same({ "ok", "data/plugins is made when a plugin is loaded" },
      checks["snapshot store"])
    assert.same({ "ok", "data/admin.key is for its owner alone" }, checks["admin key"])
    assert.same({ "ok", "data/secrets.key is for its owner alone" }, checks["key of secrets"])
    checks = examined { "--admin", "127.0.0.1:" .. tcp.free_port(), "--listen",
      "127.0.0.1:" .. server.port, dir = server.dir }
    assert.same({ "fail", "another program listens at 127.0.0.1:" .. server.port },
      checks["public listener"])
    local closed = "127.0.0.1:" .. tcp.free_port()
    checks = examined { "--admin", "127.0.0.1:" .. server.admin_port, "--listen", closed,
      dir = server.dir }
    assert.matches("^a host runs, and " .. closed .. " does not answer: ",
      checks["public listener"][2])
    -- The public URL is asked, too.
    args.env = { MOONHOOK_PUBLIC_URL = server.base }
    assert.same({ "ok", server.base .. " leads to a host" }, examined(args)["public URL"])
    args.env.MOONHOOK_PUBLIC_URL = "http://127.0.0.1:" .. server.admin_port .. "/x"
    assert.are_not.equal("fail", examined(args)["public URL"][1])
    server:stop()
  end)

  it("finds key files that others may read, or that are not there", function()
    local dir = host.folder { config = free_config(
      "backends: { gpt: { type: openai, url: 'http://127.0.0.1:1', api_key_file: gpt.key } }\n"),
      files = { ["gpt.key"] = "sk-1234567890", ["data/admin.key"] = "0123456789abcdef",
        ["data/secrets.key"] = "x" } }
    os.execute(("cd '%s' && chmod 644 gpt.key data/admin.key && chmod 600 data/secrets.key && "
      .. "chmod 755 data"):format(dir))
    local checks = examined { dir = dir }
    assert.same({ "warn", "others on this machine may read gpt.key: chmod 600 it" },
      checks["backends.gpt.api_key_file"])
    assert.same({ "fail", "others on this machine may read data/admin.key: chmod 600 it" },
      checks["admin key"])
    assert.equal("ok", checks["key of secrets"][1])
    assert.same({ "warn", "others on this machine may look into data: chmod 700 it" },
      checks["data folder"])
    assert.equal("fail", checks["backend gpt"][1])
    assert.matches("^http://127.0.0.1:1 cannot be reached: ", checks["backend gpt"][2])
    os.execute("rm -rf '" .. dir .. "'")
    checks = examined { config = free_config():gsub("admin: {", "admin: { key_file: nowhere.key,") }
    assert.same({ "fail", "nowhere.key: No such file or directory" }, checks["admin key"])
  end)

  it("finds a data folder that cannot be one", function()
    local checks = examined { config = free_config "data: ./taken\n", files = { taken = "" } }
    assert.same({ "fail", "taken is no folder" }, checks["data folder"])
    checks = examined { config = free_config "data: /proc/nowhere\n" }
    assert.matches("^/proc/nowhere cannot be made: /proc: ", checks["data folder"][2])
  end)

  it("weighs the public URL", function()
    local function public(text, listen)
      return examined { config = ("public: { %s }\nadmin: { listen: 127.0.0.1:%d }\n"):format(text,
        tcp.free_port()), "--listen", (listen or "127.0.0.1") .. ":" .. tcp.free_port(),
      }["public URL"]
    end
    assert.same({ "ok", "https://hooks.example.com" }, public "url: https://hooks.example.com")
    assert.equal("ok", public("")[1])
    assert.equal("warn", public("", "0.0.0.0")[1])
    for _, listen in ipairs { "127.0.0.1", "0.0.0.0" } do
      local found = public("trusted_proxies: 127.0.0.1", listen)
      assert.equal("warn", found[1])
      assert.matches("^public.url is not set: verbs and the admin API show " .. listen, found[2])
    end
    for _, url in ipairs { "http://localhost:8080", "http://127.0.0.1", "http://[::1]:80" } do
      assert.matches("leads to this machine only", public("url: '" .. url .. "'", "0.0.0.0")[2])
      assert.equal("ok", public("url: '" .. url .. "'")[1])
    end
    assert.matches("is not encrypted", public("url: http://hooks.example.com")[2])
  end)

  it("says what the kernel keeps from workers, from those that run, too", function()
    local server = host.start { config = { log = { level = "debug" } }, workers = 2 }
    local record = server:wait_record { msg = "confined" }
    local args = { "--listen", "127.0.0.1:" .. server.port, "--admin",
      "127.0.0.1:" .. server.admin_port, dir = server.dir }
    local checks = examined(args)
    if record.calls == "filtered" and record.files == "its own" then
      assert.equal("ok", checks.confinement[1])
      assert.matches("^workers get filtered system calls %(seccomp%) and the host's own files "
        .. "%(Landlock, version %d+%)$", checks.confinement[2])
      assert.same({ "ok", "2 confined: filtered system calls, the host's own files" },
        checks.workers)
    else
      assert.equal("warn", checks.confinement[1])
      assert.equal(record.calls ~= "filtered",
        checks.confinement[2]:find("system calls are not filtered", 1, true) ~= nil)
      assert.equal(record.files ~= "its own",
        checks.confinement[2]:find("files are not kept from workers: ", 1, true) ~= nil)
      assert.matches("^not confined wholly: worker 1 %(all [^,]+%), worker 2 %(", checks.workers[2])
    end
    args.env = { MOONHOOK_CONFINE = "off" }
    assert.same({ "warn", "MOONHOOK_CONFINE=off: workers that start here keep all system calls and "
      .. "files" }, examined(args).confinement)
    os.remove(server.dir .. "/data/admin.key")
    assert.same({ "warn", "the host does not say what they are kept from: data/admin.key cannot be "
      .. "read" }, examined(args).workers)
    server:stop()
  end)

  it("names workers that are not confined, and dev", function()
    local function workers(options)
      options.config = {}
      local server = host.start(options)
      local checks = examined { "--listen", "127.0.0.1:" .. server.port, "--admin",
        "127.0.0.1:" .. server.admin_port, dir = server.dir }
      server:stop()
      return checks.workers
    end
    assert.same({ "warn", "not confined wholly: worker 1 (all system calls and files)" },
      workers { env = { MOONHOOK_CONFINE = "off" } })
    assert.same({ "ok", "moonhook dev runs, which is one process and not confined" },
      workers { verb = "dev" })
  end)

  it("tells a configuration that cannot be read", function()
    local checks, result = examined { config = "limits: { body_byte: 1 }" }
    assert.equal(1, result.code)
    assert.same({ "fail", "moonhook.yaml:1:11: limits.body_byte: unknown key, did you mean "
      .. "body_bytes?" }, checks.configuration)
  end)

  it("warns of few open files, and of a clock that went backwards", function()
    local dir = host.folder { config = free_config(), files = { ["data/moonhook.db"] = "" } }
    os.execute(("touch -d '2 days' '%s/data/moonhook.db'"):format(dir))
    local checks = examined { dir = dir }
    assert.equal("warn", checks.clock[1])
    local result = require("spec.support.process").run { "bash", "-c",
      "ulimit -n 256; exec '" .. host.binary() .. "' doctor", cwd = dir, seconds = 60 }
    assert.matches("\nwarn +open files +at most 256 here, and limits.max_connections wants 20000",
      result.stdout)
    os.execute("rm -rf '" .. dir .. "'")
  end)
end)
