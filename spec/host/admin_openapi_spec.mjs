// The admin API against its own OpenAPI document: fast-check makes requests from the document's
// schemas, valid ones and broken ones, and ajv holds every answer against what the document says of
// it. Nothing that anybody sends may give an answer that is not documented, or a 5xx.
import assert from "node:assert/strict";
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { Host } from "../support/host.mjs";
import { require, root } from "../support/packages.mjs";

const fc = require("fast-check");
const Ajv2020 = require("ajv/dist/2020").default ?? require("ajv/dist/2020");

const REQUESTS = 10_000, BATCH = 40;
const PLUGIN = `
version: 0.0.1
type: plugin
author: spec
name: everything
label: { en_US: Everything, pt_BR: Tudo }
plugins:
  endpoints:
    - settings:
        - { name: secret, type: secret-input, required: true, label: { en_US: Secret } }
        - { name: secrets, type: secret-input, multiple: true, label: { en_US: Secrets } }
        - { name: text, type: text-input, default: a text, label: { en_US: Text } }
        - { name: choice, type: select, options: [ { value: a, label: { en_US: A } }, { value: b, label: { en_US: B } } ] }
        - { name: flag, type: boolean, default: true }
        - { name: model, type: model-selector, scope: llm&tts }
        - { name: ranks, type: model-selector, scope: rerank }
        - { name: app, type: app-selector, scope: chat&workflow }
        - { name: tools, type: "array[tools]" }
      endpoints: [ { path: /, method: GET, extra: { lua: { source: show.lua } } } ]
`;

let host, port, key, doc, ajv;
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
const known = []; // ids of endpoints, some of them removed by now

function ask({ method, path, headers = {}, body }) {
  return new Promise((done, fail) => {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const request = http.request({ host: "127.0.0.1", port, method, path, agent,
      headers: { ...headers, ...(bytes ? { "content-length": bytes.length } : {}) } }, (reply) => {
      const pieces = [];
      reply.on("data", (piece) => pieces.push(piece));
      reply.on("end", () => done({ status: reply.statusCode, headers: reply.headers, body: Buffer.concat(pieces).toString() }));
      reply.on("error", fail);
    });
    request.on("error", fail);
    request.end(bytes);
  });
}

const authorized = () => ({ authorization: `Bearer ${key}` });

before(async () => {
  const dir = `${root}build/spec/openapi-${process.pid}`;
  mkdirSync(dir + "/plugins/everything", { recursive: true });
  writeFileSync(dir + "/plugins/everything/manifest.yaml", PLUGIN);
  writeFileSync(dir + "/plugins/everything/show.lua", "return function() return 'here' end\n");
  host = await Host.start({ plugins: ["plugins"], apps: { candy: { mode: "chat" } },
    // All that the document allows.
    limits: { plugin_cpu_ms: 60_000, plugin_head_ms: 3_600_000, plugin_idle_ms: 3_600_000 },
    endpoints: [{ plugin: "everything", name: "of the file", settings: { secret: "sk-file" } }] }, { dir });
  key = readFileSync(dir + "/data/admin.key", "utf8").trim();
  port = host.records.length && Number(host.records.find((record) => record.listener === "admin")?.address.split(":")[1]);
});

after(async () => {
  agent.destroy();
  await host.stop();
});

// ---- requests from schemas ------------------------------------------------------------------------

const anything = fc.jsonValue({ maxDepth: 3 });
const nasty = fc.constantFrom("", "********", "{{settings.other}}", "$(id)", "'; DROP TABLE endpoints;--", "\r\nX: y", "\0",
  "a\0b", "__proto__", "../../x", "x".repeat(70_000), "\ud800", "é🌙", "null", "true");
const text = fc.oneof({ weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) }, { weight: 1, arbitrary: nasty });

function resolve(schema) {
  return schema.$ref ? resolve(doc.components.schemas[schema.$ref.split("/").pop()]) : schema;
}

function valid(schema) {
  schema = resolve(schema);
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => valid({ ...schema, type })));
  switch (schema.type) {
  case "string":
    if (schema.pattern?.startsWith("^[a-z0-9")) {
      return fc.string({ unit: fc.constantFrom(..."abcdefghij0123456789-"), minLength: schema.minLength, maxLength: Math.min(schema.maxLength, 30) });
    }
    return fc.string({ unit: "grapheme", minLength: schema.minLength, maxLength: Math.min(schema.maxLength ?? 30, 30) });
  case "integer":
    return fc.integer({ min: schema.minimum, max: schema.maximum });
  case "boolean":
    return fc.boolean();
  case "null":
    return fc.constant(null);
  case "array":
    return fc.array(valid(schema.items), { maxLength: 4 });
  case "object": {
    const fields = {};
    for (const [name, inner] of Object.entries(schema.properties ?? {})) fields[name] = valid(inner);
    return fc.record(fields, { requiredKeys: schema.required ?? [] });
  }
  default:
    return anything;
  }
}

