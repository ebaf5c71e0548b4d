// Dify's inner API as its plugins' host sees it: what it expects of each request, and what it
// answers. Written from the contract; knows nothing of the code under test.
import { createHmac } from "node:crypto";

export const SECRET = "files-secret";
const USAGE = {
  prompt_tokens: 3, prompt_unit_price: "0.001", prompt_price_unit: "0.001", prompt_price: "0.000003",
  completion_tokens: 2, completion_unit_price: "0.002", completion_price_unit: "0.001",
  completion_price: "0.000004", total_tokens: 5, total_price: "0.000007", currency: "USD", latency: 0.5,
};
const EMBEDDING_USAGE = {
  tokens: 4, total_tokens: 4, unit_price: "0.0001", price_unit: "0.001", total_price: "0.0000004",
  currency: "USD", latency: 0.1,
};

// --- what requests must be -----------------------------------------------------------------------

const is = {
  text: (value) => typeof value === "string",
  filled: (value) => typeof value === "string" && value !== "",
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  arrayOrNull: (value) => value === null || Array.isArray(value),
  bool: (value) => typeof value === "boolean",
  number: (value) => typeof value === "number",
  hex: (value) => typeof value === "string" && /^([0-9a-f]{2})*$/.test(value),
  inputType: (value) => value === "query" || value === "document",
  mode: (value) => value === "streaming" || value === "blocking",
  toolType: (value) => ["builtin", "workflow", "api", "mcp"].includes(value),
  content: (value) => typeof value === "object" && is.filled(value.content) && is.filled(value.content_type),
  contents: (value) => Array.isArray(value) && value.every(is.content),
  texts: (value) => Array.isArray(value) && value.every(is.text),
  node: (value) => is.object(value) && is.filled(value.provider) && is.filled(value.name) &&
    is.filled(value.mode) && is.object(value.completion_params),
  parameters: (value) => Array.isArray(value) && value.every((one) => is.filled(one.name) && is.filled(one.type)),
  classes: (value) => Array.isArray(value) && value.every((one) => is.text(one.id) && is.text(one.name)),
  messages: (value) => Array.isArray(value) && value.every(isMessage),
  tools: (value) => value === null || (Array.isArray(value) && value.every((tool) =>
    is.filled(tool.name) && is.text(tool.description) && is.object(tool.parameters))),
};

function isPart(part) {
  if (part.type === "text") return is.text(part.data) && Object.keys(part).length === 2;
  return ["image", "audio", "video", "document"].includes(part.type) && is.filled(part.format) &&
    is.filled(part.mime_type) && is.text(part.base64_data) && is.text(part.url) && is.text(part.filename) &&
    (part.base64_data !== "" || part.url !== "") && (part.type === "image") === is.text(part.detail);
}

function isMessage(message) {
  const isKnown = ["system", "user", "assistant", "tool", "developer"].includes(message.role);
  const isContent = is.text(message.content) || (is.array(message.content) && message.content.every(isPart));
  return isKnown && isContent && is.text(message.name) && is.text(message.tool_call_id) &&
    is.arrayOrNull(message.tool_calls) && (message.tool_calls ?? []).every((call) =>
    is.text(call.id) && is.text(call.type) && is.text(call.function.name) && is.text(call.function.arguments));
}

const MODEL = { provider: is.filled, model: is.filled };
const LLM = {
  ...MODEL, mode: is.filled, completion_params: is.object, prompt_messages: is.messages, tools: is.tools,
  stop: is.arrayOrNull, stream: is.bool,
};
const NODE = { model: is.node, instruction: is.text, query: is.text };
const REQUESTS = {
  "invoke/llm": ["llm", LLM],
  "invoke/llm/structured-output": ["llm_structured_output", { ...LLM, structured_output_schema: is.object }],
  "invoke/text-embedding": ["text_embedding", { ...MODEL, texts: is.texts, input_type: is.inputType }],
  "invoke/multimodal-embedding": ["multimodal_embedding", { ...MODEL, documents: is.contents, input_type: is.inputType }],
  "invoke/rerank": ["rerank", { ...MODEL, query: is.text, docs: is.texts, score_threshold: is.number, top_n: is.number }],
  "invoke/multimodal-rerank": ["multimodal_rerank",
    { ...MODEL, query: is.content, docs: is.contents, score_threshold: is.number, top_n: is.number }],
  "invoke/tts": ["tts", { ...MODEL, content_text: is.text, voice: is.text }],
  "invoke/speech2text": ["speech2text", { ...MODEL, file: is.hex }],
  "invoke/moderation": ["moderation", { ...MODEL, text: is.text }],
  "invoke/tool": ["tool", { tool_type: is.toolType, provider: is.filled, tool: is.filled, tool_parameters: is.object, credential_id: is.text }],
  "invoke/app": ["app", {
    app_id: is.filled, inputs: is.object, query: is.text, response_mode: is.mode, conversation_id: is.text, user: is.text,
  }],
  "invoke/parameter-extractor": ["node_parameter_extractor", { parameters: is.parameters, ...NODE }],
  "invoke/question-classifier": ["node_question_classifier", { classes: is.classes, ...NODE }],
  "invoke/encrypt": ["encrypt", { opt: is.filled, namespace: is.filled, identity: is.filled, data: is.object, config: is.array }],
  "invoke/summary": ["system_summary", { text: is.text, instruction: is.text }],
  "upload/file/request": ["upload_file", { filename: is.filled, mimetype: is.filled }],
  "fetch/app/info": ["fetch_app", { app_id: is.filled }],
};
const MAY_HAVE = ["tenant_id", "user_id", "type", "tool_choice", "files"];

