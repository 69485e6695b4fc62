// HTTP/1.1 by hand: what is sent here arrives byte for byte, where a client library would mend it.
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { within } from "./processes.mjs";
import { rememberFields } from "./secrets.mjs";

const TIME_LIMIT = 30_000;
/** Long enough for what was written to arrive. */
const PAUSE = 100;

/** Waits until `find()` gives something true, and gives that. */
export async function eventually(what, find, milliseconds = 5_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = await find();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${milliseconds} ms`);
    await sleep(10);
  }
}

/**
 * The text of a request's head. `fields` is an object, or pairs where names repeat. `Host` is added unless
 * one is there.
 */
export function headOf(gateway, { method = "GET", target = "/mcp", fields = {}, body }) {
  const pairs = Array.isArray(fields) ? [...fields] : Object.entries(fields);
  rememberFields(pairs);
  const has = (name) => pairs.some(([other]) => other.toLowerCase() === name);
  if (!has("host")) pairs.unshift(["Host", `127.0.0.1:${gateway.port}`]);
  if (!has("connection")) pairs.push(["Connection", "close"]);
  if (body !== undefined && !has("content-length") && !has("transfer-encoding")) {
    pairs.push(["Content-Length", Buffer.byteLength(body)]);
  }
  return `${method} ${target} HTTP/1.1\r\n${pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** `body` in chunks, with the end or without it. */
export function chunked(pieces, { end = true } = {}) {
  const framed = pieces.map((piece) => {
    const bytes = Buffer.from(piece);
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
  });
  return Buffer.concat([...framed, Buffer.from(end ? "0\r\n\r\n" : "")]);
}

/**
 * Sends one request over a connection of its own and reads the answer to its end.
 *
 * `halfClose` says after the last byte that no more will come, as a client does that stops in mid-sentence. With
 * `abandon` the connection breaks after the last byte, and there is no answer.
 */
export async function send(
  gateway,
  { halfClose = false, abandon = false, port = gateway.directPort, ...request } = {},
) {
  const socket = connect(port, "127.0.0.1");
  const received = [];
  const answer = new Promise((resolve, reject) => {
    let failure;
    socket.on("data", (bytes) => received.push(bytes));
    socket.on("error", (error) => {
      failure = error; // a gateway that refuses may close before it has read everything
    });
    socket.on("close", () => {
      try {
        resolve(parseAnswer(Buffer.concat(received), request.method));
      } catch (error) {
        reject(failure ?? error);
      }
    });
  });
  socket.write(headOf(gateway, request));
  if (request.body !== undefined) socket.write(request.body);
  if (halfClose) socket.end();
  if (abandon) {
    answer.catch(() => {});
    await sleep(PAUSE);
    socket.resetAndDestroy();
    return undefined;
  }
  const show = () => `got: ${Buffer.concat(received).toString("latin1").slice(0, 400)}`;
  return within(TIME_LIMIT, `${request.method ?? "GET"} ${request.target ?? ""}`, answer, show).finally(() =>
    socket.destroy(),
  );
}

/** An answer: status, fields (lower case, repeated ones joined), body, and whether it came to its end. */
function parseAnswer(bytes, method) {
  const split = bytes.indexOf("\r\n\r\n");
  if (split < 0) throw new Error(`no answer, but ${JSON.stringify(bytes.toString("latin1"))}`);
  const [start, ...lines] = bytes.subarray(0, split).toString("latin1").split("\r\n");
  const fields = {};
  for (const line of lines) {
    const [name, value] = line.split(/:\s*(.*)/s);
    const key = name.toLowerCase();
    fields[key] = key in fields ? `${fields[key]}, ${value}` : value;
  }
  const rest = bytes.subarray(split + 4);
  const framed = fields["transfer-encoding"] === "chunked" ? unchunked(rest) : { body: rest, complete: true };
  const length = fields["content-length"];
  if (length !== undefined && method !== "HEAD") framed.complete = rest.length === Number(length);
  const text = framed.body.toString("utf8");
  return {
    status: Number(start.split(" ")[1]),
    fields,
    body: text,
    bytes: framed.body,
    complete: framed.complete,
    json: () => JSON.parse(text),
  };
}

function unchunked(bytes) {
  const pieces = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    const size = line < 0 ? Number.NaN : Number.parseInt(bytes.subarray(at, line).toString("latin1"), 16);
    if (size === 0) return { body: Buffer.concat(pieces), complete: true };
    if (Number.isNaN(size)) return { body: Buffer.concat(pieces), complete: false };
    pieces.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}
