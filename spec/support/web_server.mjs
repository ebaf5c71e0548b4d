// A web server that does what the path says, for specs of session.http.
//
//   node web_server.mjs HOST:PORT...   prints {"port": N}; a port 0 is the first address's port
//
// Paths: /echo answers with the request as JSON; /status/503 with that status; /to/STATUS?URL
// redirects; /loop redirects for ever; /text?BYTES, /drip?COUNT, /sse, /cut, /never, /early;
// /flaky answers as the last POST to /_flaky said. GET /_seen tells what came, DELETE forgets it.
import http from 'node:http';
import { once } from 'node:events';

const seen = [];
let flaky = 200;
let connections = 0;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function bodyOf(request, record) {
  const pieces = [];
  for await (const piece of request) {
    record.body_bytes += piece.length;
    pieces.push(piece);
    if (record.slow) await pause(1);
  }
  return Buffer.concat(pieces);
}

function json(response, value, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

const actions = {
  async echo(request, response, { record }) {
    const body = await bodyOf(request, record);
    const { method, url, headers } = request;
    json(response, { method, url, headers, body: body.toString('latin1') });
  },
  async status(request, response, { words, record }) {
    await bodyOf(request, record);
    response.writeHead(Number(words[1]), { 'x-word': 'one', 'set-cookie': ['a=1', 'b=2'] });
    response.end(`status ${words[1]}`);
  },
  async to(request, response, { words, query, record }) {
    await bodyOf(request, record);
    response.writeHead(Number(words[1]), { location: query });
    response.end('moved');
  },
  loop(request, response) {
    response.writeHead(302, { location: '/loop' });
    response.end();
  },
  text(request, response, { query }) {
    response.end('x'.repeat(Number(query)));
  },
  async drip(request, response, { query }) {
    for (let i = 1; i <= Number(query); i++) {
      response.write(`piece ${i}\n`);
      await pause(30);
    }
    response.end();
  },
  async sse(request, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const texts = ['data: one\n\n', 'event: named\nid: 5\ndata: two\nda', 'ta: lines\n\n'];
    for (const text of texts) {
      response.write(text);
      await pause(10);
    }
    response.end();
  },
  async cut(request, response) {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
    await pause(30);
    response.destroy();
  },
  never() {},
  async slow(request, response, { record }) {
    record.slow = true;
    await bodyOf(request, record);
    json(response, { body_bytes: record.body_bytes });
  },
  early(request, response) {
    response.writeHead(413, { connection: 'close' });
    response.end('too large');
  },
  _flaky(request, response, { query }) {
    flaky = Number(query);
    json(response, {});
  },
  flaky(request, response) {
    response.writeHead(flaky);
    response.end(`flaky ${flaky}`);
  },
  _seen(request, response) {
    if (request.method === 'DELETE') seen.length = 0;
    json(response, { seen, connections });
  },
};

function onRequest(request, response) {
  const [path, ...rest] = request.url.split('?');
  const words = path.slice(1).split('/');
  const record = {
    method: request.method,
    url: request.url,
    headers: request.headers,
    address: request.socket.localAddress,
    at_ms: performance.now(),
    body_bytes: 0,
  };
  if (!path.startsWith('/_')) seen.push(record);
  request.on('error', () => {});
  response.on('close', () => {
    record.is_closed = true;
    record.is_whole = response.writableFinished;
  });
  const action = actions[words[0]] ?? actions.echo;
  Promise.resolve(action(request, response, { words, query: rest.join('?'), record }))
    .catch(() => response.destroy());
}

let port = 0;
for (const address of process.argv.slice(2)) {
  const [, host, number] = address.match(/^(.*):(\d+)$/);
  const server = http.createServer(onRequest);
  server.on('connection', (socket) => {
    connections++;
    socket.on('close', () => connections--);
    socket.on('error', () => {});
  });
  server.listen(Number(number) || port, host.replace(/[[\]]/g, ''));
  await once(server, 'listening');
  port ||= server.address().port;
}
process.on('SIGTERM', () => process.exit(0));
console.log(JSON.stringify({ port }));