const model = fc.record({ provider: fc.constant("local"), model: fc.constant("demo"), model_type: fc.constantFrom("llm", "tts"),
  completion_params: fc.dictionary(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true })) }, { requiredKeys: ["provider", "model", "model_type"] });
// By the plugin's declarations.
const settings = fc.record({
  secret: text.filter((value) => value !== "********" && value.length < 60_000), secrets: fc.array(fc.string(), { maxLength: 3 }),
  text: text.filter((value) => value.length < 60_000), choice: fc.constantFrom("a", "b"), flag: fc.boolean(), model,
  ranks: fc.record({ provider: fc.constant("local"), model: fc.constant("demo-rerank"), model_type: fc.constant("rerank"),
    score_threshold: fc.double({ min: 0, max: 1, noNaN: true }), top_n: fc.nat(20) }),
  app: fc.record({ app_id: fc.constantFrom("candy", "other"), inputs: fc.dictionary(fc.string(), fc.string()) }, { requiredKeys: ["app_id"] }),
  tools: fc.array(fc.record({ tool_name: fc.string() }), { maxLength: 2 }),
}, { requiredKeys: ["secret"] });
const brokenSettings = fc.oneof(
  fc.dictionary(fc.constantFrom("secret", "secrets", "text", "choice", "flag", "model", "ranks", "app", "tools", "other", "__proto__"),
    fc.oneof(anything, text, fc.constant(null))),
  anything);

// What a body may be: valid in itself, or with something wrong about it.
function bodies(schema) {
  const whole = valid(schema).map((body) => ({ ...body, ...("plugin" in body ? { plugin: "everything" } : {}) }));
  const filled = fc.tuple(whole, fc.oneof({ weight: 3, arbitrary: settings }, { weight: 2, arbitrary: brokenSettings }))
    .map(([body, values]) => ({ ...body, settings: values }));
  const spoiled = fc.tuple(whole, fc.string(), fc.oneof(anything, text)).map(([body, name, value]) => ({ ...body, [name]: value }));
  const replaced = fc.tuple(filled, fc.constantFrom("plugin", "name", "slug", "enabled", "unset"), fc.oneof(anything, text))
    .map(([body, name, value]) => ({ ...body, [name]: value }));
  return fc.oneof({ weight: 6, arbitrary: filled }, { weight: 1, arbitrary: whole }, { weight: 1, arbitrary: spoiled },
    { weight: 3, arbitrary: replaced }, { weight: 1, arbitrary: anything }).map((body) => JSON.stringify(body));
}

const raw = fc.oneof(fc.string(), fc.constantFrom("", "{", "[".repeat(3000), "{\"a\":".repeat(80) + "1" + "}".repeat(80), "nul", "\ufeff{}",
  "{\"plugin\":\"everything\",\"plugin\":\"x\"}", "{\"name\":1e999}", "x".repeat(1_100_000)));

function parameterValue(parameter) {
  const written = valid(parameter.schema).map(String);
  if (parameter.name === "id") {
    return fc.oneof({ weight: 6, arbitrary: fc.nat().map((n) => known[n % (known.length || 1)] ?? "ep_none") }, { weight: 1, arbitrary: written });
  }
  if (parameter.name === "author") return fc.oneof(fc.constant("spec"), written);
  if (parameter.name === "name") return fc.oneof(fc.constant("everything"), written);
  return fc.oneof({ weight: 3, arbitrary: written }, { weight: 1, arbitrary: fc.string({ unit: "binary" }) });
}

