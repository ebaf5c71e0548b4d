// The bench's five handlers as one writes them for node: server.mjs PORT UPSTREAM_PORT
import http from "node:http";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

function hello(request, response) {
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end("Hello, world!\n");
}

function json(request, response) {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const order = JSON.parse(Buffer.concat(pieces).toString());
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

function relay(request, response, query) {
  const body = JSON.stringify({
    model: new URLSearchParams(query).get("how"),
    messages: [{ role: "user", content: "Say something." }],
    stream: true,
  });
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  const options = { port: upstreamPort, host: "127.0.0.1", path: "/v1/chat/completions" };
  const call = http.request({ ...options, method: "POST", agent, headers }, (reply) => {
    let buffer = "";
    response.setHeader("Content-Type", "text/event-stream");
    reply.setEncoding("utf8");
    reply.on("data", (piece) => {
      const events = (buffer + piece).split("\n\n");
      buffer = events.pop();
      for (const event of events) {
        const data = event.slice(6); // after "data: "
        if (data === "[DONE]") continue;
        const choice = JSON.parse(data).choices[0];
        if (!choice) continue;
        const finished = choice.finish_reason ?? undefined;
        const mapped = { text: choice.delta.content ?? "", finish_reason: finished };
        response.write(`data: ${JSON.stringify(mapped)}\n\n`);
      }
    });
    reply.on("end", () => response.end());
  });
  call.on("error", () => response.destroy());
  call.end(body);
}

function idle(request, response) {
  response.setHeader("Content-Type", "text/event-stream");
  response.write("data: hello\n\n");
}

const handlers = { "/hello": hello, "/json": json, "/stream": stream, "/relay": relay, "/idle": idle };

http
  .createServer((request, response) => {
    const [path, query] = request.url.split("?", 2);
    handlers[path](request, response, query);
  })
  .listen(port, "127.0.0.1", 1024);
