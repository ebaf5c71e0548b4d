// A model server for what is not chat: speech, transcriptions, moderations, rerank, and answers with
// images. Plain node; prints {"port":N} and lives until it is ended.
//
// What it does follows from the request alone: speech says its own text as bytes, in two pieces, the
// second after `pause_ms`; the model "cut" breaks off in between, "refuse" answers 400.
// GET /_seen tells what came: [{ path, authorization, body | form }]; GET /_open how many replies run.
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const PNG = "iVBORw0KGgo=";
const seen = [];
let open = 0;

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function send(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function speak(response, body) {
  if (body.model === "refuse") return send(response, 400, { error: { message: "no such voice", code: "bad_voice" } });
  const sound = Buffer.concat([Buffer.from([0, 255, 13, 10]), Buffer.from(body.input)]);
  open += 1;
  response.on("close", () => { open -= 1; });
  response.writeHead(200, { "content-type": "audio/mpeg" });
  response.write(sound.subarray(0, 6));
  await sleep(body.pause_ms ?? 50);
  if (body.model === "cut") return response.socket.destroy();
  response.end(sound.subarray(6));
}

async function transcribe(response, record, request, bytes) {
  const form = await new Response(bytes, { headers: { "content-type": request.headers["content-type"] } }).formData();
  record.form = {};
  for (const [name, value] of form) {
    record.form[name] = typeof value === "string" ? value
      : { name: value.name, type: value.type, text: Buffer.from(await value.arrayBuffer()).toString("base64") };
  }
  send(response, 200, { text: `heard ${record.form.file?.name} in ${record.form.language}` });
}

const ROUTES = {
  "/v1/moderations": (body) => ({ results: [{ flagged: body.input.includes("bad") }] }),
  "/v1/rerank": (body) => ({
    model: body.model,
    results: body.documents.map((text, index) => ({ index, relevance_score: text.length / 100 })).reverse(),
  }),
  "/v1/embeddings": (body) => ({ data: body.input.map((text, index) => ({ index, embedding: [text.length] })) }),
  "/v1/chat/completions": (body) => {
    const content = body.response_format ? '{"name":"Ada","asked":true}' : "a picture";
    const images = [{ type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } }];
    const message = { role: "assistant", content, ...(body.model === "painter" ? { images } : {}) };
    return { choices: [{ message, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1 } };
  },
};

const server = http.createServer(async (request, response) => {
  if (request.url === "/_seen") return send(response, 200, seen.splice(0));
  if (request.url === "/_open") return send(response, 200, { open });
  const bytes = await read(request);
  const record = { path: request.url, authorization: request.headers.authorization };
  seen.push(record);
  if (request.url === "/v1/audio/transcriptions") return transcribe(response, record, request, bytes);
  const body = JSON.parse(bytes);
  record.body = body;
  if (request.url === "/v1/audio/speech") return speak(response, body);
  const answer = ROUTES[request.url];
  return answer ? send(response, 200, answer(body)) : send(response, 404, { error: { message: "no such path" } });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
