// Killed at any moment: eight clients change endpoints through the admin API, every process of the
// host is killed with SIGKILL in the middle of it, again and again. After each restart every change
// that was answered is there, and one that was not is there whole or not at all.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { Host } from "../support/host.mjs";
import { root } from "../support/packages.mjs";

const CHANGES = 1000, CLIENTS = 8, ROUNDS = 12, MASK = "********";
const PLUGIN = `
version: 0.0.1
type: plugin
author: spec
name: pair
plugins:
  endpoints:
    - settings:
        - { name: secret, type: secret-input, required: true }
        - { name: text, type: text-input, required: true }
      endpoints: [ { path: /, method: GET, extra: { lua: { source: show.lua } } } ]
`;
const SHOW = "return function(_, _, _, settings) return settings.secret .. ' ' .. settings.text end\n";

const dir = `${root}build/spec/crash-${process.pid}`;
const config = { plugins: ["plugins"], workers: 2, log: { level: "info" } };
let host, key, port, isKilled;

before(async () => {
  mkdirSync(dir + "/plugins/pair", { recursive: true });
  writeFileSync(dir + "/plugins/pair/manifest.yaml", PLUGIN);
  writeFileSync(dir + "/plugins/pair/show.lua", SHOW);
  await start();
});

after(async () => {
  await host?.stop();
});

async function start() {
  host = await Host.start(config, { dir });
  isKilled = false;
  key = readFileSync(dir + "/data/admin.key", "utf8").trim();
  const { address } = await host.record((record) => record.msg === "listening" && record.listener === "admin");
  port = Number(address.split(":")[1]);
}

// All of them, before one could notice that another is gone.
async function kill() {
  isKilled = true;
  const pid = host.process.pid;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  for (const one of [pid, ...children]) try { process.kill(one, "SIGKILL"); } catch { /* it is dead already */ }
  await host.ended;
}

// Gives the answer, or undefined when the host died before it came.
function ask(method, path, body) {
  return new Promise((done) => {
    const bytes = body && Buffer.from(JSON.stringify(body));
    const request = http.request({ host: "127.0.0.1", port, method, path: "/api/v1" + path, agent: false,
      headers: { authorization: `Bearer ${key}`, ...(bytes && { "content-type": "application/json", "content-length": bytes.length }) } }, (reply) => {
      const pieces = [];
      reply.on("data", (piece) => pieces.push(piece));
      reply.on("error", () => done());
      reply.on("end", () => done(reply.complete ? { status: reply.statusCode, body: Buffer.concat(pieces).toString() } : undefined));
    });
    request.on("error", () => done());
    request.end(bytes);
  });
}

// What is known: id -> { state, maybe }. `maybe`: how it would be after a change that was not
// answered; null: gone.
const known = new Map();
let answered = 0, number = 0, orphans = 0;

const pick = (list) => list[Math.floor(Math.random() * list.length)];

async function changeOne(client) {
  const mine = [...known].filter(([, entry]) => entry.client === client && entry.state);
  const verb = mine.length === 0 || (mine.length < 6 && Math.random() < 0.2) ? "create" : pick(["patch", "patch", "enable", "disable", "rotate", "remove"]);
  const n = ++number;
  if (verb === "create") {
    const state = { name: `n${n}`, enabled: true, text: `t${n}`, secret: `sk-${n}` };
    orphans++; // until it is answered nobody knows its id
    const reply = await ask("POST", "/endpoints", { plugin: "pair", name: state.name, settings: { text: state.text, secret: state.secret } });
    if (!reply) return;
    orphans--;
    assert.equal(reply.status, 201, reply.body);
    const made = JSON.parse(reply.body);
    known.set(made.id, { client, state: { ...state, hook_id: made.hook_id } });
    answered++;
    return;
  }
  const [id, entry] = pick(mine), before = entry.state;
  const after = { ...before };
  let reply;
  if (verb === "patch") {
    Object.assign(after, { name: `n${n}`, text: `t${n}`, secret: `sk-${n}` });
    entry.maybe = after;
    reply = await ask("PATCH", `/endpoints/${id}`, { name: after.name, settings: { text: after.text, secret: after.secret } });
  } else if (verb === "remove") {
    entry.maybe = null;
    reply = await ask("DELETE", `/endpoints/${id}`);
  } else {
    if (verb === "rotate") after.hook_id = undefined; // another one
    else after.enabled = verb === "enable";
    entry.maybe = after;
    reply = await ask("POST", `/endpoints/${id}/${verb}`);
  }
  if (!reply) return;
  assert.ok(reply.status === 200 || reply.status === 204, `${verb}: ${reply.status} ${reply.body}`);
  if (verb === "rotate") after.hook_id = JSON.parse(reply.body).hook_id;
  entry.state = entry.maybe && after;
  delete entry.maybe;
  answered++;
}

