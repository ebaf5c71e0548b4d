-- Webhooks as their senders document them: the published examples, and what a forger might try.
local library = require "spec.support.library"
local bytes = require "host.bytes"
local moonhook = require "moonhook"
local Error = require "moonhook.error"

local verify = moonhook.verify

local NOW = 1700000000
local PUBLIC_KEY = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"

local function hmac(key, text)
  return bytes.hmac_sha256(key, text)
end

local function request(headers, body)
  local list = {}
  for _, header in ipairs(headers) do list[#list + 1] = header end
  return (library.request { method = "POST", body = body, headers = list })
end

local function reason()
  local line = library.log[#library.log]
  assert.same({ "info", "webhook refused" }, { line[1], line[2] })
  return line[3].reason
end

-- Refused; gives why, as the log tells it. The client reads the same whatever it was.
local function refused(name, ...)
  local ok, err = pcall(verify[name], ...)
  assert.is_false(ok)
  assert.is_true(Error.is(err), tostring(err))
  assert.same({ "unauthorized", 401, "the signature is not valid" },
    { err.code, err.status, err.message })
  return reason()
end

local function blamed(name, ...)
  local arguments, count = { ... }, select("#", ...)
  local ok, message = pcall(function()
    local result = verify[name](unpack(arguments, 1, count))
    return result
  end)
  assert.is_false(ok)
  assert.matches("verify_spec%.lua:%d+: verify%." .. name .. ": ", message)
  return (message:gsub("^.-:%d+: verify%.[%w_]+: ", ""))
end

-- One delivery of each sender, signed at NOW over `body`; `headers` is a list that a case changes.
local SECRETS = {
  standard_webhooks = "whsec_" .. bytes.base64_encode(("k"):rep(24)),
  slack = "8f742231b10e8888abcd99yyyzzz85a5", github = "It's a Secret to Everybody",
  stripe = "whsec_stripes_own", line = "8c570fa6dd201bb328f1c1eac23a96d8",
}

local sign = {}

function sign.standard_webhooks(body, time, secret)
  local key = bytes.base64_decode((secret:gsub("^whsec_", "")))
  local code = bytes.base64_encode(hmac(key, "msg_1." .. time .. "." .. body))
  return {
    { "Webhook-Id", "msg_1" }, { "Webhook-Timestamp", time },
    { "Webhook-Signature", "v1," .. code },
  }
end

function sign.slack(body, time, secret)
  return {
    { "X-Slack-Request-Timestamp", time },
    { "X-Slack-Signature", "v0=" .. bytes.hex(hmac(secret, "v0:" .. time .. ":" .. body)) },
  }
end

function sign.github(body, _, secret)
  return { { "X-Hub-Signature-256", "sha256=" .. bytes.hex(hmac(secret, body)) } }
end

function sign.stripe(body, time, secret)
  local code = bytes.hex(hmac(secret, time .. "." .. body))
  return { { "Stripe-Signature", "t=" .. time .. ",v1=" .. code } }
end

function sign.line(body, _, secret)
  return { { "X-Line-Signature", bytes.base64_encode(hmac(secret, body)) } }
end

local SENDERS = { "standard_webhooks", "slack", "github", "stripe", "line" }
local EVERYONE = { "standard_webhooks", "slack", "github", "stripe", "line", "discord" }
local TIMED = { "standard_webhooks", "slack", "stripe" }

local function signed(name, body, time)
  return sign[name](body, tostring(time or NOW), SECRETS[name])
end

-- The signature's header is the last one that `sign` gives.
local function signature_of(headers)
  return headers[#headers]
end

before_each(function() library.now = NOW + 0.5 end)

describe("moonhook.verify", function()
  it("has an annotation for every function, and for no other", function()
    local annotated = {}
    for _, entry in ipairs(require("spec.docs.generate").read_meta().classes.verify.functions) do
      annotated[entry.name] = "function"
    end
    local present = {}
    for member, value in pairs(verify) do present[member] = type(value) end
    assert.same(present, annotated)
  end)

  it("accepts what each sender signs, over any bytes", function()
    local every_byte = {}
    for byte = 0, 255 do every_byte[#every_byte + 1] = string.char(byte) end
    for _, name in ipairs(SENDERS) do
      for _, body in ipairs {
        "{}", "", '{ "b" : 1,\r\n "a":"\\u00e9" }  ', table.concat(every_byte),
      } do
        assert.is_true(verify[name](request(signed(name, body), body), SECRETS[name]))
      end
    end
  end)

  it("refuses every changed bit of a body", function()
    local body = '{"a":1}'
    for _, name in ipairs(SENDERS) do
      local headers = signed(name, body)
      for at = 1, #body do
        for place = 0, 7 do
          local byte = bit.bxor(body:byte(at), 2 ^ place)
          local changed = body:sub(1, at - 1) .. string.char(byte) .. body:sub(at + 1)
          refused(name, request(headers, changed), SECRETS[name])
        end
      end
      refused(name, request(headers, body .. " "), SECRETS[name])
      refused(name, request(headers, ""), SECRETS[name])
    end
  end)

  it("refuses another secret", function()
    for _, name in ipairs(SENDERS) do
      local secret = SECRETS[name]:sub(1, -5) .. "AAAA"
      assert.matches("wrong secret", refused(name, request(signed(name, "{}"), "{}"), secret))
    end
  end)

  it("refuses every changed, cut and lengthened signature", function()
    for _, name in ipairs(SENDERS) do
      local text = signature_of(signed(name, "{}"))[2]
      for at = 1, #text do
        local headers = signed(name, "{}")
        local other = text:sub(at, at) == "A" and "B" or "A"
        signature_of(headers)[2] = text:sub(1, at - 1) .. other .. text:sub(at + 1)
        refused(name, request(headers, "{}"), SECRETS[name])
        signature_of(headers)[2] = text:sub(1, at - 1)
        refused(name, request(headers, "{}"), SECRETS[name])
      end
      local headers = signed(name, "{}")
      signature_of(headers)[2] = text .. "0"
      refused(name, request(headers, "{}"), SECRETS[name])
    end
  end)

  it("refuses a missing and a repeated header", function()
    for _, name in ipairs(SENDERS) do
      local count = #signed(name, "{}")
      for missing = 1, count do
        local headers = signed(name, "{}")
        local removed = table.remove(headers, missing)
        assert.equal(("there is no " .. removed[1]):lower(),
          refused(name, request(headers, "{}"), SECRETS[name]):lower())
        headers = signed(name, "{}")
        headers[count + 1] = { headers[missing][1]:lower(), headers[missing][2] }
        assert.matches("is repeated", refused(name, request(headers, "{}"), SECRETS[name]))
      end
    end
  end)

  it("refuses a time further away than five minutes, before and after", function()
    for _, name in ipairs(TIMED) do
      for away, is_near in pairs { [0] = true, [299] = true, [-299] = true, [300] = true,
          [-302] = false, [302] = false, [360] = false, [-360] = false, [86400] = false } do
        local incoming = request(signed(name, "{}", NOW + away), "{}")
        if is_near then
          assert.is_true(verify[name](incoming, SECRETS[name]))
        else
          assert.matches("^the time is %d+ s away, 300 are allowed$",
            refused(name, incoming, SECRETS[name]))
        end
      end
    end
  end)

  it("takes another tolerance and another clock", function()
    for _, name in ipairs(TIMED) do
      local incoming = request(signed(name, "{}", NOW - 1000), "{}")
      assert.is_true(verify[name](incoming, SECRETS[name], { tolerance_s = 1001 }))
      assert.is_true(verify[name](incoming, SECRETS[name], { now = NOW - 990, tolerance_s = 10 }))
      refused(name, incoming, SECRETS[name], { now = NOW - 989, tolerance_s = 10 })
      refused(name, incoming, SECRETS[name], { tolerance_s = 0 })
    end
  end)

  it("refuses a time that is no number, well signed or not", function()
    for _, name in ipairs(TIMED) do
      for _, time in ipairs { "", "abc", "-1700000000", "+1700000000", "1700000000.0", "1.7e9",
          "0x6553F100", " 1700000000", "1700000000 ", "nan", "inf", ("9"):rep(400),
          "17000000000000" } do
        refused(name, request(sign[name]("{}", time, SECRETS[name]), "{}"), SECRETS[name])
      end
    end
  end)

  it("never takes an empty or missing secret", function()
    for _, name in ipairs(EVERYONE) do
      local incoming = request(sign.github("{}", "", ""), "{}")
      assert.equal('secret: expected a string that is not empty, got ""',
        blamed(name, incoming, ""))
      assert.equal("secret: expected a string that is not empty, got nil", blamed(name, incoming))
      assert.matches("got table", blamed(name, incoming, { "a" }))
      assert.matches("^request: expected the handler's request, got string",
        blamed(name, "{}", "secret"))
      assert.matches("^request: expected the handler's request, got table",
        blamed(name, {}, "secret"))
    end
  end)

  it("names a wrong option at the author's line", function()
    local incoming = request(signed("github", "{}"), "{}")
    for expected, options in pairs {
      ["options: expected a table, got number"] = 300,
      ["options.tolerance: there are only tolerance_s and now"] = { tolerance = 300 },
      ["options.tolerance_s: expected a number of seconds, got -1"] = { tolerance_s = -1 },
      ["options.tolerance_s: expected a number of seconds, got string"] = { tolerance_s = "300" },
      ["options.now: expected a number of seconds, got nan"] = { now = 0 / 0 },
    } do
      assert.equal(expected, blamed("github", incoming, SECRETS.github, options))
    end
  end)

  it("refuses whatever a sender without the secret puts into the headers", function()
    math.randomseed(tonumber(os.getenv "SPEC_SEED") or 1)
    local pieces = { "v1", "v0", "v1a", "t", "sha256", "=", ",", " ", ".", "0", "af", "A/+=", "\t",
      tostring(NOW), "\0", "\255", "%s", "(", ("a"):rep(64), "", "t=" .. NOW, ",v1=" }
    local function text()
      local parts = {}
      for i = 1, math.random(0, 12) do parts[i] = pieces[math.random(#pieces)] end
      return table.concat(parts)
    end
    for _ = 1, 500 do
      for _, name in ipairs(EVERYONE) do
        local headers = signed(name == "discord" and "slack" or name, "{}")
        if name == "discord" then
          headers = { { "X-Signature-Timestamp", tostring(NOW) }, { "X-Signature-Ed25519", "" } }
        end
        signature_of(headers)[2] = text()
        if math.random(3) == 1 then headers[1][2] = text() end
        refused(name, request(headers, "{}"), name == "discord" and PUBLIC_KEY or SECRETS[name])
      end
    end
  end)
end)

describe("moonhook.verify.standard_webhooks", function()
  local secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  local options = { now = 1614265330 }
  local body = '{"test": 2432232314}'
  local good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

  local function delivery(changes)
    changes = changes or {}
    return request({
      { "webhook-id", changes.id or "msg_p5jXN8AQM9LWM0D4loKWxJek" },
      { "webhook-timestamp", "1614265330" }, { "webhook-signature", changes.signature or good },
    }, changes.body or body)
  end

  it("accepts the specification's example, with or without the secret's prefix", function()
    assert.is_true(verify.standard_webhooks(delivery(), secret, options))
    assert.is_true(verify.standard_webhooks(delivery(), secret:sub(7), options))
  end)

  it("refuses the example with another id, a cut signature, a changed body", function()
    refused("standard_webhooks", delivery { id = "msg_2" }, secret, options)
    refused("standard_webhooks", delivery { signature = good:sub(1, -2) }, secret, options)
    refused("standard_webhooks", delivery { signature = "v1," }, secret, options)
    refused("standard_webhooks", delivery { body = '{"test":2432232314}' }, secret, options)
    refused("standard_webhooks", delivery(), secret, { now = 1614265330 + 360 })
    refused("standard_webhooks", delivery(), secret, { now = 1614265330 - 360 })
  end)

  it("accepts one right signature among several, in any place", function()
    local other = "v1," .. bytes.base64_encode(("x"):rep(32))
    for _, signature in ipairs { good .. " " .. other, other .. " " .. good,
        "v1a,AAAA v2,xyz " .. other .. " " .. good } do
      assert.is_true(verify.standard_webhooks(delivery { signature = signature }, secret, options))
    end
    refused("standard_webhooks", delivery { signature = other .. " " .. other }, secret, options)
    for _, signature in ipairs { (good:gsub("^v1", "v2")), good:sub(4), "v1a" .. good:sub(3) } do
      assert.equal("there is no signature of a known version",
        refused("standard_webhooks", delivery { signature = signature }, secret, options))
    end
  end)

  it("looks at eight signatures, not at thousands", function()
    local others = ("v1,AAAA "):rep(8)
    refused("standard_webhooks", delivery { signature = others .. good }, secret, options)
    local seven = others:sub(9) .. good
    assert.is_true(verify.standard_webhooks(delivery { signature = seven }, secret, options))
  end)

  it("reads the headers' older names, and never mixes the two", function()
    local headers = { { "svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek" },
      { "svix-timestamp", "1614265330" }, { "svix-signature", good } }
    assert.is_true(verify.standard_webhooks(request(headers, body), secret, options))
    headers[1][1] = "webhook-id"
    refused("standard_webhooks", request(headers, body), secret, options)
  end)

  it("verifies Ed25519 signatures with a public key", function()
    -- Made with an independent implementation (node:crypto); the key pair is RFC 8032's first.
    local key = "whpk_" .. bytes.base64_encode(bytes.hex_decode(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    local signature = "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7z"
      .. "gPePmPsle0zV9jSeGlHFG2NVAw=="
    assert.is_true(verify.standard_webhooks(delivery { signature = signature }, key, options))
    assert.is_true(verify.standard_webhooks(delivery { signature = good .. " " .. signature }, key,
      options))
    refused("standard_webhooks", delivery { signature = good }, key, options)
    refused("standard_webhooks", delivery { signature = signature, body = "{}" }, key, options)
    refused("standard_webhooks", delivery { signature = "v1a,?" }, key, options)
    refused("standard_webhooks", delivery { signature = signature }, secret, options)
  end)

  it("says what a secret must look like, and does not repeat it", function()
    for _, wrong in ipairs {
      "whsec_!", "whsec_", "not base64", "whpk_AAAA", "whsec_QUJD\n", "whsk_QUJD",
    } do
      local message = blamed("standard_webhooks", delivery(), wrong, options)
      assert.matches("^secret: expected `whsec_` and base64", message)
      assert.is_nil(message:find(wrong, 1, true) and #wrong > 6 or nil)
    end
  end)
end)

describe("moonhook.verify.slack", function()
  it("accepts the example of Slack's documentation", function()
    local body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
      .. "&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
      .. "&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
      .. "%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
      .. "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    local incoming = request({
      { "X-Slack-Request-Timestamp", "1531420618" },
      { "X-Slack-Signature",
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503" },
    }, body)
    assert.is_true(verify.slack(incoming, SECRETS.slack, { now = 1531420618 }))
    refused("slack", incoming, SECRETS.slack)
  end)
end)

describe("moonhook.verify.github", function()
  it("accepts the example of GitHub's documentation", function()
    local incoming = request({ { "X-Hub-Signature-256",
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" } },
      "Hello, World!")
    assert.is_true(verify.github(incoming, SECRETS.github))
  end)

  it("takes no SHA-1 signature for a SHA-256 one", function()
    local code = bytes.hex(moonhook.crypto.hmac("sha1", SECRETS.github, "{}"))
    refused("github", request({ { "X-Hub-Signature", "sha1=" .. code } }, "{}"), SECRETS.github)
    refused("github", request({ { "X-Hub-Signature-256", "sha1=" .. code } }, "{}"), SECRETS.github)
  end)
end)

describe("moonhook.verify.stripe", function()
  local function delivery(header)
    return request({ { "Stripe-Signature", header } }, "{}")
  end
  local code = bytes.hex(hmac(SECRETS.stripe, NOW .. ".{}"))
  local other = ("0"):rep(64)

  it("accepts one right signature among several, and other schemes beside it", function()
    for _, header in ipairs {
      ("t=%d,v1=%s,v1=%s"):format(NOW, code, other), ("t=%d,v1=%s,v1=%s"):format(NOW, other, code),
      ("t=%d,v1=%s,v0=%s"):format(NOW, code, other), ("v1=%s,t=%d"):format(code, NOW),
      ("t=%d, v1=%s"):format(NOW, code),
    } do
      assert.is_true(verify.stripe(delivery(header), SECRETS.stripe))
    end
  end)

  it("takes no other scheme for v1, and no second time", function()
    refused("stripe", delivery(("t=%d,v0=%s"):format(NOW, code)), SECRETS.stripe)
    assert.equal("there are two times",
      refused("stripe", delivery(("t=%d,v1=%s,t=%d"):format(NOW, code, NOW)), SECRETS.stripe))
    refused("stripe", delivery("v1=" .. code), SECRETS.stripe)
    refused("stripe", delivery(""), SECRETS.stripe)
  end)
end)

describe("moonhook.verify.discord", function()
  -- Signed with an independent implementation (node:crypto), with the key pair of RFC 8032, test 3.
  local body = '{"type":1}'
  local signature = "cb05842f04f0ae5aed87d4506cf629a9651672164731481deecbd4e2beb72ecb"
    .. "20b942dc48f403bd27dc7f4aad3050c4ff811d6be68f4d52379c11a80931a30e"

  local function delivery(given, time, other_body)
    return request({ { "X-Signature-Timestamp", time or tostring(NOW) },
      { "X-Signature-Ed25519", given or signature } }, other_body or body)
  end

  it("accepts what was signed, upper-case digits as well", function()
    assert.is_true(verify.discord(delivery(), PUBLIC_KEY))
    assert.is_true(verify.discord(delivery(signature:upper()), PUBLIC_KEY:upper()))
  end)

  it("refuses another body, time, key, and a signature that is none", function()
    refused("discord", delivery(nil, nil, '{"type":2}'), PUBLIC_KEY)
    refused("discord", delivery(nil, tostring(NOW + 1)), PUBLIC_KEY)
    refused("discord", delivery(), ("d7"):rep(32))
    for _, wrong in ipairs { "", signature:sub(1, -2), signature .. "00", ("g"):rep(128) } do
      refused("discord", delivery(wrong), PUBLIC_KEY)
    end
    refused("discord", delivery(), PUBLIC_KEY, { now = NOW + 301 })
  end)

  it("says what a public key must look like", function()
    for _, wrong in ipairs { "abc", PUBLIC_KEY .. "00", ("x"):rep(64) } do
      assert.equal("secret: expected the public key, 64 hexadecimal digits, got something else",
        blamed("discord", delivery(), wrong))
    end
  end)
end)
