// Answers of a witness (`origin.mjs`) that are lists, sent in whatever pieces a test wants.
import { setImmediate as turn } from "node:timers/promises";

const idOf = (body) => JSON.parse(body).id ?? null;

/** Answers with this result, at once. */
export const answerJson = (result) => (_request, response, record) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: idOf(record.body), result }));
};

/** Answers with these bytes, `size` at a time, each piece a write of its own. */
export const answerPieces =
  (type, body, size, { status = 200, end = true } = {}) =>
  async (_request, response) => {
    const bytes = Buffer.from(body);
    response.on("error", () => {});
    response.socket.setNoDelay(true);
    response.writeHead(status, { "content-type": type });
    for (let at = 0; at < bytes.length && !response.destroyed; at += size) {
      await new Promise((resolve) => response.write(bytes.subarray(at, at + size), resolve));
      await turn();
    }
    if (end) response.end();
  };

/** The names in an answer's list of tools. */
export const itemsOf = (answer) => answer.json().result.tools.map(({ name }) => name);

/** Reads an event stream as a browser does (HTML §9.2): events with data, each with type, id and data. */
export function sentEvents(text) {
  const events = [];
  let event = {};
  let id;
  for (const line of text.split(/\r\n|\r|\n/).slice(0, -1)) {
    if (line === "") {
      if (event.data !== undefined) events.push({ type: event.type ?? "message", id, data: event.data });
      event = {};
      continue;
    }
    const [, name, value] = line.match(/^([^:]*)(?:: ?(.*))?$/s);
    if (name === "data")
      event.data = event.data === undefined ? (value ?? "") : `${event.data}\n${value ?? ""}`;
    if (name === "event") event.type = value;
    if (name === "id") id = value;
  }
  return events;
}
