// A fake Dify: its inner API below /inner/api, its public API below /v1, and the place for signed
// uploads. Written from the contract alone; it refuses what Dify would not understand. Plain node.
//
//   node spec/contract/fake_dify.mjs     prints {"port":N} and lives until it is ended
//
// POST /_control with a JSON object says how to answer from now on ({}: well). Its members:
//   split               the body in pieces of so many bytes, each a chunk of its own
//   at_once             the whole body in one packet
//   framing=close       no length: the end of the connection ends the body
//   head_ms, piece_ms   wait before the head, before each frame or event
//   cut=fin|rst, after  end the connection after so many frames or events
//   end_after_bytes     the body ends properly after so many bytes
//   silent_after        say nothing more after so many
//   never, never_stops  never answer; never answer a call that stops a run
//   status, body        a refusal; `times`: only so often; `headers`
//   frames              these instead: each the text of a frame, or { text, magic, header_length, data_length }
//   events              these instead: each a text, sent as it is, or an event
//   empty_frames        an empty frame before and after each
//   pings               a ping before and after each event
// GET /_seen: what came [{ method, path, headers, body, text, sent, problem, closed, closed_ms, at_ms }];
// DELETE /_seen forgets it. GET /_connections: how many are open, those of /_ requests not counted.
import net from "node:net";
import * as inner from "./dify_inner.mjs";
import * as service from "./dify_service.mjs";
import { Reply, envelope, frame } from "./dify_wire.mjs";
import { takeRequest } from "../support/take_request.mjs";

const INNER_KEY = "inner-secret";
const started = Date.now();
let order = {};
let obeyed = 0;
let seen = [];
let connections = 0;

// --- answers -------------------------------------------------------------------------------------

const framed = (item) => (typeof item === "string" ? frame(item) : frame(item.text ?? "", item));

async function sendFrames(reply, frames) {
  let items = order.frames?.map(framed) ?? frames.map((data) => frame(envelope(data)));
  if (order.empty_frames) items = items.flatMap((item) => [frame(""), item, frame("")]);
  await reply.stream(items);
}

async function sendEvents(reply, events) {
  let items = (order.events ?? events).map((one) => (typeof one === "string" ? one : `data: ${JSON.stringify(one)}\n\n`));
  if (order.pings) items = items.flatMap((item) => ["event: ping\n\n", item, "event: ping\n\n"]);
  await reply.stream(items);
}

async function answerInner(request, reply, record) {
  const path = request.path.slice("/inner/api/".length);
  if (request.headers["x-inner-api-key"] !== INNER_KEY) return reply.whole(404, { message: "not found" });
  record.problem = inner.requestProblem(path, request.body);
  if (record.problem) return reply.whole(400, { code: "invalid_param", message: record.problem, status: 400 });
  const found = inner.answer(path, request.body, `http://${request.headers.host}`);
  if (found.refusal) return reply.whole(found.status, found.refusal);
  if (found.frames) return sendFrames(reply, found.frames);
  return reply.whole(200, envelope(found.data));
}

async function answerUpload(request, reply, record) {
  const file = service.takeFile(request.headers, request.text, "t-1");
  record.problem = file.refusal?.message ??
    inner.signatureProblem(request.path.split("?")[1], file.filename, file.mimetype);
  if (record.problem) return reply.whole(403, { code: "forbidden", message: record.problem });
  const type = file.mimetype.split("/")[0];
  return reply.whole(201, {
    ...file.data, preview_url: "http://files/preview", type: ["image", "video", "audio"].includes(type) ? type : "document",
  });
}

async function answerService(request, reply, record) {
  const path = request.path.slice("/v1".length);
  const found = service.answer(request.method, path, request.headers, request.text, request.body);
  if (found.refusal) {
    record.problem = found.refusal.message;
    return reply.whole(found.status, found.refusal, found.headers);
  }
  if (found.events) return sendEvents(reply, found.events);
  return reply.whole(found.status ?? 200, found.data);
}

function control(request, reply) {
  if (request.path === "/_control") {
    order = request.body;
    obeyed = 0;
  } else if (request.path === "/_connections") {
    return reply.whole(200, { open: connections });
  } else if (request.method === "DELETE") {
    seen = [];
  } else {
    return reply.whole(200, seen);
  }
  return reply.whole(200, {});
}

async function answer(request, socket, record) {
  if (request.path.startsWith("/_")) return control(request, new Reply(socket, {}, {}));
  const now = request.path.endsWith("/stop") ? { never: order.never_stops } : order;
  const reply = new Reply(socket, now, record);
  if (now.never) return undefined;
  if (now.status && (now.times === undefined || obeyed++ < now.times)) {
    return reply.whole(now.status, now.body ?? { code: "internal_server_error", message: "broken", status: now.status }, now.headers);
  }
  if (request.path.startsWith("/inner/api/")) return answerInner(request, reply, record);
  if (request.path.startsWith("/files/upload/for-plugin?")) return answerUpload(request, reply, record);
  if (request.path.startsWith("/v1/")) return answerService(request, reply, record);
  return reply.whole(404, { code: "not_found", message: "no such path" });
}

// --- requests ------------------------------------------------------------------------------------

function nextRequest(state) {
  const request = takeRequest(state);
  if (!request) return undefined;
  if (request.headers["content-type"] === "application/json") request.body = JSON.parse(request.bytes.toString());
  request.text = request.bytes.toString("latin1");
  return request;
}

async function take(socket, state) {
  if (state.isBusy) return;
  state.isBusy = true;
  for (let request = nextRequest(state); request; request = nextRequest(state)) {
    const isOurs = request.path.startsWith("/_");
    const record = { method: request.method, path: request.path, headers: request.headers, body: request.body, at_ms: Date.now() - started, sent: 0 };
    if (request.body === undefined) record.text = request.text;
    if (!isOurs) {
      seen.push(record);
      state.record = record;
      if (!state.isCounted) connections++;
      state.isCounted = true;
    }
    try {
      await answer(request, socket, record);
    } catch (error) {
      if (error.message !== "left") throw error;
    }
  }
  state.isBusy = false;
}

const server = net.createServer((socket) => {
  const state = { bytes: Buffer.alloc(0) };
  const closed = (how) => {
    if (!state.record || state.record.closed) return;
    state.record.closed = how;
    state.record.closed_ms = Date.now() - started;
  };
  socket.setNoDelay(true);
  socket.on("data", (bytes) => {
    state.bytes = Buffer.concat([state.bytes, bytes]);
    take(socket, state);
  });
  socket.on("end", () => closed("fin"));
  socket.on("error", () => closed("rst"));
  socket.on("close", () => {
    closed("fin");
    if (state.isCounted) connections--;
  });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
