// Webhooks signed, and judged, by the senders' own libraries, against the real host. Slack's and
// LINE's are signed by hand: their libraries only check.
import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { require, root } from "../support/packages.mjs";
import { Host } from "../support/host.mjs";

const { Webhook } = require("standardwebhooks");
// Has nothing for require.
const github = await import(root + "build/npm/node_modules/@octokit/webhooks-methods/dist-node/index.js");
const { verifyKey } = require("discord-interactions");
const Stripe = require("stripe");

const STANDARD = "whsec_" + randomBytes(32).toString("base64");
const SLACK = randomBytes(16).toString("hex");
const GITHUB = "It's a Secret to Everybody, Ünïcödé";
const STRIPE = "whsec_" + randomBytes(16).toString("hex");
const LINE = randomBytes(16).toString("hex");
const discordKeys = generateKeyPairSync("ed25519");
const DISCORD = discordKeys.publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("hex");

// Not how any encoder would write it: spaces, order of keys, escapes, a repeated key.
const BODY = '{ "b" : 1.50,\r\n\t"a":"\\u00e9\\/é🌙" , "b":[ ] }\n';
const MINUTE = 60;

const now = () => Math.floor(Date.now() / 1000);
const hmac = (algorithm, key, ...parts) => {
  const code = createHmac(algorithm, key);
  for (const part of parts) code.update(part);
  return code;
};
const flipped = (text, at = 3) => {
  const bytes = Buffer.from(text);
  bytes[at] ^= 1;
  return bytes.toString();
};

let host;
before(async () => {
  host = await Host.start({
    plugins: [root + "spec/clients/plugins/webhooks"],
    endpoints: [{
      plugin: "webhooks", hook_id: "webhooks",
      settings: {
        standard_webhooks: STANDARD, slack: SLACK, github: GITHUB, stripe: STRIPE, discord: DISCORD, line: LINE,
      },
    }],
  });
});
after(() => host.stop());

async function deliver(sender, headers, body) {
  const reply = await fetch(`${host.base}/e/webhooks/${sender}`, { method: "POST", headers, body });
  return { status: reply.status, body: await reply.json() };
}

async function assertAccepted(sender, headers, body) {
  const { status, body: answer } = await deliver(sender, headers, body);
  assert.equal(status, 200, JSON.stringify(answer));
  assert.equal(answer.sha256, createHash("sha256").update(body).digest("hex"));
}

async function assertRefused(sender, headers, body) {
  const { status, body: answer } = await deliver(sender, headers, body);
  assert.equal(status, 401, JSON.stringify(answer));
  assert.equal(answer.error.code, "unauthorized");
  assert.equal(answer.error.message, "the signature is not valid");
}

// The host and the sender's library must say the same of a delivery.
async function assertSame(sender, headers, body, libraryAccepts, expected) {
  assert.equal(libraryAccepts, expected, "the library");
  await (expected ? assertAccepted : assertRefused)(sender, headers, body);
}

const accepts = (check) => { try { check(); return true; } catch { return false; } };

