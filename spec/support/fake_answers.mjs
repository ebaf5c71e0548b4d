// What the fake model says: pure functions from a request's body and an order to payloads in OpenAI's
// shape. Deterministic. See fake_model.mjs for the orders.

const CREATED = 1700000000;

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

function countTokens(text) {
  return text.split(/\s+/).filter(Boolean).length;
}

/** The answer's pieces; joined they are the whole text. */
export function answerPieces(body, order) {
  if (order.n !== undefined) {
    const pad = "x".repeat(order.piece_bytes ?? 0);
    return Array.from({ length: order.n }, (_, i) => `${i ? " " : ""}w${i}${pad}`);
  }
  const last = (body.messages ?? []).filter((message) => message.role === "user").at(-1);
  const schema = body.response_format?.json_schema?.schema;
  if (schema) {
    const names = Object.keys(schema.properties ?? {});
    return JSON.stringify(Object.fromEntries(names.map((name) => [name, `a ${name}`]))).match(/.{1,5}/g);
  }
  const text = order.say ?? `You said: ${textOf(last?.content)}`;
  return text.match(/\s*\S+/g) ?? [text];
}

/** The tool call that the model makes, or undefined: the first tool offered, unless one was answered. */
export function toolCall(body) {
  const tools = body.tools ?? [];
  const isAnswered = (body.messages ?? []).at(-1)?.role === "tool";
  if (!tools.length || isAnswered || body.tool_choice === "none") return undefined;
  const wanted = body.tool_choice?.function?.name;
  const tool = tools.find((item) => item.function.name === wanted) ?? tools[0];
  const values = {};
  for (const [name, schema] of Object.entries(tool.function.parameters?.properties ?? {})) {
    const isNumber = schema.type === "integer" || schema.type === "number";
    values[name] = schema.enum?.[0] ?? (isNumber ? 7 : schema.type === "boolean" ? true : "Bern");
  }
  return {
    id: "call_1",
    type: "function",
    function: { name: tool.function.name, arguments: JSON.stringify(values) },
  };
}

export function usage(body, text) {
  const prompt = (body.messages ?? []).map((message) => textOf(message.content)).join(" ");
  const prompt_tokens = countTokens(prompt);
  const completion_tokens = countTokens(text);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

/** The chunks of a streamed answer, as objects. */
export function chunks(body, order) {
  const base = { id: "chatcmpl-1", object: "chat.completion.chunk", created: CREATED, model: body.model };
  const chunk = (delta, finish_reason = null) =>
    ({ ...base, choices: [{ index: 0, delta, finish_reason }] });
  const call = toolCall(body);
  const pieces = answerPieces(body, order);
  const list = [chunk({ role: "assistant", content: call ? null : "" })];
  if (call) {
    const { name, arguments: text } = call.function;
    list.push(chunk({ tool_calls: [{ index: 0, id: call.id, type: "function", function: { name, arguments: "" } }] }));
    for (let at = 0; at < text.length; at += 5) {
      list.push(chunk({ tool_calls: [{ index: 0, function: { arguments: text.slice(at, at + 5) } }] }));
    }
    list.push(chunk({}, "tool_calls"));
  } else {
    for (const piece of pieces) list.push(chunk({ content: piece }));
    list.push(chunk({}, order.finish_reason ?? "stop"));
  }
  if (body.stream_options?.include_usage) {
    list.push({ ...base, choices: [], usage: usage(body, call ? "" : pieces.join("")) });
  }
  return list;
}

/** A blocking answer. */
export function completion(body, order) {
  const call = toolCall(body);
  const text = answerPieces(body, order).join("");
  const message = { role: "assistant", content: call ? null : text, refusal: null };
  if (call) message.tool_calls = [call];
  return {
    id: "chatcmpl-1", object: "chat.completion", created: CREATED, model: body.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: call ? "tool_calls" : "stop" }],
    usage: usage(body, call ? "" : text),
  };
}

const DIMENSIONS = 8;

/** Eight numbers that depend on the text, each exact as a float32. */
export function vector(text) {
  const numbers = new Array(DIMENSIONS).fill(0);
  for (let i = 0; i < text.length; i++) numbers[i % DIMENSIONS] += text.charCodeAt(i);
  return numbers.map((number) => (number % 256) / 256);
}

export function embeddings(body) {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const data = inputs.map((text, index) => {
    const numbers = vector(String(text));
    const embedding = body.encoding_format === "base64"
      ? Buffer.from(new Float32Array(numbers).buffer).toString("base64") : numbers;
    return { object: "embedding", index, embedding };
  });
  const tokens = inputs.reduce((sum, text) => sum + countTokens(String(text)), 0);
  return { object: "list", data, model: body.model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

/** Documents get better from the first to the last. */
export function rerank(body) {
  const results = body.documents.map((_, index) => ({ index, relevance_score: (index + 1) / 10 })).reverse();
  return { id: "rerank-1", model: body.model, results: results.slice(0, body.top_n ?? results.length) };
}

/** Whatever says "bad" is. */
export function moderation(body) {
  const flagged = String(body.input).includes("bad");
  return { id: "modr-1", model: body.model, results: [{ flagged, categories: {}, category_scores: {} }] };
}

export function transcription(body) {
  return { text: `heard ${body.file.chars} of ${body.file.filename}` };
}

/** The sound of a text, in pieces: bytes that no text has, then the text. */
export function speech(body) {
  return [Buffer.from([0xff, 0xfb, 0x00]), ...(body.input.match(/\S+\s*/g) ?? []).map((word) => Buffer.from(word))];
}

export function models(names) {
  const data = names.map((id) => ({ id, object: "model", created: CREATED, owned_by: "fake" }));
  return { object: "list", data };
}

export function refusal(status, message) {
  const type = status === 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error";
  return { error: { message: message ?? `ordered to answer ${status}`, type, param: null, code: null } };
}
