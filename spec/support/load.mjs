// Steady load on one URL, for specs that disturb the host meanwhile:
//
//   node load.mjs URL REQUESTS_PER_SECOND CONNECTIONS
//
// Prints "ready" after the first reply, runs until SIGTERM, then prints one line of JSON: { sent, ok, failed, refused, bodies: { text: count }, errors: { code: count },
// longest_ms }. `longest_ms` is the longest time between two good replies.
import { Agent, request } from "node:http";

const [url, rate, connections] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const sum = { sent: 0, ok: 0, failed: 0, refused: 0, bodies: {}, errors: {}, longest_ms: 0 };
let lastGood, running = 0;

function over(error, status, body) {
  const now = performance.now();
  running--;
  if (!error && status === 200) {
    sum.ok++;
    sum.bodies[body] = (sum.bodies[body] ?? 0) + 1;
    if (lastGood === undefined) console.log("ready");
    else sum.longest_ms = Math.max(sum.longest_ms, now - lastGood);
    lastGood = now;
  } else {
    const code = error ? error.code ?? error.message : `status ${status}`;
    if (code === "ECONNREFUSED") sum.refused++;
    sum.failed++;
    sum.errors[code] = (sum.errors[code] ?? 0) + 1;
  }
}

function send() {
  let body = "";
  sum.sent++;
  running++;
  const call = request(url, { agent, timeout: 10_000 }, (reply) => {
    reply.setEncoding("utf8");
    reply.on("data", (text) => { body += text; });
    reply.on("end", () => over(null, reply.statusCode, body));
    reply.on("error", (error) => over(error));
  });
  // A connection that the server closed while it was idle: every client tries such a request again.
  call.on("error", (error) => {
    running--;
    sum.sent--;
    if (call.reusedSocket && error.code === "ECONNRESET" && body === "") send();
    else { running++; sum.sent++; over(error); }
  });
  call.on("timeout", () => call.destroy(new Error("timeout")));
  call.end();
}

const started = performance.now();
let due = 0;
const timer = setInterval(() => {
  const wanted = Math.floor((performance.now() - started) / 1000 * rate);
  for (; due < wanted && running < connections; due++) send();
  due = wanted;
}, 2);

process.on("SIGTERM", () => {
  clearInterval(timer);
  const wait = setInterval(() => {
    if (running > 0) return;
    clearInterval(wait);
    console.log(JSON.stringify(sum));
    process.exit(0);
  }, 5);
});