/** What is wrong with a request, or undefined. */
export function requestProblem(path, body) {
  const [type, fields] = REQUESTS[path] ?? [];
  if (!type) return `no such path: ${path}`;
  if (!is.object(body)) return "the body is no JSON object";
  if (body.tenant_id !== "t-1") return `tenant_id: ${body.tenant_id}`;
  if (body.user_id !== "") return `user_id: ${body.user_id}`;
  if (body.type !== type) return `type: ${body.type}`;
  for (const [name, test] of Object.entries(fields)) {
    if (!(name in body) || !test(body[name])) return `${name}: ${JSON.stringify(body[name])}`;
  }
  const stranger = Object.keys(body).find((name) => !(name in fields) && !MAY_HAVE.includes(name));
  return stranger && `unknown field ${stranger}`;
}

// --- apps ----------------------------------------------------------------------------------------

const words = (text) => text.match(/\S+\s*/g) ?? [];

/** The events of an app's run; the same for the public API. */
export function appEvents(mode, body, ids = { task_id: "task-1", message_id: "m-1" }) {
  const conversation_id = body.conversation_id || "c-new";
  const common = { task_id: ids.task_id, message_id: ids.message_id, conversation_id, created_at: 1700000000 };
  if (mode === "completion") delete common.conversation_id;
  const said = `${body.user || "DEFAULT-USER"} said: ${mode === "completion" ? body.inputs.query : body.query}`;
  const run = { task_id: ids.task_id, workflow_run_id: "run-1" };
  const finished = {
    id: "run-1", workflow_id: "w-1", status: "succeeded", outputs: { text: `ran ${JSON.stringify(body.inputs)}` },
    error: null, elapsed_time: 0.2, total_tokens: 5, total_steps: 2, created_at: 1700000000, finished_at: 1700000001,
  };
  const node = { id: "n-1", node_id: "start", node_type: "start", title: "Start", index: 1, predecessor_node_id: null };
  const steps = [
    { event: "workflow_started", ...run, data: { id: "run-1", workflow_id: "w-1", inputs: body.inputs, created_at: 1700000000 } },
    { event: "node_started", ...run, data: { ...node, inputs: null } },
    { event: "node_finished", ...run, data: { ...node, inputs: {}, outputs: {}, status: "succeeded", error: null } },
  ];
  if (mode === "workflow") return [...steps, { event: "workflow_finished", ...run, data: finished }];
  const answer = words(said).map((text) => ({ event: "message", ...common, id: ids.message_id, answer: text, from_variable_selector: null }));
  const end = { event: "message_end", ...common, id: ids.message_id, metadata: { usage: USAGE, retriever_resources: [] }, files: null };
  if (mode !== "advanced-chat") return [...answer, end];
  return [...steps.map((step) => ({ ...step, ...common })), ...answer, end, { event: "workflow_finished", ...run, ...common, data: finished }];
}

/** The same as one answer. */
export function appAnswer(mode, body, ids) {
  const events = appEvents(mode, body, ids);
  const last = events.at(-1);
  if (mode === "workflow") return { workflow_run_id: "run-1", task_id: last.task_id, data: last.data };
  const end = events.find((event) => event.event === "message_end");
  const { task_id, message_id, conversation_id, created_at, metadata } = end;
  const answer = events.filter((event) => event.event === "message").map((event) => event.answer).join("");
  return { event: "message", task_id, id: message_id, message_id, conversation_id, mode, answer, metadata, created_at };
}

export const PARAMETERS = {
  opening_statement: "Hello!", suggested_questions: [], suggested_questions_after_answer: { enabled: false },
  speech_to_text: { enabled: false }, text_to_speech: { enabled: false, voice: "", language: "" },
  retriever_resource: { enabled: true }, annotation_reply: { enabled: false }, more_like_this: { enabled: false },
  user_input_form: [], sensitive_word_avoidance: { enabled: false }, file_upload: { image: { enabled: false } },
  system_parameters: { image_file_size_limit: "10" },
};

function app(body) {
  const mode = body.app_id.replace(/^app-/, "");
  if (!["chat", "advanced-chat", "completion", "workflow"].includes(mode)) {
    return { status: 400, refusal: { code: "invalid_param", message: "app not found", status: 400 } };
  }
  if (mode.endsWith("chat") && !body.query) {
    return { status: 400, refusal: { code: "invalid_param", message: "missing query", status: 400 } };
  }
  return { frames: body.response_mode === "blocking" ? [appAnswer(mode, body)] : appEvents(mode, body) };
}

