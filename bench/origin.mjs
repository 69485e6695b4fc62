// The servers that the contestants call, in a process of their own: the MCP server, the identity provider's documents, and the
// platform's stores. The answers are fixed and cost as little as possible.
import { createServer } from "node:http";
import {
  ISSUER,
  JWKS_URI,
  LOGINS,
  LONG_ORIGIN,
  ORIGIN,
  PUBLIC_ORIGIN,
  SHORT_ORIGIN,
  THIRD,
  TOKENS,
} from "./names.mjs";
import { ANSWERS } from "./requests.mjs";
import { asked, cache, kv } from "./stores.mjs";

const path = (url) => new URL(url).pathname;
const JSON_TYPE = "application/json";

const documents = new Map();
let published = 0;
let count = 0;
let last;

function fixed(response, body, type = JSON_TYPE) {
  response.writeHead(200, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
}

/** Sends each event in a write, and so in a chunk, of its own. */
function stream(response) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  let at = 0;
  const next = () => {
    response.write(ANSWERS.events[at]);
    at += 1;
    if (at < ANSWERS.events.length) setImmediate(next);
    else response.end();
  };
  next();
}

function answer(request, response, body) {
  if (documents.has(request.url)) {
    published += 1;
    return fixed(response, documents.get(request.url));
  }
  count += 1;
  last = { fields: request.headers, body };
  const { "mcp-method": method, "mcp-name": name } = request.headers;
  if (method === "tools/list") return fixed(response, withId(listAt(request.url), body));
  if (name === "read_2") return stream(response);
  if (request.url.startsWith(path(ORIGIN))) return fixed(response, withId(ANSWERS.call, body));
  if (request.url.startsWith(path(SHORT_ORIGIN))) return fixed(response, withId(ANSWERS.call, body));
  response.writeHead(404).end();
}

function listAt(url) {
  if (url === path(PUBLIC_ORIGIN)) return ANSWERS.publicList;
  if (url === path(LONG_ORIGIN)) return ANSWERS.longList;
  return url.startsWith(path(SHORT_ORIGIN)) ? ANSWERS.shortList : ANSWERS.list;
}

/**
 * The answer with the id of the request: Portcullis replaces the ids of requests to several servers. The work is the same for every
 * answer, because what this process does shows in the figures of the contestants, which share the machine with it.
 */
function withId(answer, body) {
  const id = Buffer.concat(body)
    .toString("latin1")
    .match(/"id":("[^"]+")/)?.[1];
  return answer.replace('"id":1', `"id":${id ?? 1}`);
}

const world = createServer((request, response) => {
  const body = [];
  request.on("data", (chunk) => body.push(chunk)).on("end", () => answer(request, response, body));
});

async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

const tasks = {
  async start({ jwks }) {
    documents.set(path(JWKS_URI), JSON.stringify(jwks));
    const metadata = {
      issuer: ISSUER,
      jwks_uri: JWKS_URI,
      authorization_endpoint: `${ISSUER}/authorize`,
      token_endpoint: LOGINS,
    };
    documents.set("/.well-known/oauth-authorization-server", JSON.stringify(metadata));
    const third = {
      issuer: THIRD,
      authorization_endpoint: `${THIRD}/authorize`,
      token_endpoint: TOKENS,
      code_challenge_methods_supported: ["S256"],
    };
    documents.set(`/.well-known/oauth-authorization-server${path(THIRD)}`, JSON.stringify(third));
    const issued = {
      access_token: "a-token-for-the-origin-server",
      token_type: "Bearer",
      expires_in: 86_400,
    };
    documents.set(path(TOKENS), JSON.stringify(issued));
    return { world: await listen(world), kv: await listen(kv()), cache: await listen(cache()) };
  },
  /** Answers requests for a URL with a JSON document. */
  publish: ({ url, document }) => documents.set(path(url), JSON.stringify(document)).size,
  /** The number of requests that reached the MCP server, the last one, and the number of all other requests. */
  seen: () => ({
    count,
    last: last && { ...last, body: Buffer.concat(last.body).toString("latin1") },
    others: published + asked.count,
  }),
};

process.on("message", async ({ task, input }) => process.send(await tasks[task](input)));
process.on("disconnect", () => process.exit());
