// Many change one endpoint at once, over two workers: no change is lost, none is mixed with another,
// and an answered one is served by every worker from then on.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { Host } from "../support/host.mjs";
import { root } from "../support/packages.mjs";

const CLIENTS = 50, CHANGES = 20, TOGGLES = 30;
const NAMES = Array.from({ length: CLIENTS }, (_, i) => `s${i}`);
const PLUGIN = `
version: 0.0.1
type: plugin
author: spec
name: many
plugins:
  endpoints:
    - settings: [ ${NAMES.map((name) => `{ name: ${name}, type: text-input }`).join(", ")} ]
      endpoints: [ { path: /, method: GET, extra: { lua: { source: show.lua } } } ]
`;
const SHOW = `local json = require("moonhook").json
return function(_, _, _, settings) return json.encode(settings) end
`;

let host, key, admin, endpoint;

before(async () => {
  const dir = `${root}build/spec/parallel-${process.pid}`;
  mkdirSync(dir + "/plugins/many", { recursive: true });
  writeFileSync(dir + "/plugins/many/manifest.yaml", PLUGIN);
  writeFileSync(dir + "/plugins/many/show.lua", SHOW);
  host = await Host.start({ plugins: ["plugins"], workers: 2 }, { dir });
  key = readFileSync(dir + "/data/admin.key", "utf8").trim();
  admin = (await host.record((record) => record.msg === "listening" && record.listener === "admin")).address;
  endpoint = await ask("POST", "/endpoints", { plugin: "many" }, 201);
});

after(() => host.stop());

async function ask(method, path, body, status = 200) {
  const reply = await fetch(`http://${admin}/api/v1${path}`, { method, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/json" }) } });
  const text = await reply.text();
  assert.equal(reply.status, status, text);
  return JSON.parse(text);
}

// On a connection of its own, so that any worker may have it.
function visit() {
  return new Promise((done, fail) => {
    const request = http.get(`${host.base}/e/${endpoint.hook_id}/`, { agent: false }, (reply) => {
      const pieces = [];
      reply.on("data", (piece) => pieces.push(piece));
      reply.on("end", () => done({ status: reply.statusCode, body: Buffer.concat(pieces).toString() }));
    });
    request.on("error", fail);
  });
}

describe("one endpoint that many change", () => {
  it("loses no change, and serves each from its answer on", { timeout: 120_000 }, async () => {
    const last = {};
    const changers = NAMES.map(async (name) => {
      for (let i = 0; i < CHANGES; i++) {
        const shown = await ask("PATCH", `/endpoints/${endpoint.id}`, { settings: { [name]: `${name} ${i}` } });
        assert.equal(shown.settings[name], `${name} ${i}`);
        last[name] = `${name} ${i}`;
      }
    });
    const toggler = (async () => {
      for (let i = 0; i < TOGGLES; i++) {
        for (const [verb, status] of [["disable", 404], ["enable", 200]]) {
          await ask("POST", `/endpoints/${endpoint.id}/${verb}`);
          const visits = await Promise.all(Array.from({ length: 8 }, visit));
          assert.deepEqual(visits.map((one) => one.status), Array(8).fill(status), verb);
        }
      }
    })();
    await Promise.all([...changers, toggler]);
    const found = await ask("GET", `/endpoints/${endpoint.id}`);
    assert.deepEqual(found.settings, last);
    assert.equal(found.enabled, true);
    for (const one of await Promise.all(Array.from({ length: 8 }, visit))) assert.deepEqual(JSON.parse(one.body), last);
  });
});