function requestOf(path, method, operation) {
  const parameters = operation.parameters ?? [];
  const inPath = parameters.filter((parameter) => parameter.in === "path");
  const inQuery = parameters.filter((parameter) => parameter.in === "query");
  const schema = operation.requestBody?.content["application/json"].schema;
  return fc.record({
    values: fc.tuple(...inPath.map(parameterValue)),
    query: fc.record(Object.fromEntries(inQuery.map((parameter) => [parameter.name, parameterValue(parameter)])), { requiredKeys: [] }),
    extra: fc.oneof({ weight: 15, arbitrary: fc.constant("") }, { weight: 1, arbitrary: fc.string().map((name) => `&${encodeURIComponent(name)}=1`) }),
    body: schema ? fc.oneof({ weight: 8, arbitrary: bodies(schema) }, { weight: 1, arbitrary: raw }) : fc.constant(undefined),
    type: fc.oneof({ weight: 20, arbitrary: fc.constant("application/json") },
      { weight: 1, arbitrary: fc.constantFrom("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "") }),
    hasKey: fc.integer({ min: 0, max: 40 }).map((n) => n > 0),
  }).map(({ values, query, extra, body, type, hasKey }) => {
    let filled = path;
    // A segment of dots is a client's own business: it goes elsewhere.
    inPath.forEach((parameter, i) => {
      const written = /^\.*$/.test(values[i]) ? "none" : encodeURIComponent(values[i].toWellFormed()).replaceAll("%2F", "_").replaceAll("%00", "0");
      filled = filled.replace(`{${parameter.name}}`, written);
    });
    const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join("&");
    return { method: method.toUpperCase(), path: filled + (pairs || extra ? `?${pairs}${extra}` : ""), body, type, hasKey,
      operation: operation.operationId };
  });
}

// ---- answers ----------------------------------------------------------------------------------------

const seen = {};

async function check(request) {
  const operation = Object.values(doc.paths).flatMap((path) => Object.values(path)).find((one) => one.operationId === request.operation);
  const reply = await ask({ ...request, headers: { ...(request.hasKey ? authorized() : {}),
    ...(request.body !== undefined && request.type ? { "content-type": request.type } : {}) } });
  const documented = operation.responses[reply.status];
  const what = `${request.method} ${request.path} ${String(request.body).slice(0, 300)} -> ${reply.status} ${reply.body.slice(0, 500)}`;
  assert.ok(reply.status < 500, what);
  assert.ok(documented, `an answer that is not documented: ${what}`);
  seen[request.operation] ??= {};
  seen[request.operation][reply.status] = (seen[request.operation][reply.status] ?? 0) + 1;
  if (!documented.content) {
    assert.equal(reply.body, "", what);
    return;
  }
  assert.match(reply.headers["content-type"], /^application\/json/, what);
  const body = JSON.parse(reply.body);
  const judge = ajv.getSchema(documented.content["application/json"].schema.$ref.split("/").pop());
  assert.ok(judge(body), `${what}: ${ajv.errorsText(judge.errors)}`);
  assert.ok(!reply.body.includes("sk-file"), "a secret in an answer");
  if (reply.status === 201) known.push(body.id);
}

describe("the admin API's OpenAPI document", () => {
  it("is a document that ajv can compile, and names each of its schemas", async () => {
    const reply = await ask({ method: "GET", path: "/api/v1/openapi.json", headers: authorized() });
    assert.equal(reply.status, 200);
    doc = JSON.parse(reply.body);
    assert.equal(doc.openapi, "3.1.0");
    ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, strictTypes: false,
      formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ } });
    ajv.addKeyword("x-expected");
    const schemas = JSON.parse(JSON.stringify(doc.components.schemas).replaceAll("#/components/schemas/", ""));
    for (const [name, schema] of Object.entries(schemas)) ajv.addSchema(schema, name);
    for (const name of Object.keys(schemas)) assert.ok(ajv.getSchema(name), name);
    for (const [path, methods] of Object.entries(doc.paths)) {
      for (const operation of Object.values(methods)) {
        const named = [...path.matchAll(/{(\w+)}/g)].map((match) => match[1]);
        const declared = (operation.parameters ?? []).filter((one) => one.in === "path").map((one) => one.name);
        assert.deepEqual(declared, named, operation.operationId);
      }
    }
  });

  it(`holds for ${REQUESTS} requests made of it, valid and broken`, { timeout: 280_000 }, async () => {
    const requests = [];
    for (const [path, methods] of Object.entries(doc.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const heavy = ["createEndpoint", "changeEndpoint"].includes(operation.operationId);
        const rare = operation.operationId === "rotateSecrets"; // it writes every row there is
        requests.push({ weight: rare ? 1 : heavy ? 60 : 12, arbitrary: requestOf(path, method, operation) });
      }
    }
    const batches = fc.array(fc.oneof(...requests), { minLength: BATCH, maxLength: BATCH, size: "max" });
    await fc.assert(fc.asyncProperty(batches, async (batch) => {
      for (const request of batch) await check(request);
    }), { numRuns: REQUESTS / BATCH, seed: 4, endOnFailure: true, includeErrorInReport: true });

    const total = Object.values(seen).flatMap((one) => Object.values(one)).reduce((sum, n) => sum + n, 0);
    assert.ok(total >= REQUESTS, `${total} requests were made`);
    for (const [operation, statuses] of Object.entries(seen)) {
      assert.ok(Object.keys(statuses).some((status) => status < 300), `${operation} never succeeded: ${JSON.stringify(statuses)}`);
    }
    assert.ok(seen.createEndpoint[422] > 100 && seen.createEndpoint[201] > 100, JSON.stringify(seen.createEndpoint));
    assert.ok(seen.changeEndpoint[422] > 100 && seen.changeEndpoint[200] > 50, JSON.stringify(seen.changeEndpoint));
  });
});
