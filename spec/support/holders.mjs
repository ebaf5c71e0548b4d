// Clients that ask for a stream and then hold it, or ask for whole replies side by side. Plain node.
//
//   node spec/support/holders.mjs hold PORT TARGET COUNT WORD BODY
//     COUNT clients post BODY; prints {"held":N} when each has seen WORD; ends with a signal
//   node spec/support/holders.mjs ask PORT TARGET COUNT WORD BODY
//     the same, each to its reply's end, all at once; prints {"good":N}: how many were 200 with WORD
import http from "node:http";

const [what, port, target, count, word, body] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: false, maxSockets: Infinity });

const ask = () => new Promise((done, fail) => {
  const request = http.request({
    port: Number(port), host: "127.0.0.1", path: target, method: "POST", agent,
    headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) },
  }, (reply) => {
    let text = "";
    reply.on("data", (bytes) => {
      text += bytes;
      if (what === "hold" && text.includes(word)) done(true);
    });
    reply.on("end", () => done(reply.statusCode === 200 && text.includes(word)));
    reply.on("error", fail);
  });
  request.on("error", fail);
  request.end(body);
});

if (what === "ask") {
  const good = await Promise.all(Array.from({ length: Number(count) }, ask));
  console.log(JSON.stringify({ good: good.filter(Boolean).length }));
} else {
  let held = 0;
  for (let i = 0; i < Number(count); i += 100) { // a listener's queue is not endless
    const some = await Promise.all(Array.from({ length: Math.min(100, Number(count) - i) }, ask));
    held += some.filter(Boolean).length;
  }
  console.log(JSON.stringify({ held }));
  setInterval(() => {}, 1000);
}
