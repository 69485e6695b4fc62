// The requests that every contestant gets, byte for byte the same, and the answers of the origin server.
import { GATE } from "./names.mjs";

const VERSION = "2026-07-28";
const EVENTS = 100;
const TOOLS = 200;

/** Filler text of the given number of bytes. */
const filler = (bytes) =>
  "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1).slice(0, bytes);

function request(method, name, params) {
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  });
  return {
    method: "POST",
    path: "/mcp",
    fields: {
      host: new URL(GATE).host,
      // As on Cloudflare, where TLS ends before the Worker: with this field workerd gives the Worker an `https` URL.
      "x-forwarded-proto": "https",
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "mcp-protocol-version": VERSION,
      "mcp-method": method,
      ...(name && { "mcp-name": name }),
      "user-agent": "bench/1.0",
    },
    body,
  };
}

const result = (value) =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, result: { resultType: "complete", ...value } });

const tool = (_, at) => ({
  name: at % 2 === 0 ? `read_${at}` : `write_${at}`,
  description: filler(60),
  inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
});
const tools = (count) => Array.from({ length: count }, tool);
const list = (cacheScope, count = TOOLS) => result({ tools: tools(count), ttlMs: 86_400_000, cacheScope });

const event = (_, at) => {
  const note = {
    method: "notifications/progress",
    params: { progressToken: 1, progress: at, message: filler(60) },
  };
  const data = at < EVENTS - 1 ? JSON.stringify({ jsonrpc: "2.0", ...note }) : result({ content: [] });
  return `event: message\ndata: ${data}\n\n`;
};

/** A `tools/call` whose body has about 1 KB. */
export const CALL = request("tools/call", "read_0", { name: "read_0", arguments: { text: filler(720) } });
/** The same for a tool that the rules of the contestants with rules let no caller use. */
export const DENIED = request("tools/call", "write_1", { name: "write_1", arguments: { text: filler(720) } });
/** A `tools/call` whose answer is an event stream. */
export const STREAM = request("tools/call", "read_2", { name: "read_2", arguments: { text: filler(720) } });
export const LIST = request("tools/list", undefined, {});

/** The answers: 1 KB, 100 events, a list of 200 tools that no cache may keep, and the same list for any cache. */
export const ANSWERS = {
  call: result({ content: [{ type: "text", text: filler(920) }] }),
  events: Array.from({ length: EVENTS }, event),
  list: list("private"),
  publicList: list("public"),
  /** The list of each of several servers, and one as long as those of ten of them. */
  shortList: list("public", 40),
  longList: list("public", 400),
};