describe("standardwebhooks", () => {
  const webhook = new Webhook(STANDARD);

  // Signs BODY, then changes the delivery.
  function delivery({ away = 0, change = () => {} } = {}) {
    const time = now() + away;
    const made = {
      headers: {
        "webhook-id": "msg_1", "webhook-timestamp": String(time),
        "webhook-signature": webhook.sign("msg_1", new Date(time * 1000), BODY),
      },
      body: BODY,
    };
    change(made);
    return made;
  }
  const other = "v1," + randomBytes(32).toString("base64");
  const signature = (text) => ({ headers }) => { headers["webhook-signature"] = text(headers["webhook-signature"]); };
  const cases = [
    ["a good delivery", true, {}],
    ["a body with one bit flipped", false, { change: (made) => { made.body = flipped(made.body); } }],
    ["the same JSON, written otherwise", false, { change: (made) => { made.body = JSON.stringify(JSON.parse(BODY)); } }],
    ["another id", false, { change: ({ headers }) => { headers["webhook-id"] = "msg_2"; } }],
    ["another time", false, { change: ({ headers }) => { headers["webhook-timestamp"] -= 1; } }],
    ["six minutes ago", false, { away: -6 * MINUTE }],
    ["six minutes ahead", false, { away: 6 * MINUTE }],
    ["four minutes ago", true, { away: -4 * MINUTE }],
    ["four minutes ahead", true, { away: 4 * MINUTE }],
    ["a time that is no number", false, { change: ({ headers }) => { headers["webhook-timestamp"] = "soon"; } }],
    ["a signature of `v1,` only", false, { change: signature(() => "v1,") }],
    ["a truncated signature", false, { change: signature((text) => text.slice(0, -3)) }],
    ["a signature without its version", false, { change: signature((text) => text.slice(3)) }],
    ["an unknown version", false, { change: signature((text) => "v2" + text.slice(2)) }],
    ["two signatures, the first good", true, { change: signature((text) => `${text} ${other}`) }],
    ["two signatures, the second good", true, { change: signature((text) => `${other} ${text}`) }],
    ["two wrong signatures", false, { change: signature(() => `${other} ${other}`) }],
    ["no signature", false, { change: ({ headers }) => { delete headers["webhook-signature"]; } }],
    ["no id", false, { change: ({ headers }) => { delete headers["webhook-id"]; } }],
  ];
  for (const [name, expected, options] of cases) {
    it(`${expected ? "accepts" : "refuses"} ${name}, as the library does`, async () => {
      const { headers, body } = delivery(options);
      await assertSame("standard_webhooks", headers, body, accepts(() => webhook.verify(body, headers)), expected);
    });
  }

  it("signs as an independent HMAC does", async () => {
    const time = now();
    const code = hmac("sha256", Buffer.from(STANDARD.slice(6), "base64"), `msg_1.${time}.${BODY}`).digest("base64");
    assert.equal(webhook.sign("msg_1", new Date(time * 1000), BODY), "v1," + code);
  });

  it("gives one answer, whatever was wrong", async () => {
    const answers = new Set();
    for (const [, expected, options] of cases.filter(([, accepted]) => !accepted)) {
      const { headers, body } = delivery(options);
      const { status, body: answer } = await deliver("standard_webhooks", headers, body);
      assert.equal(expected, false);
      delete answer.error.request_id;
      answers.add(status + JSON.stringify(answer));
    }
    assert.equal(answers.size, 1, [...answers].join("\n"));
  });

  it("accepts a megabyte of any bytes, from a hundred senders at once", async () => {
    await Promise.all(Array.from({ length: 100 }, async (_, n) => {
      const body = randomBytes(n === 0 ? 1 << 20 : 1000);
      const time = String(now());
      const code = hmac("sha256", Buffer.from(STANDARD.slice(6), "base64"), `msg_${n}.${time}.`, body).digest("base64");
      await assertAccepted("standard_webhooks", {
        "webhook-id": `msg_${n}`, "webhook-timestamp": time, "webhook-signature": "v1," + code,
      }, body);
    }));
  });
});

describe("@octokit/webhooks-methods", () => {
  it("agrees on good and bad deliveries", async () => {
    const good = await github.sign(GITHUB, BODY);
    for (const [signature, body, expected] of [
      [good, BODY, true], [good, flipped(BODY), false], [await github.sign("another", BODY), BODY, false],
      [good.slice(0, -1), BODY, false], [good.replace("sha256=", "sha1="), BODY, false], ["sha256=", BODY, false],
    ]) {
      const verdict = await github.verify(GITHUB, body, signature);
      await assertSame("github", { "X-Hub-Signature-256": signature }, body, verdict, expected);
    }
  });
});

