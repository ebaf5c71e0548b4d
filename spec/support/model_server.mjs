// An OpenAI-compatible server inside the spec's own process: a spec scripts each answer in code and
// sees when a client has gone. (fake_model.mjs is the one for specs in another process.)
//
//   const server = await ModelServer.start({ tls: true });
//   server.answer = async (call) => { await call.words(["Hel", "lo"]); };
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { makeCertificates } from "./certificates.mjs";
import { root } from "./packages.mjs";

export { sleep };

// One call: its JSON body, and ways to answer it.
class Call {
  constructor(request, response, body) {
    Object.assign(this, { request, response, body, path: request.url, key: request.headers.authorization });
    // Gone before its answer was complete, as this server sees it.
    this.broken = new Promise((done) => response.on("close", () => { if (!response.writableFinished) done(Date.now()); }));
  }

  json(status, value, headers = {}) {
    this.response.writeHead(status, { "Content-Type": "application/json", ...headers });
    this.response.end(JSON.stringify(value));
  }

  // One event of a stream; a string is sent as it is.
  event(value) {
    if (!this.response.headersSent) this.response.writeHead(200, { "Content-Type": "text/event-stream" });
    this.response.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
  }

  delta(delta, finish_reason = null) {
    const choices = [{ index: 0, delta, finish_reason }];
    this.event({ id: "up", object: "chat.completion.chunk", created: 1, model: this.body.model, choices });
  }

  usage = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };

  finish(reason = "stop") {
    this.delta({}, reason);
    if (this.body.stream_options?.include_usage) this.event({ choices: [], usage: this.usage });
    this.event("[DONE]");
    this.response.end();
  }

  // The answer to an ordinary question: streamed in these pieces, or whole when it was asked for whole.
  async words(words, pauseMs = 0) {
    if (!this.body.stream) {
      const message = { role: "assistant", content: words.join("") };
      this.json(200, {
        id: "up", object: "chat.completion", created: 1, model: this.body.model, usage: this.usage,
        choices: [{ index: 0, message, finish_reason: "stop" }],
      });
      return;
    }
    for (const word of words) {
      this.delta({ content: word });
      if (pauseMs) await sleep(pauseMs);
      if (this.response.destroyed) return;
    }
    this.finish();
  }

  // Ends the connection in the middle.
  cut() { this.response.destroy(); }
}

export class ModelServer {
  calls = [];
  answer = (call) => call.words(["Hello", " from", " the", " server."]);

  static async start({ tls = false } = {}) {
    const self = new ModelServer();
    const listener = (request, response) => self.#take(request, response);
    if (tls) {
      mkdirSync(root + "build/spec", { recursive: true });
      const dir = makeCertificates(root + "build/spec/certificates");
      const pair = { key: readFileSync(dir + "/good.key"), cert: readFileSync(dir + "/good.pem") };
      self.caFile = dir + "/ca.pem";
      self.server = https.createServer(pair, listener);
    } else {
      self.server = http.createServer(listener);
    }
    self.server.listen(0, "127.0.0.1");
    await once(self.server, "listening");
    self.url = `${tls ? "https" : "http"}://127.0.0.1:${self.server.address().port}/v1`;
    return self;
  }

  async #take(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const call = new Call(request, response, JSON.parse(Buffer.concat(chunks) || "{}"));
    this.calls.push(call);
    response.on("error", () => {});
    await this.answer(call);
  }

  // What moonhook.yaml says to use it, as the backend `server` with the model `fake`.
  get config() {
    const models = { llm: ["fake"], "text-embedding": ["fake-embedding"] };
    return {
      model: { provider: "server", model: "fake" },
      backends: { server: { type: "openai", url: this.url, models } },
      ...(this.caFile && { client: { ca_file: this.caFile } }),
    };
  }

  get lastCall() { return this.calls.at(-1); }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}