const isSame = (state, found) => state.name === found.name && state.enabled === found.enabled &&
  (state.hook_id === undefined || state.hook_id === found.hook_id) && state.text === found.settings.text;

// Holds the host against what is known; what was open is settled now.
async function settle() {
  const found = new Map();
  let cursor = "";
  do {
    const page = JSON.parse((await ask("GET", `/endpoints?limit=200${cursor}`)).body);
    for (const endpoint of page.endpoints) found.set(endpoint.id, endpoint);
    cursor = page.next_cursor ? `&cursor=${page.next_cursor}` : "";
  } while (cursor);
  for (const [id, entry] of known) {
    const endpoint = found.get(id);
    found.delete(id);
    const isOpen = "maybe" in entry;
    if (!endpoint) {
      assert.ok(entry.state === null || (isOpen && entry.maybe === null), `${id} is gone: ${JSON.stringify(entry)}`);
      known.delete(id);
      continue;
    }
    const states = [entry.state, ...(isOpen && entry.maybe ? [entry.maybe] : [])].filter(Boolean);
    const state = states.find((one) => isSame(one, endpoint));
    assert.ok(state, `${id} is ${JSON.stringify(endpoint)}, expected one of ${JSON.stringify(states)}`);
    state.hook_id = endpoint.hook_id;
    assert.equal(endpoint.settings.secret, MASK);
    // Whole: the secret belongs to the text, and is served where the row says.
    const reply = await fetch(`${host.base}/e/${endpoint.hook_id}/`);
    assert.equal(reply.status, state.enabled ? 200 : 404);
    const text = await reply.text();
    if (state.enabled) assert.equal(text, `${state.secret} ${state.text}`);
    entry.state = state;
    delete entry.maybe;
  }
  // Creations whose answer was lost: there whole, or not at all.
  assert.ok(found.size <= orphans, `${found.size} endpoints that nobody asked for`);
  for (const [id, endpoint] of found) {
    assert.equal(endpoint.settings.text, "t" + endpoint.name.slice(1));
    await ask("DELETE", `/endpoints/${id}`);
  }
  orphans = 0;
}

describe("an answered change", () => {
  it(`is there after a crash: ${CHANGES} changes, killed ${ROUNDS} times`, { timeout: 200_000 }, async () => {
    let rounds = 0;
    while (answered < CHANGES || rounds < ROUNDS) {
      rounds++;
      const until = answered + Math.ceil(CHANGES / ROUNDS), pause = Math.random() * 20;
      const clients = Array.from({ length: CLIENTS }, async (_, client) => {
        while (!isKilled) await changeOne(client);
      });
      const failed = Promise.race(clients.map((one) => one.then(() => undefined, (error) => error)));
      while (answered < until) {
        const error = await Promise.race([failed, new Promise((done) => setTimeout(done, 1))]);
        if (error) throw error;
      }
      await new Promise((done) => setTimeout(done, pause));
      await kill();
      await Promise.all(clients);
      await start();
      await settle();
    }
    assert.ok(answered >= CHANGES);
  });
});
