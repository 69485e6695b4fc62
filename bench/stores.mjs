// Workers KV and the Cache API in memory, over HTTP as workerd calls them. They run outside of the measured process, as they do on
// Cloudflare, so a contestant pays only for the request.
import { createServer } from "node:http";

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The number of requests to both. */
export const asked = { count: 0 };

const server = (handle) =>
  createServer(async (request, response) => {
    asked.count += 1;
    const body = await bodyOf(request);
    const { status, fields = {}, body: answer = "" } = handle(request, body);
    response.writeHead(status, { ...fields, "content-length": Buffer.byteLength(answer) }).end(answer);
  });

/** A namespace of Workers KV. Values never expire: no run takes long enough. */
export function kv() {
  const values = new Map();
  return server(({ method, url }, body) => {
    const { pathname, searchParams } = new URL(url, "http://kv");
    const key = decodeURIComponent(pathname.slice(1));
    if (method === "PUT") {
      values.set(key, body);
      return { status: 200 };
    }
    if (method === "DELETE") return { status: values.delete(key) ? 200 : 404 };
    if (key !== "") return values.has(key) ? { status: 200, body: values.get(key) } : { status: 404 };
    const prefix = searchParams.get("prefix") ?? "";
    const keys = [...values.keys()].filter((name) => name.startsWith(prefix)).map((name) => ({ name }));
    return { status: 200, body: JSON.stringify({ keys, list_complete: true, cacheStatus: null }) };
  });
}

/** The data-center (colo) cache, which stores complete HTTP responses. */
export function cache() {
  const kept = new Map();
  return server(({ method, url, headers }, body) => {
    const key = `${headers["cf-cache-namespace"]} ${headers.host}${url}`;
    if (method === "PUT") {
      const end = body.indexOf("\r\n\r\n");
      const [status, ...lines] = body.subarray(0, end).toString("latin1").split("\r\n");
      const fields = Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2)));
      kept.set(key, { status: Number(status.split(" ")[1]), fields, body: body.subarray(end + 4) });
      return { status: 204 };
    }
    if (method === "PURGE") return { status: kept.delete(key) ? 200 : 404 };
    const found = kept.get(key);
    if (found === undefined) return { status: 504, fields: { "cf-cache-status": "MISS" } };
    return { ...found, fields: { ...found.fields, "cf-cache-status": "HIT" } };
  });
}
