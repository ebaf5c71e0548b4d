// Clients that ask for a stream and leave it, many at a time. Plain node.
//
//   node spec/support/leavers.mjs PORT TARGET COUNT PARALLEL WORD BODY
//
// Posts BODY, a JSON text, COUNT times. Each client leaves as soon as it has seen WORD in the reply;
// every second one with a RST instead of a FIN, every eighth before anything came. Prints one line,
// {"left":N,"broken":N}: `broken` are those that the host left first.
import net from "node:net";

const [port, target, count, parallel, word, body] = process.argv.slice(2);
const request = `POST ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`
  + `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const told = { left: 0, broken: 0 };
let begun = 0;

function leave(socket, number) {
  if (socket.hasLeft || socket.destroyed) return; // what it waited for and its moment came together
  socket.hasLeft = true; // a socket that is reset is destroyed a moment later
  told.left++;
  if (number % 2) socket.resetAndDestroy();
  else socket.destroy();
}

const client = (number) => new Promise((done) => {
  const socket = net.connect(Number(port), "127.0.0.1", () => {
    socket.write(request);
    if (number % 8 === 0) setTimeout(() => leave(socket, number), number % 5);
  });
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
    if (text.includes(word)) leave(socket, number);
  });
  const end = () => {
    if (!socket.destroyed) told.broken++;
    socket.destroy();
  };
  socket.on("end", end);
  socket.on("error", end);
  socket.on("close", done);
});

async function lane() {
  while (begun < Number(count)) await client(begun++);
}

await Promise.all(Array.from({ length: Number(parallel) }, lane));
console.log(JSON.stringify(told));
