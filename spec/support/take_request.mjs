/** Takes one request off the front of `state.bytes`; undefined when it is not complete. */
export function takeRequest(state) {
  const end = state.bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first, ...lines] = state.bytes.subarray(0, end).toString("latin1").split("\r\n");
  const [method, path] = first.split(" ");
  const headers = {};
  for (const line of lines) {
    const [, name, value] = line.match(/^([^:]*):\s*(.*)$/);
    headers[name.toLowerCase()] = value;
  }
  const length = Number(headers["content-length"] ?? 0);
  if (state.bytes.length < end + 4 + length) return undefined;
  const bytes = state.bytes.subarray(end + 4, end + 4 + length);
  state.bytes = state.bytes.subarray(end + 4 + length);
  return { method, path, headers, bytes };
}