// --- models --------------------------------------------------------------------------------------

function chunk(body, index, message, rest = {}) {
  return {
    model: body.model, prompt_messages: [], system_fingerprint: null,
    delta: { index, message: { role: "assistant", content: "", name: null, tool_calls: [], ...message }, usage: null, finish_reason: null, ...rest },
  };
}

function llm(body) {
  const last = body.prompt_messages.at(-1);
  const text = is.text(last.content) ? last.content : last.content.map((part) => part.data ?? part.type).join(" ");
  const texts = words(`You said: ${text}`);
  if (body.tools?.length) {
    const call = { id: "call-1", type: "function", function: { name: body.tools[0].name, arguments: "{\"a\":1}" } };
    return { frames: [chunk(body, 0, { tool_calls: [call] }, { usage: USAGE, finish_reason: "tool_calls" })] };
  }
  if (!body.stream) return { frames: [chunk(body, 0, { content: texts.join("") }, { usage: USAGE, finish_reason: "" })] };
  const frames = texts.map((content, index) => chunk(body, index, { content }));
  return { frames: [...frames, chunk(body, frames.length, {}, { usage: USAGE, finish_reason: "stop" })] };
}

function structured(body) {
  const value = Object.fromEntries(Object.keys(body.structured_output_schema.properties ?? {}).map((name) => [name, `a ${name}`]));
  const { frames } = llm({ ...body, tools: null, prompt_messages: [{ content: JSON.stringify(value) }] });
  return { frames: frames.map((one, i) => ({ ...one, structured_output: i === frames.length - 1 ? value : null })) };
}

const vectors = (body, items) => ({
  data: { model: body.model, embeddings: items.map((_, i) => [i, 0.5, -1.25]), usage: EMBEDDING_USAGE },
});
const ranked = (body, texts) => ({
  data: { model: body.model, docs: texts.map((text, index) => ({ index, text, score: 1 - index / 10 })).slice(0, body.top_n) },
});
const node = (body, outputs) => ({ data: { process_data: { usage: USAGE }, inputs: { query: body.query }, outputs } });

function sign(origin, { filename, mimetype, tenant_id, user_id }) {
  const [timestamp, nonce] = ["1700000000", "00ff"];
  const text = ["upload", filename, mimetype, tenant_id, user_id, timestamp, nonce].join("|");
  const signature = createHmac("sha256", SECRET).update(text).digest("base64url");
  return `${origin}/files/upload/for-plugin?` + new URLSearchParams({ timestamp, nonce, sign: signature, user_id, tenant_id });
}

/** The answer to a good request: { frames } or { data } or { status, refusal }. */
export function answer(path, body, origin) {
  switch (path) {
    case "invoke/app": return app(body);
    case "invoke/llm": return llm(body);
    case "invoke/llm/structured-output": return structured(body);
    case "invoke/text-embedding": return vectors(body, body.texts);
    case "invoke/multimodal-embedding": return vectors(body, body.documents);
    case "invoke/rerank": return ranked(body, body.docs);
    case "invoke/multimodal-rerank": return ranked(body, body.docs.map((doc) => doc.content));
    case "invoke/tts": return { frames: [{ result: "ff00", mime_type: "audio/mp3" }, { result: Buffer.from(body.content_text).toString("hex") }] };
    case "invoke/speech2text": return { data: { result: `heard ${body.file.length / 2} bytes` } };
    case "invoke/moderation": return { data: { result: body.text.includes("bad") } };
    case "invoke/tool": return { frames: [
      { type: "text", message: { text: `${body.tool} of ${body.provider}` }, meta: null },
      { type: "json", message: { json_object: body.tool_parameters }, meta: null },
    ] };
    case "invoke/parameter-extractor": return node(body, Object.fromEntries(body.parameters.map((one) => [one.name, body.query])));
    case "invoke/question-classifier": return node(body, { class_id: body.classes[0].id, class_name: body.classes[0].name });
    case "invoke/encrypt": return { data: { data: body.data } };
    case "invoke/summary": return { data: { summary: `${body.text.length} characters` } };
    case "upload/file/request": return { data: { url: sign(origin, body) } };
    case "fetch/app/info": return { data: { data: PARAMETERS } };
  }
}

/** What is wrong with a signed address, for that file; or undefined. */
export function signatureProblem(query, filename, mimetype) {
  const asked = new URLSearchParams(query);
  const text = ["upload", filename, mimetype, asked.get("tenant_id"), asked.get("user_id"), asked.get("timestamp"), asked.get("nonce")];
  const signature = createHmac("sha256", SECRET).update(text.join("|")).digest("base64url");
  return signature === asked.get("sign") ? undefined : "the signature is another's";
}
