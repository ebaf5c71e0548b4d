// A fake OpenAI-compatible server that can misbehave on order. Plain node, no packages.
//
//   node spec/support/fake_model.mjs [--tls DIR]
//
// prints one line, {"port":N}, with --tls also "ca_file", "tls_port", "wrong_name_port", "expired_port",
// "self_signed_port" and "proxy_port" (a proxy that takes CONNECT to any host and leads to tls_port).
// Lives until it is ended.
//
// Orders come in the model's name, "fake;head_ms=200;n=5", or for all requests by POST /_control with a
// JSON object (which replaces the one before; {} ends it). An order's members:
//   head_ms, piece_ms   wait before the head, before each piece
//   n, piece_bytes      the answer is so many pieces "w0", " w1", ..., each with so much padding
//   say                 the answer's text
//   status, retry_after a refusal in OpenAI's shape; `times`: only so often per model name
//   cut=fin|rst, after  end the connection after so many events (streams) or bytes of the body
//   silent_after        say nothing more after so many events
//   split               every so many bytes in a segment of their own
//   framing=close       no length: the end of the connection ends the body
//   never               never answer
//   drop_ms             close the connection so long after a reply that let it live
//   stale               close the connection instead of answering when it is not the request's first
//   endless             pieces without end, as fast as they are taken
//   raw                 see `raws`
// GET /_seen tells what came: [{ id, connection, nth, method, path, headers, body, at_ms, sent_events,
// sent_bytes, closed: "fin"|"rst"|"own"|null, closed_ms, is_complete }]; DELETE /_seen forgets it.
// GET /_connections: how many are open just now, those of /_ requests not counted.
import net from "node:net";
import tls from "node:tls";
import { readFileSync } from "node:fs";
import * as answers from "./fake_answers.mjs";
import { makeCertificates } from "./certificates.mjs";
import { takeRequest } from "./take_request.mjs";

const MODELS = ["fake", "fake-embedding"];
const started = Date.now();
let control = {};
let seen = [];
let used = new Map(); // how often an order with `times` was obeyed
let connections = 0;
let nextRequest = 1;
const open = new Set();

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function orderOf(body) {
  const order = { ...control };
  for (const part of String(body?.model ?? "").split(";").slice(1)) {
    const [name, value = "1"] = part.split(/=(.*)/s);
    order[name] = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  }
  if (order.times !== undefined) {
    const key = JSON.stringify(order);
    const count = (used.get(key) ?? 0) + 1;
    used.set(key, count);
    if (count > order.times) return {};
  }
  return order;
}

// --- writing replies -----------------------------------------------------------------------------

/** Writes, split as ordered, and waits while the peer does not take it. Throws when it has left. */
async function write(socket, order, data) {
  const bytes = Buffer.from(data);
  const step = order.split ?? bytes.length;
  for (let at = 0; at < bytes.length; at += step) {
    if (socket.destroyed || socket.gone) throw new Error("left");
    const isTaken = socket.write(bytes.subarray(at, at + step));
    if (!isTaken) {
      await Promise.race([
        new Promise((done) => socket.once("drain", done)),
        new Promise((done) => socket.once("close", done)),
      ]);
    }
    if (order.split) await new Promise((done) => setImmediate(done));
  }
}

function cut(socket, how) {
  socket.isOwnEnd = true;
  if (how === "rst" && socket.encrypted) socket.destroy(); // no close_notify
  else if (how === "rst") socket.resetAndDestroy();
  else socket.end();
}

async function sendWhole(socket, order, status, payload, headers = {}) {
  const body = Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
  const lines = [`HTTP/1.1 ${status} Whatever`, "Content-Type: application/json"];
  if (order.framing === "close") lines.push("Connection: close");
  else lines.push(`Content-Length: ${body.length}`);
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  const shown = order.cut ? body.subarray(0, order.after ?? body.length >> 1) : body;
  await write(socket, order, Buffer.concat([Buffer.from(lines.join("\r\n") + "\r\n\r\n"), shown]));
  if (order.cut) cut(socket, order.cut);
  else if (order.framing === "close") cut(socket, "fin");
}

