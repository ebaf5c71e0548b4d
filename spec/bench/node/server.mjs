// The bench's handlers as one writes them for node: server.mjs PORT UPSTREAM_PORT
import { readFileSync } from "node:fs";
import http from "node:http";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

function hello(request, response) {
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end("Hello, world!\n");
}

function json(request, response) {
  readJson(request, (order) => {
    let total = 0;
    for (const item of order.items) total += item.price * item.count;
    order.total = total;
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(order));
  });
}

function stream(request, response) {
  response.setHeader("Content-Type", "text/event-stream");
  for (let i = 1; i <= 200; i++) {
    response.write(`data: {"index":${i},"text":"a few words"}\n\n`);
  }
  response.end();
}

// Asks the upstream; calls `take` with its reply.
function ask(path, value, response, take) {
  const body = JSON.stringify(value);
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  const options = { port: upstreamPort, host: "127.0.0.1", path, method: "POST", agent, headers };
  const call = http.request(options, take);
  call.on("error", () => response.destroy());
  call.end(body);
}

// Passes on what `map` makes of each event.
function relayEvents(path, value, response, map) {
  ask(path, value, response, (reply) => {
    let buffer = "";
    response.setHeader("Content-Type", "text/event-stream");
    reply.setEncoding("utf8");
    reply.on("data", (piece) => {
      const events = (buffer + piece).split("\n\n");
      buffer = events.pop();
      for (const event of events) {
        const data = event.slice(6); // after "data: "
        const mapped = data === "[DONE]" ? undefined : map(JSON.parse(data));
        if (mapped) response.write(mapped);
      }
    });
    reply.on("end", () => response.end());
  });
}

function relay(request, response) {
  const model = request.url === "/paced" ? "paced" : "burst";
  const messages = [{ role: "user", content: "Say something." }];
  relayEvents("/v1/chat/completions", { model, messages, stream: true }, response, (event) => {
    const choice = event.choices[0];
    if (!choice) return undefined;
    const finished = choice.finish_reason ?? undefined;
    const mapped = { text: choice.delta.content ?? "", finish_reason: finished };
    return `data: ${JSON.stringify(mapped)}\n\n`;
  });
}

function readJson(request, take) {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => take(JSON.parse(Buffer.concat(pieces).toString())));
}

function chat(request, response) {
  readJson(request, ({ query }) => {
    const body = { query, inputs: {}, user: "bench", response_mode: "streaming" };
    relayEvents("/v1/chat-messages", body, response, (event) => JSON.stringify(event) + "\n\n");
  });
}

function embeddings(request, response) {
  readJson(request, ({ input }) => {
    ask("/v1/embeddings", { input }, response, (reply) => {
      readJson(reply, (answer) => {
        for (const item of answer.data) {
          item.embedding = Buffer.from(new Float32Array(item.embedding).buffer).toString("base64");
        }
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify(answer));
      });
    });
  });
}

function greedy(request, response) {
  let number = 1;
  response.setHeader("Content-Type", "text/event-stream");
  const step = () => {
    for (let i = 0; i < 20000; i++) number = (number * 16807) % 2147483647;
    if (response.destroyed) return;
    if (response.write(`data: ${number}\n\n`)) setImmediate(step);
    else response.once("drain", step);
  };
  step();
}

const style = readFileSync(new URL("../plugin/_assets/page.css", import.meta.url));

function asset(request, response) {
  response.setHeader("Content-Type", "text/css");
  response.end(style);
}

function idle(request, response) {
  response.setHeader("Content-Type", "text/event-stream");
  response.write("data: hello\n\n");
}

const handlers = {
  "/hello": hello, "/json": json, "/stream": stream, "/relay": relay, "/paced": relay,
  "/chat": chat, "/embeddings": embeddings, "/greedy": greedy, "/asset": asset, "/idle": idle,
};

http
  .createServer((request, response) => handlers[request.url](request, response))
  .listen(port, "127.0.0.1", 1024);
