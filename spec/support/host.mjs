// The real binary for the node specs: started on a free port in a folder of its own, ended at the
// end of its spec. MOONHOOK_BIN names it, as in spec/support/host.lua.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./packages.mjs";

const START_MS = 10_000, STOP_MS = 10_000;
const binary = resolve(root, process.env.MOONHOOK_BIN ?? "build/moonhook");
let count = 0;

export const API_KEY = "spec-key";

// A configuration with both bundled plugins: the page under /e/candy-dev/pink, the API under
// /e/openai-dev/v1. `model` answers both; `more` replaces whole sections.
export function bundledConfig({ model = { provider: "local", model: "demo" }, skin = {}, openai = {}, ...more } = {}) {
  return {
    plugins: [root + "plugins"],
    apps: { candy: { mode: "chat", name: "Candy", prompt: "You are Candy.", model, memory: 20 } },
    endpoints: [
      { plugin: "webapp_skins", hook_id: "candy-dev", settings: { app: { app_id: "candy" }, ...skin } },
      {
        plugin: "openai_models", hook_id: "openai-dev",
        settings: { api_key: API_KEY, llm: { ...model, model_type: "llm" }, ...openai },
      },
    ],
    ...more,
  };
}

export class Host {
  records = []; // the log, parsed
  #text = "";
  #waiting = [];

  // Starts it and waits until it listens. `dir` of a host that was stopped: on the same data.
  static async start(config, { env = {}, dir } = {}) {
    const host = new Host();
    host.dir = dir ?? `${root}build/spec/node-${process.pid}-${++count}`;
    if (!dir) rmSync(host.dir, { recursive: true, force: true });
    mkdirSync(host.dir, { recursive: true });
    writeFileSync(host.dir + "/moonhook.yaml", JSON.stringify(config)); // JSON is YAML
    const args = ["serve", "--config", "moonhook.yaml", "--data", "data", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    host.process = spawn(binary, args, { cwd: host.dir, env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
    host.ended = new Promise((done) => host.process.once("exit", (code, signal) => done({ code, signal })));
    createInterface({ input: host.process.stderr }).on("line", (line) => host.#take(line));
    const started = await Promise.race([
      host.record((record) => record.msg === "listening" && record.listener === "public", START_MS), host.ended,
    ]);
    if (!started.address) throw new Error(`the host did not start:\n${host.#text}`);
    host.base = "http://" + started.address;
    return host;
  }

  #take(line) {
    this.#text += line + "\n";
    let record;
    try { record = JSON.parse(line); } catch { record = { text: line }; }
    this.records.push(record);
    this.#waiting = this.#waiting.filter(({ matches, done }) => !(matches(record) && (done(record), true)));
  }

  // Waits for a log record; one that came before counts.
  record(matches, limitMs = 5_000) {
    const known = this.records.find(matches);
    if (known) return Promise.resolve(known);
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`no such log record came:\n${this.#text}`)), limitMs);
      this.#waiting.push({ matches, done: (record) => { clearTimeout(timer); done(record); } });
    });
  }

  get page() { return this.base + "/e/candy-dev/pink"; }
  get api() { return this.base + "/e/openai-dev/v1"; }

  // Ends it; a bad end or something left open fails the spec.
  async stop({ keepsFolder = false } = {}) {
    this.process.kill("SIGTERM");
    const timer = setTimeout(() => this.process.kill("SIGKILL"), STOP_MS);
    const { code, signal } = await this.ended;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`the host ended with ${signal ?? code}, its log was:\n${this.#text}`);
    const closed = this.records.find((record) => record.msg === "closed");
    if (closed?.open_handles || closed?.live_tasks) throw new Error(`left open: ${JSON.stringify(closed)}`);
    if (!keepsFolder) rmSync(this.dir, { recursive: true, force: true });
  }
}
