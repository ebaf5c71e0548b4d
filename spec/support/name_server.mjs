// A DNS server for specs in a network of their own: 127.0.0.1, port 53. The name says the answers:
// "a93-184-216-34.b127-0-0-1.test" has the address a for the first query and b for all later ones;
// "both.127-0-0-1.93-184-216-34.test" has all of them at once. GET /asked on port 5380 gives the
// number of queries for each name.
import dgram from 'node:dgram';
import http from 'node:http';

const asked = {};

function nameOf(query) {
  const labels = [];
  let at = 12;
  for (; query[at] > 0; at += query[at] + 1) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]));
  }
  return { labels, end: at + 1 };
}

function addressesFor(labels, count) {
  const [first] = labels;
  if (first === 'both') return labels.slice(1, -1);
  const answers = labels.slice(0, -1).map((label) => label.slice(1));
  return [answers[Math.min(count, answers.length - 1)]];
}

const socket = dgram.createSocket('udp4');
socket.on('message', (query, from) => {
  const { labels, end } = nameOf(query);
  const name = labels.join('.').toLowerCase();
  const isA = query.readUInt16BE(end) === 1 && labels.at(-1) === 'test';
  const addresses = isA ? addressesFor(labels, asked[name] ?? 0) : [];
  if (isA) asked[name] = (asked[name] ?? 0) + 1;
  const head = Buffer.from(query.subarray(0, end + 4));
  head.writeUInt16BE(labels.at(-1) === 'test' ? 0x8580 : 0x8583, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt32BE(0, 8);
  const records = addresses.map((address) => Buffer.from([
    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('-').map(Number)]));
  socket.send(Buffer.concat([head, ...records]), from.port, from.address);
});
http.createServer((request, response) => response.end(JSON.stringify(asked)))
  .listen(5380, '127.0.0.1', () => {
    socket.bind(53, '127.0.0.1', () => console.log('ready'));
  });
process.on('SIGTERM', () => process.exit(0));
