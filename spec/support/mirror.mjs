// Two servers for specs of what a plugin may find out: one that plays a backend and tells everything
// that it was told, one that only listens. Plain node.
//
//   node spec/support/mirror.mjs     prints {"port":N,"thief_port":N} and lives until it is ended
//
// The mirror looks for an order anywhere in the request's body:
//   do-redirect   307 to the thief
//   do-echo       401 in OpenAI's shape, with all request headers in the text and as Retry-After
//   do-plain      500 with the request's head as plain text
//   do-event      200 and an event that is an error with the headers
//   do-frame      200 and a Dify frame that is an error with the headers
//   do-envelope   200 and a JSON envelope that is an error with the headers
//   do-alike      200 and events of a model, or of an app, that differ in their text alone, the key in
//                 some
//   do-path       200 and an app's event with a task_id that is a path
// GET /_seen of either: what came, [{ method, url, headers, body }].
import http from "node:http";

const seen = { mirror: [], thief: [] };

function frame(text) {
  const data = Buffer.from(text);
  const head = Buffer.alloc(14);
  head.writeUInt8(0x0f, 0);
  head.writeUInt16LE(10, 2);
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data]);
}

function answer(request, body, reply, thiefPort) {
  const told = JSON.stringify(request.rawHeaders);
  const key = request.headers.authorization ?? request.headers["x-inner-api-key"] ?? "";
  const error = { error: { message: `refused: ${told}`, type: "auth", code: key } };
  const send = (status, type, content, headers = {}) => {
    reply.writeHead(status, { "Content-Type": type, ...headers });
    reply.end(content);
  };
  const order = body.match(/do-(\w+)/)?.[1];
  if (order === "redirect") return send(307, "text/plain", "", { Location: `http://127.0.0.1:${thiefPort}/stolen` });
  if (order === "echo") return send(401, "application/json", JSON.stringify({ ...error, code: key, message: told }), { "Retry-After": key });
  if (order === "plain") return send(500, "text/plain", `${request.method} ${request.url}\n${told}`);
  if (order === "event") return send(200, "text/event-stream", `data: ${JSON.stringify(error)}\n\ndata: [DONE]\n\n`);
  if (order === "alike") {
    const secret = key.replace("Bearer ", "");
    const app = (text) => ({ event: "message", task_id: "t", message_id: "m", answer: text });
    const model = (text) => ({ choices: [{ index: 0, delta: { content: text } }] });
    const told_of = request.url.includes("chat-messages") ? app : model;
    const texts = ["a", "b", secret, `<${secret}>`, secret.slice(0, -2), "c", `${secret} ${secret}`];
    const events = texts.map((text) => `data: ${JSON.stringify(told_of(text))}\n\n`);
    return send(200, "text/event-stream", events.join(""));
  }
  if (order === "frame") return send(200, "text/event-stream", frame(JSON.stringify({ data: null, error: told })));
  if (order === "envelope") return send(200, "application/json", JSON.stringify({ data: null, error: told }));
  if (order === "path") {
    reply.writeHead(200, { "Content-Type": "text/event-stream" });
    reply.write('data: {"event":"message","task_id":"../../x?a=b#","message_id":"m","answer":"a"}\n\n');
    return undefined; // and goes on
  }
  return send(200, "application/json", "{}");
}

function serve(name, act) {
  const server = http.createServer((request, reply) => {
    const pieces = [];
    request.on("data", (bytes) => pieces.push(bytes));
    request.on("end", () => {
      const body = Buffer.concat(pieces).toString("latin1");
      if (request.url === "/_seen") return reply.end(JSON.stringify(seen[name]));
      seen[name].push({ method: request.method, url: request.url, headers: request.headers, body });
      return act(request, body, reply);
    });
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
}

const thief_port = await serve("thief", (request, body, reply) => reply.end("thanks"));
const port = await serve("mirror", (request, body, reply) => answer(request, body, reply, thief_port));
console.log(JSON.stringify({ port, thief_port }));