/** A body of events or bytes, chunked or until the end of the connection. */
function eventBody(socket, order, record, type = "text/event-stream") {
  const isChunked = order.framing !== "close";
  return {
    head: () => write(socket, order,
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nCache-Control: no-cache\r\n` + (isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n")),
    async send(text) {
      const bytes = Buffer.from(text);
      const size = Buffer.from(bytes.length.toString(16) + "\r\n");
      await write(socket, order, isChunked ? Buffer.concat([size, bytes, Buffer.from("\r\n")]) : bytes);
      record.sent_events++;
      record.sent_bytes += bytes.length;
    },
    async end() {
      if (isChunked) await write(socket, order, "0\r\n\r\n");
      else cut(socket, "fin");
    },
  };
}

async function sendStream(socket, order, body, record) {
  const out = eventBody(socket, order, record);
  await out.head();
  const list = answers.chunks(body, order).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  list.push("data: [DONE]\n\n");
  for (const event of list) {
    if (order.cut && record.sent_events === (order.after ?? 3)) return cut(socket, order.cut);
    if (record.sent_events === order.silent_after) await new Promise(() => {});
    if (order.piece_ms) await sleep(order.piece_ms);
    await out.send(event);
  }
  await out.end();
}

async function sendEndless(socket, order, body, record) {
  const out = eventBody(socket, order, record);
  await out.head();
  const pad = "x".repeat(order.piece_bytes ?? 100);
  for (let i = 0; ; i++) {
    const chunk = answers.chunks(body, { say: `#${i} ${pad}` })[1];
    chunk.choices[0].delta.content = `#${i} ${pad}\n`;
    await out.send(`data: ${JSON.stringify(chunk)}\n\n`);
    if (order.piece_ms) await sleep(order.piece_ms);
    else if (i % 64 === 0) await new Promise((done) => setImmediate(done)); // others shall live too
  }
}

// --- garbage -------------------------------------------------------------------------------------

function simpleEvents(body, order) {
  return answers.chunks(body, order).map((chunk) => JSON.stringify(chunk));
}

/** A stream whose text is written by hand from the events. */
const spelled = (spell) => async (socket, order, body, record) => {
  const out = eventBody(socket, order, record);
  await out.head();
  await out.send(spell(simpleEvents(body, order)));
  await out.end();
};

const raws = {
  bad_status: (socket, order) => write(socket, order, "HTTP/1.1 abc OK\r\n\r\n"),
  not_http: (socket, order) => write(socket, order, "SSH-2.0-OpenSSH_9.2\r\n"),
  huge_head: (socket, order) =>
    write(socket, order, "HTTP/1.1 200 OK\r\n" + "X-Filler: ".padEnd(1022, "y") .concat("\r\n").repeat(100) + "\r\n"),
  short_length: async (socket, order) => {
    await write(socket, order, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
      + "x".repeat(60));
    cut(socket, "fin");
  },
  gzip: (socket, order) => write(socket, order,
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"),
  interim: (socket, order, body) => write(socket, order, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    .then(() => sendWhole(socket, order, 200, answers.completion(body, order))),
  not_json: (socket, order) => sendWhole(socket, order, 200, "{\"choices\": [}"),
  huge_body: async (socket, order) => {
    await write(socket, order, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n");
    for (let i = 0; i < 1600; i++) await write(socket, order, "x".repeat(65536));
  },
  huge_event: async (socket, order, body, record) => {
    const out = eventBody(socket, order, record);
    await out.head();
    await out.send("data: ");
    for (let i = 0; i < 800; i++) await out.send("x".repeat(65536));
    await out.end();
  },
  json_for_stream: (socket, order, body) => sendWhole(socket, order, 200, answers.completion(body, order)),
  error_event: spelled((events) => `data: ${events[0]}\n\ndata: ${events[1]}\n\n`
    + "data: {\"error\":{\"message\":\"the model fell over\",\"type\":\"server_error\",\"code\":null}}\n\n"),
  cr_only: spelled((events) => [...events, "[DONE]"].map((event) => `data: ${event}\r\r`).join("")),
  crlf: spelled((events) => [...events, "[DONE]"].map((event) => `data: ${event}\r\n\r\n`).join("")),
  bom: spelled((events) => "\ufeff" + [...events, "[DONE]"].map((event) => `data: ${event}\n\n`).join("")),
  no_space: spelled((events) => [...events, "[DONE]"].map((event) => `data:${event}\n\n`).join("")),
  multi_line: spelled((events) => events.map((event) => event.replace(/^\{/, "{\n").split("\n")
    .map((line) => `data: ${line}\n`).join("") + "\n").join("") + "data: [DONE]\n\n"),
  comments: spelled((events) => ": hello\n\n" + [...events, "[DONE]"].map((event) =>
    `: comment\nevent: message\nid: 1\nretry: 10\nunknown\ndata: ${event}\n\n: more\n\n`).join("")),
  last_incomplete: spelled((events) => events.map((event) => `data: ${event}\n\n`).join("")
    + "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"NEVER\"},\"finish_reason\":null}]}\n"),
  no_done: spelled((events) => events.map((event) => `data: ${event}\n\n`).join("")),
  bad_json_event: spelled((events) => `data: ${events[0]}\n\ndata: {"choices": [{]\n\n`),
  bad_utf8: async (socket, order, body, record) => {
    const out = eventBody(socket, order, record);
    await out.head();
    const [first, ...rest] = simpleEvents(body, order);
    const broken = JSON.stringify({ choices: [{ index: 0, delta: { content: "a?b" }, finish_reason: null }] });
    await out.send(`data: ${first}\n\n`);
    await out.send(Buffer.from(`data: ${broken}\n\n`).map((byte) => (byte === 0x3f ? 0xff : byte)));
    for (const event of [...rest, "[DONE]"]) await out.send(`data: ${event}\n\n`);
    await out.end();
  },
  done_then_more: async (socket, order, body, record) => {
    const out = eventBody(socket, order, record);
    await out.head();
    for (const event of [...simpleEvents(body, order), "[DONE]"]) await out.send(`data: ${event}\n\n`);
    for (let i = 0; i < 16; i++) await out.send(`data: ${"z".repeat(65530)}\n\n`);
    await out.end();
  },
};

// --- answering -----------------------------------------------------------------------------------

async function serveControl(socket, request) {
  const { method, path, bytes } = request;
  const reply = (payload) => sendWhole(socket, {}, 200, payload);
  if (path === "/_seen" && method === "DELETE") {
    seen = [];
    used = new Map();
    return reply({});
  }
  if (path === "/_seen") return reply(seen.map(({ socket: _, ...record }) => record));
  if (path === "/_connections") return reply({ open: [...open].filter((one) => !one.isControl).length });
  if (path === "/_control") {
    control = JSON.parse(bytes.toString() || "{}");
    used = new Map();
    return reply({});
  }
  return sendWhole(socket, {}, 404, answers.refusal(404, "no such control"));
}

// What a request says: JSON, or the fields of a form with the size of its file.
function bodyOf(request) {
  if (!/^multipart\/form-data/.test(request.headers["content-type"] ?? "")) {
    return JSON.parse(request.bytes.toString() || "{}");
  }
  const boundary = `--${request.headers["content-type"].match(/boundary=(.*)$/)[1]}`;
  const body = {};
  for (const part of request.bytes.toString().split(boundary).slice(1, -1)) {
    const [head, content] = part.match(/^\r\n(.*?)\r\n\r\n(.*)\r\n$/s).slice(1);
    const filename = head.match(/filename="([^"]*)"/)?.[1];
    body[head.match(/ name="([^"]*)"/)[1]] = filename ? { filename, chars: content.length } : content;
  }
  return body;
}

/** Sound comes in pieces, without a length. */
async function sendSpeech(socket, order, body, record) {
  const out = eventBody(socket, order, record, "audio/mpeg");
  await out.head();
  for (const piece of answers.speech(body)) {
    if (order.cut && record.sent_events === (order.after ?? 1)) return cut(socket, order.cut);
    if (order.piece_ms) await sleep(order.piece_ms);
    await out.send(piece);
  }
  await out.end();
}

async function serveModel(socket, request, record) {
  let body = {};
  try {
    body = bodyOf(request);
  } catch {
    return sendWhole(socket, {}, 400, answers.refusal(400, "the body is not JSON"));
  }
  record.body = body;
  const order = orderOf(body);
  if (order.never) return new Promise(() => {});
  if (order.stale && record.nth > 1) return cut(socket, "fin");
  if (order.drop_ms) setTimeout(() => cut(socket, "fin"), order.drop_ms);
  if (order.head_ms) await sleep(order.head_ms);
  if (order.status) {
    const headers = order.retry_after !== undefined ? { "Retry-After": order.retry_after } : {};
    return sendWhole(socket, order, order.status, answers.refusal(order.status), headers);
  }
  if (order.raw) return raws[order.raw](socket, order, body, record);
  const path = request.path.replace(/^\/v1/, "");
  if (path === "/models") return sendWhole(socket, order, 200, answers.models(MODELS));
  if (path === "/embeddings") return sendWhole(socket, order, 200, answers.embeddings(body));
  if (path === "/rerank") return sendWhole(socket, order, 200, answers.rerank(body));
  if (path === "/moderations") return sendWhole(socket, order, 200, answers.moderation(body));
  if (path === "/audio/transcriptions") return sendWhole(socket, order, 200, answers.transcription(body));
  if (path === "/audio/speech") return sendSpeech(socket, order, body, record);
  if (path !== "/chat/completions") return sendWhole(socket, order, 404, answers.refusal(404, "no such path"));
  if (!Array.isArray(body.messages)) {
    return sendWhole(socket, order, 400, answers.refusal(400, "messages: expected a list"));
  }
  if (order.endless) return sendEndless(socket, order, body, record);
  if (body.stream) return sendStream(socket, order, body, record);
  return sendWhole(socket, order, 200, answers.completion(body, order));
}

function onConnection(socket) {
  const state = { bytes: Buffer.alloc(0), nth: 0 };
  const connection = ++connections;
  let current = null;
  let isBusy = false;
  open.add(socket);
  socket.setNoDelay(true);
  const close = (how) => {
    socket.gone = true;
    if (current && !current.closed) {
      current.closed = socket.isOwnEnd ? "own" : how;
      current.closed_ms = Date.now() - started;
    }
  };
  const serve = async () => {
    if (isBusy) return;
    for (let request; (request = takeRequest(state));) {
      isBusy = true;
      if (request.path.startsWith("/_")) {
        socket.isControl = true;
        await serveControl(socket, request);
      } else {
        current = {
          id: nextRequest++, connection, nth: ++state.nth, method: request.method, path: request.path,
          headers: request.headers, body: null, at_ms: Date.now() - started, sent_events: 0, sent_bytes: 0,
          closed: null, closed_ms: null, is_complete: false,
        };
        seen.push(current);
        try {
          await serveModel(socket, request, current);
          current.is_complete = !socket.isOwnEnd;
        } catch (error) {
          if (error.message !== "left") throw error;
        }
      }
      isBusy = false;
    }
  };
  socket.on("data", (bytes) => {
    state.bytes = Buffer.concat([state.bytes, bytes]);
    serve();
  });
  socket.on("end", () => close("fin"));
  socket.on("error", () => close("rst"));
  socket.on("close", () => {
    close("fin");
    open.delete(socket);
  });
}

// --- listening -----------------------------------------------------------------------------------

const listen = (server) => new Promise((done) => {
  server.listen(0, "127.0.0.1", () => done(server.address().port));
});

/** CONNECT to anything leads to `port`; the requests are seen as such. */
function onProxyConnection(port) {
  return (socket) => {
    let bytes = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", function onHead(data) {
      bytes = Buffer.concat([bytes, data]);
      const request = takeRequest({ bytes });
      if (!request) return;
      socket.off("data", onHead);
      seen.push({ id: nextRequest++, method: request.method, path: request.path, headers: request.headers });
      if (request.method !== "CONNECT" || control.proxy_status) {
        socket.end(`HTTP/1.1 ${control.proxy_status ?? 405} No\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      const target = net.connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connected\r\n\r\n");
        socket.pipe(target).pipe(socket);
      });
      target.on("error", () => socket.destroy());
      socket.on("close", () => target.destroy());
    });
  };
}

async function main() {
  const where = { port: await listen(net.createServer({ allowHalfOpen: false }, onConnection)) };
  const at = process.argv.indexOf("--tls");
  if (at > 0) {
    const dir = makeCertificates(process.argv[at + 1]);
    const secure = (name) => listen(tls.createServer({
      key: readFileSync(`${dir}/${name}.key`), cert: readFileSync(`${dir}/${name}.pem`),
      ALPNProtocols: ["http/1.1"],
    }, onConnection).on("tlsClientError", () => {}));
    where.ca_file = `${dir}/ca.pem`;
    where.tls_port = await secure("good");
    where.wrong_name_port = await secure("wrong_name");
    where.expired_port = await secure("expired");
    where.self_signed_port = await secure("self_signed");
    where.proxy_port = await listen(net.createServer(onProxyConnection(where.tls_port)));
  }
  process.stdout.write(JSON.stringify(where) + "\n");
}

await main();
