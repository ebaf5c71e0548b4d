// What an operator says through the admin API is what the store keeps, what the API shows and what
// the handler gets: fast-check makes settings of every type, in every state a setting can be in
// (never given, null, the default, empty, anything), changes them, and a model says what must be
// seen. After a restart all of it is still so.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Host } from "../support/host.mjs";
import { require, root } from "../support/packages.mjs";

const fc = require("fast-check");

const MASK = "********", RUNS = 150;
const PLUGIN = `
version: 0.0.1
type: plugin
author: spec
name: types
plugins:
  endpoints:
    - settings:
        - { name: secret, type: secret-input }
        - { name: secrets, type: secret-input, multiple: true }
        - { name: text, type: text-input }
        - { name: text_default, type: text-input, default: a text }
        - { name: texts, type: text-input, multiple: true }
        - { name: choice, type: select, default: a, options: [a, b, ""] }
        - { name: choices, type: select, multiple: true, options: [a, b] }
        - { name: flag, type: boolean }
        - { name: flag_default, type: boolean, default: true }
        - { name: model, type: model-selector, scope: llm&vision }
        - { name: ranks, type: model-selector, scope: rerank }
        - { name: app, type: app-selector, scope: chat&workflow }
        - { name: tools, type: "array[tools]" }
      endpoints: [ { path: /, method: GET, extra: { lua: { source: show.lua } } } ]
`;
const SHOW = `local json = require("moonhook").json
return function(_, _, _, settings) return json.encode(settings) end
`;
const DEFAULTS = { text_default: "a text", choice: "a", flag_default: true };
const SECRET = new Set(["secret", "secrets"]);

let host, key;

async function start(dir, config) {
  host = await Host.start(config, { dir });
  key = readFileSync(dir + "/data/admin.key", "utf8").trim();
}

async function ask(method, path, body, status) {
  const { address } = await host.record((record) => record.msg === "listening" && record.listener === "admin");
  const reply = await fetch(`http://${address}/api/v1${path}`, { method,
    headers: { authorization: `Bearer ${key}`, ...(body ? { "content-type": "application/json" } : {}) },
    body: body && JSON.stringify(body) });
  const text = await reply.text();
  assert.equal(reply.status, status, `${method} ${path} ${JSON.stringify(body)}: ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const config = { plugins: ["plugins"] };
before(async () => {
  const dir = `${root}build/spec/settings-${process.pid}`;
  mkdirSync(dir + "/plugins/types", { recursive: true });
  writeFileSync(dir + "/plugins/types/manifest.yaml", PLUGIN);
  writeFileSync(dir + "/plugins/types/show.lua", SHOW);
  await start(dir, config);
});

after(() => host.stop());

// ---- values ---------------------------------------------------------------------------------------

const wellFormed = (arbitrary) => arbitrary.map((text) => text.toWellFormed());
const text = fc.oneof(fc.constant(""), wellFormed(fc.string({ unit: "binary", maxLength: 60 })),
  fc.constantFrom("{{settings.other}}", "$(id)", "'; DROP TABLE endpoints;--", "\r\nX: y", "a\0b", "{\"a\":1}", "ü🌙", "true", "12", "null", "a text"));
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })).map((n) => (n === 0 ? 0 : n)); // no -0
const anything = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, text, number, fc.boolean(), fc.constant(null), fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(wellFormed(fc.string({ minLength: 1 })).filter((name) => !name.includes("\0")), tie("value"), { maxKeys: 3 })),
})).value;
const map = fc.dictionary(wellFormed(fc.string({ minLength: 1 })).filter((name) => !name.includes("\0")), anything, { maxKeys: 4 });
const model = fc.record({ provider: fc.constant("local"), model: fc.constant("demo"), model_type: fc.constant("llm"),
  mode: fc.constant("chat"), completion_params: map }, { requiredKeys: ["provider", "model", "model_type"] });

const VALUES = {
  secret: text.filter((value) => value !== MASK), secrets: fc.array(text, { maxLength: 3 }),
  text, text_default: text, texts: fc.array(text, { maxLength: 3 }),
  choice: fc.constantFrom("a", "b", ""), choices: fc.array(fc.constantFrom("a", "b"), { maxLength: 3 }),
  flag: fc.boolean(), flag_default: fc.boolean(), model,
  ranks: fc.record({ provider: fc.constant("x"), model: text.filter(Boolean), model_type: fc.constant("rerank"),
    score_threshold: number, top_n: fc.integer() }),
  app: fc.record({ app_id: text.filter(Boolean), inputs: map, files: fc.array(map, { maxLength: 2 }) }, { requiredKeys: ["app_id"] }),
  tools: fc.array(map, { maxLength: 3 }),
};
const patch = fc.record(Object.fromEntries(Object.entries(VALUES).map(([name, values]) =>
  [name, fc.oneof({ weight: 4, arbitrary: values }, { weight: 1, arbitrary: fc.constant(null) })])), { requiredKeys: [] });
const changes = fc.array(fc.record({ settings: patch, unset: fc.subarray(Object.keys(VALUES)), keeps: fc.boolean() }), { maxLength: 3 });

// ---- what must be seen ----------------------------------------------------------------------------

const shown = (given) => Object.fromEntries(Object.entries(given).map(([name, value]) =>
  [name, SECRET.has(name) && value !== null ? MASK : value]));
// What was given as null is no value, and not the default either.
const served = (given) => Object.fromEntries(Object.entries({ ...DEFAULTS, ...given }).filter(([, value]) => value !== null));

async function check(endpoint, made) {
  const given = JSON.parse(JSON.stringify(made)); // objects like any other
  assert.deepEqual(endpoint.settings, shown(given));
  assert.equal(endpoint.problem, null);
  const reply = await fetch(`${host.base}/e/${endpoint.hook_id}/`);
  assert.deepEqual(await reply.json(), served(given));
}

describe("settings of every type", () => {
  const kept = new Map();

  it("go through API, store and handler: unset, null, default and empty stay distinct", { timeout: 120_000 }, async () => {
    await fc.assert(fc.asyncProperty(patch, changes, async (first, more) => {
      let given = { ...first };
      let endpoint = await ask("POST", "/endpoints", { plugin: "types", settings: first }, 201);
      await check(endpoint, given);
      for (const change of more) {
        const settings = { ...change.settings };
        const unset = change.unset.filter((name) => !(name in settings) && name in given);
        // The mask, which is all that is ever shown of a secret, keeps it.
        if (change.keeps && typeof given.secret === "string" && !unset.includes("secret")) settings.secret = MASK;
        endpoint = await ask("PATCH", `/endpoints/${endpoint.id}`, { settings, unset }, 200);
        for (const name of unset) delete given[name];
        given = { ...given, ...settings, ...(settings.secret === MASK ? { secret: given.secret } : {}) };
        await check(endpoint, given);
      }
      assert.deepEqual(await ask("GET", `/endpoints/${endpoint.id}`, undefined, 200), endpoint);
      kept.set(endpoint.id, { endpoint, given });
    }), { numRuns: RUNS, seed: 3, includeErrorInReport: true, endOnFailure: true });
  });

  it("are the same after a restart", { timeout: 60_000 }, async () => {
    assert.ok(kept.size >= RUNS);
    await host.stop({ keepsFolder: true });
    await start(host.dir, config);
    for (const { endpoint, given } of kept.values()) {
      const { url, routes, ...again } = await ask("GET", `/endpoints/${endpoint.id}`, undefined, 200); // of another port
      const { url: oldUrl, routes: oldRoutes, ...before } = endpoint;
      assert.deepEqual(again, before);
      await check(again, given);
    }
  });
});
