// What OpenAI's reference demands of replies, as JSON schemas: the fields that must be there, and their
// types. Members beyond these are allowed.
import assert from "node:assert/strict";
import { require } from "./packages.mjs";

const Ajv = require("ajv").default ?? require("ajv");
const ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true });

const text = { type: "string" }, count = { type: "integer", minimum: 0 };
const nullable = (type) => ({ type: [type, "null"] });
const one_of = (...values) => ({ enum: values });

// All of `properties` are required, but those named as optional.
function object(properties, ...optional) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required };
}

const list = (items, more = {}) => ({ type: "array", items, ...more });
const FINISH = ["stop", "length", "tool_calls", "content_filter", "function_call"];

const usage = object({ prompt_tokens: count, completion_tokens: count, total_tokens: count });
const toolCall = object({ id: text, type: one_of("function"), function: object({ name: text, arguments: text }) });
const toolCallDelta = object({
  index: count, id: text, type: one_of("function"), function: object({ name: text, arguments: text }, "name", "arguments"),
}, "id", "type", "function");

const completion = object({
  id: text, object: one_of("chat.completion"), created: count, model: text, usage,
  choices: list(object({
    index: count, logprobs: { type: ["object", "null"] }, finish_reason: one_of(...FINISH),
    message: object({
      role: one_of("assistant"), content: nullable("string"), refusal: nullable("string"), tool_calls: list(toolCall, { minItems: 1 }),
    }, "tool_calls"),
  }), { minItems: 1 }),
});

const chunk = object({
  id: text, object: one_of("chat.completion.chunk"), created: count, model: text,
  usage: { anyOf: [usage, { type: "null" }] },
  choices: list(object({
    index: count, finish_reason: one_of(...FINISH, null),
    delta: object({ role: one_of("assistant"), content: nullable("string"), tool_calls: list(toolCallDelta) }, "role", "content", "tool_calls"),
  })),
}, "usage");

const embeddings = object({
  object: one_of("list"), model: text, usage: object({ prompt_tokens: count, total_tokens: count }),
  data: list(object({ object: one_of("embedding"), index: count, embedding: list({ type: "number" }, { minItems: 1 }) })),
});

const model = object({ id: text, object: one_of("model"), created: count, owned_by: text });

function checker(schema) {
  const validate = ajv.compile(schema);
  return (value) => assert.ok(validate(JSON.parse(JSON.stringify(value))), ajv.errorsText(validate.errors));
}

export const assertCompletion = checker(completion);
export const assertChunk = checker(chunk);
export const assertEmbeddings = checker(embeddings);
export const assertModels = checker(list(model));