describe("stripe", () => {
  const { webhooks } = new Stripe("sk_test_unused");
  const header = (options = {}) => webhooks.generateTestHeaderString({ payload: BODY, secret: STRIPE, ...options });

  it("agrees on good and bad deliveries", async () => {
    const good = header();
    const old = header({ timestamp: now() - 6 * MINUTE });
    for (const [signature, body, expected] of [
      [good, BODY, true], [good, flipped(BODY), false], [header({ secret: "whsec_other" }), BODY, false],
      [old, BODY, false], [header({ timestamp: now() - 4 * MINUTE }), BODY, true],
      [header({ scheme: "v0" }), BODY, false], [`${good},v1=${"0".repeat(64)}`, BODY, true],
      [good.replace(/t=\d+/, `t=${now() - 1}`), BODY, false], [good.slice(0, -1), BODY, false],
    ]) {
      const verdict = accepts(() => webhooks.constructEvent(body, signature, STRIPE));
      await assertSame("stripe", { "Stripe-Signature": signature }, body, verdict, expected);
    }
  });

  it("is stricter than its library about times ahead", async () => {
    const signature = header({ timestamp: now() + 6 * MINUTE });
    await assertRefused("stripe", { "Stripe-Signature": signature }, BODY);
  });
});

describe("discord-interactions", () => {
  const headers = (time, signature) => ({ "X-Signature-Timestamp": time, "X-Signature-Ed25519": signature });
  const signed = (time, body) => sign(null, Buffer.from(time + body), discordKeys.privateKey).toString("hex");

  it("agrees on good and bad deliveries", async () => {
    const time = String(now());
    const good = signed(time, BODY);
    for (const [given, signature, body, expected] of [
      [time, good, BODY, true], [time, good, flipped(BODY), false], [String(now() - 1), good, BODY, false],
      [time, good.slice(0, -2), BODY, false], [time, "00".repeat(64), BODY, false], [time, "zz", BODY, false],
      [time, sign(null, Buffer.from(time + BODY), generateKeyPairSync("ed25519").privateKey).toString("hex"), BODY, false],
    ]) {
      const verdict = await verifyKey(body, signature, given, DISCORD);
      await assertSame("discord", headers(given, signature), body, verdict, expected);
    }
  });

  it("is stricter than its library about old interactions", async () => {
    const time = String(now() - 6 * MINUTE);
    await assertRefused("discord", headers(time, signed(time, BODY)), BODY);
  });
});

describe("Slack, signed by hand", () => {
  const headers = (time, body, secret = SLACK) => ({
    "X-Slack-Request-Timestamp": String(time), "Content-Type": "application/x-www-form-urlencoded",
    "X-Slack-Signature": "v0=" + hmac("sha256", secret, `v0:${time}:`, body).digest("hex"),
  });

  it("is accepted over a form's raw bytes and refused when anything differs", async () => {
    const form = "token=x&text=a+b%20c&empty=&%F0%9F%8C%99";
    await assertAccepted("slack", headers(now(), form), form);
    await assertRefused("slack", headers(now(), form), form.replace("a+b", "a%20b"));
    await assertRefused("slack", headers(now(), form, "another"), form);
    await assertRefused("slack", headers(now() - 6 * MINUTE, form), form);
    await assertRefused("slack", { ...headers(now(), form), "X-Slack-Request-Timestamp": String(now() + 2) }, form);
  });
});

describe("LINE, signed by hand", () => {
  it("is accepted, and refused when anything differs", async () => {
    const header = (body, secret = LINE) => ({ "X-Line-Signature": hmac("sha256", secret, body).digest("base64") });
    await assertAccepted("line", header(BODY), BODY);
    await assertRefused("line", header(BODY), flipped(BODY));
    await assertRefused("line", header(BODY, "another"), BODY);
    await assertRefused("line", { "X-Line-Signature": header(BODY)["X-Line-Signature"].replace("=", "") }, BODY);
  });
});
