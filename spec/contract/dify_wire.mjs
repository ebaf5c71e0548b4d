// How a fake Dify puts bytes on the wire, well or as ordered. See fake_dify.mjs for the orders.
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** One frame: 14 bytes of head, then the text. `head` overrides what the head says. */
export function frame(text, head = {}) {
  const data = Buffer.from(text);
  const bytes = Buffer.alloc(14);
  bytes.writeUInt8(head.magic ?? 0x0f, 0);
  bytes.writeUInt16LE(head.header_length ?? 10, 2);
  bytes.writeUInt32LE(head.data_length ?? data.length, 4);
  return Buffer.concat([bytes, data]);
}

export const envelope = (data, error = "") => JSON.stringify({ data, error });

/** A reply to one request, over its socket. */
export class Reply {
  constructor(socket, order, record) {
    Object.assign(this, { socket, order, record });
  }

  async #write(bytes) {
    if (this.socket.destroyed || this.record.closed) throw new Error("left");
    if (!this.socket.write(bytes)) {
      await Promise.race(["drain", "close"].map((name) => new Promise((done) => this.socket.once(name, done))));
    }
  }

  async #head(status, type, length, headers = {}) {
    if (this.order.head_ms) await sleep(this.order.head_ms);
    const lines = [`HTTP/1.1 ${status} Whatever`, `Content-Type: ${type}`];
    if (length !== undefined) lines.push(`Content-Length: ${length}`);
    else if (this.order.framing === "close") lines.push("Connection: close");
    else lines.push("Transfer-Encoding: chunked");
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    await this.#write(lines.join("\r\n") + "\r\n\r\n");
  }

  cut() {
    this.record.closed ??= "own";
    if (this.order.cut === "rst") this.socket.resetAndDestroy();
    else this.socket.end();
  }

  /** A whole body with its length. */
  async whole(status, value, headers) {
    const body = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
    await this.#head(status, "application/json", body.length, headers);
    await this.#write(this.order.cut ? body.subarray(0, body.length >> 1) : body);
    if (this.order.cut) this.cut();
  }

  // Body bytes, in pieces of `split` bytes where that is ordered.
  async #body(bytes) {
    const step = this.order.split ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) {
      const part = bytes.subarray(at, at + step);
      if (this.order.framing === "close") await this.#write(part);
      else {
        const size = Buffer.from(part.length.toString(16) + "\r\n");
        await this.#write(Buffer.concat([size, part, Buffer.from("\r\n")]));
      }
      if (this.order.split) await new Promise((done) => setImmediate(done));
    }
  }

  /** A body of items, each sent by itself, or all in one packet. Ends as ordered. */
  async stream(items, type = "text/event-stream") {
    const { after, cut, piece_ms, at_once, end_after_bytes, silent_after } = this.order;
    await this.#head(200, type);
    let sent = 0;
    const all = end_after_bytes === undefined ? items
      : [Buffer.concat(items.map((item) => Buffer.from(item))).subarray(0, end_after_bytes)];
    for (const item of at_once ? [Buffer.concat(all.map((one) => Buffer.from(one)))] : all) {
      if (sent === silent_after) return;
      if (cut && sent === (after ?? 0)) return this.cut();
      if (piece_ms) await sleep(piece_ms);
      await this.#body(Buffer.from(item));
      this.record.sent = ++sent;
    }
    if (cut) return this.cut();
    this.record.is_complete = true;
    if (this.order.framing === "close") return this.cut();
    await this.#write("0\r\n\r\n");
  }
}
