// Dify's public Service API: what it expects of each request and what it answers. Written from the
// contract. An app key is "app-key-MODE"; it says which app is asked.
import { PARAMETERS, appAnswer, appEvents } from "./dify_inner.mjs";

const refuse = (status, code, message, headers) => ({ status, refusal: { code, message, status }, headers });
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function modeOf(headers) {
  const [scheme, key] = (headers.authorization ?? "").split(" ");
  if (!key) return [null, "Authorization header must be provided and start with 'Bearer'"];
  if (scheme !== "Bearer") return [null, "Authorization scheme must be 'Bearer'"];
  const mode = key.match(/^app-key-(.*)$/)?.[1];
  return mode ? [mode] : [null, "Access token is invalid"];
}

const EVENTS = {
  "/chat-messages": { modes: ["chat", "advanced-chat"], wrong: "not_chat_app" },
  "/completion-messages": { modes: ["completion"], wrong: "not_completion_app" },
  "/workflows/run": { modes: ["workflow"], wrong: "not_workflow_app" },
};
const STOP = /^\/(chat-messages|completion-messages|workflows\/tasks)\/([^/]+)\/stop$/;
const KNOWN = ["inputs", "query", "user", "response_mode", "conversation_id", "files", "auto_generate_name", "workflow_id"];

function run(path, mode, body) {
  const { modes, wrong } = EVENTS[path];
  const invalid = (message) => refuse(400, "invalid_param", message);
  if (!modes.includes(mode)) return refuse(400, wrong, "Please check if your app mode matches the right API route.");
  if (!isObject(body) || !isObject(body.inputs)) return invalid("inputs is required");
  const stranger = Object.keys(body).find((name) => !KNOWN.includes(name));
  if (stranger) return invalid(`unknown field ${stranger}`);
  if (mode.endsWith("chat") && !body.query) return invalid("query is required");
  if (!body.user) return invalid("user is required");
  if (body.conversation_id && body.conversation_id === "gone") return refuse(404, "not_found", "Conversation Not Exists.");
  const ids = { task_id: `task-${mode}`, message_id: "m-1" };
  if (body.response_mode === "streaming") return { events: appEvents(mode, body, ids) };
  return { data: appAnswer(mode, body, ids) };
}

function upload(headers, text) {
  const boundary = headers["content-type"]?.match(/^multipart\/form-data; boundary=(.+)$/)?.[1];
  const parts = boundary ? text.split(`--${boundary}`).slice(1, -1) : [];
  const found = {};
  for (const part of parts) {
    const [head, ...rest] = part.split("\r\n\r\n");
    const content = rest.join("\r\n\r\n").replace(/\r\n$/, "");
    const filename = head.match(/filename="((?:\\.|[^"\\])*)"/)?.[1].replace(/\\(.)/g, "$1");
    found[head.match(/ name="([^"]*)"/)[1]] = {
      content, filename: filename && Buffer.from(filename, "latin1").toString(), type: head.match(/Content-Type: (\S+)/)?.[1],
    };
  }
  return found;
}

/** A file's entity for an uploaded part named `file`; or a refusal. */
export function takeFile(headers, text, owner) {
  const { file, user } = upload(headers, text);
  if (!file?.filename) return refuse(400, "no_file_uploaded", "Please upload your file.");
  return {
    status: 201, filename: file.filename, mimetype: file.type,
    data: {
      id: "file-id", name: file.filename, size: Buffer.byteLength(file.content, "latin1"),
      extension: file.filename.split(".").pop(), mime_type: file.type, created_by: owner ?? user?.content, created_at: 1700000000,
    },
  };
}

/** The answer to a request below /v1: { events }, { data, status? } or { status, refusal }. */
export function answer(method, path, headers, text, body) {
  const [mode, problem] = modeOf(headers);
  if (!mode) return refuse(401, "unauthorized", problem, { "WWW-Authenticate": 'Bearer realm="api"' });
  if (method === "POST" && EVENTS[path]) return run(path, mode, body);
  const stop = method === "POST" && path.match(STOP);
  if (stop) return body?.user ? { data: { result: "success" } } : refuse(400, "invalid_param", "user is required");
  if (method === "POST" && path === "/files/upload") return takeFile(headers, text);
  if (method === "GET" && path === "/parameters") return { data: PARAMETERS };
  if (method === "GET" && path === "/info") return { data: { name: mode, description: "", tags: [], mode } };
  return refuse(404, "not_found", "The requested URL was not found on the server.");
}
