// Several gateways at once, each in an isolate of its own, with the network played by the test.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, Response } from "miniflare";
import { parse as parseToml } from "smol-toml";
import { eventually } from "./http.mjs";
import { assertNoneIn, rememberFields } from "./secrets.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags = [] } = parseToml(
  readFileSync(`${root}/wrangler.toml`, "utf8"),
);

/** Passes requests on as they would arrive on the public host. */
const DOOR = `export default {
  fetch(request, env) {
    const { name, url } = JSON.parse(request.headers.get("x-door"));
    const inner = new Request(url, request);
    inner.headers.delete("x-door");
    inner.headers.delete("host");
    return env[name].fetch(inner);
  },
}`;

/**
 * Starts a gateway for each document. `outbound` answers what they send: a function of the request that gives
 * `{ body, type }`. Requests are made with `fetch`, to any URL.
 */
export async function startFleet({ documents, outbound, secrets = {} }) {
  const lines = new Map();
  const logs = [];
  const modules = [
    { type: "ESModule", path: `${root}/build-full/index.js` },
    { type: "CompiledWasm", path: `${root}/build-full/index_bg.wasm` },
  ];
  const names = documents.map((_, at) => `gateway-${at}`);
  const door = {
    name: "door",
    modules: true,
    script: DOOR,
    compatibilityDate,
    serviceBindings: Object.fromEntries(names.map((name) => [name, name])),
  };
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }) => {
        logs.push(message);
        const line = JSON.parse(message);
        if (line.event === "request") lines.set(line.request_id, line);
      },
      workers: [
        door,
        ...names.map((name, at) => ({
          name,
          modules,
          modulesRoot: `${root}/build-full`,
          compatibilityDate,
          compatibilityFlags,
          bindings: { PORTCULLIS: documents[at], ...secrets },
          outboundService: async (request) => {
            const { body, type } = await outbound(request);
            return new Response(body, { headers: { "content-type": type } });
          },
        })),
      ],
    }),
  );
  await worker.ready;
  return {
    gateways: names.map((name) => ({
      fetch(url, { headers = {}, ...init }) {
        rememberFields(Object.entries(headers));
        return worker.dispatchFetch("http://door.example/", {
          ...init,
          headers: { ...headers, "x-door": JSON.stringify({ name, url }) },
        });
      },
      /** The log's line of a request. */
      line: (id) => eventually(`the line of ${id}`, () => lines.get(id)),
    })),
    async close() {
      await worker.dispose();
      assertNoneIn(logs);
    },
  };
}
