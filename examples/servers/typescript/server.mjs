// An MCP server behind the gateway, with one tool that says who calls.
//
//   GATE=https://mcp.example.com ORIGIN=https://tools.internal.example/mcp PORT=9200 node server.mjs
import { createServer } from "node:http";
import { hostHeaderValidation, toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { isSigned, KeysUnavailable, whoCalls } from "./who-calls.mjs";

const { GATE, ORIGIN, OPERATION, HOST = "127.0.0.1", PORT = "9200" } = process.env;
if (!GATE || !ORIGIN) throw new Error("GATE and ORIGIN must be set");
const { hostname, pathname } = new URL(ORIGIN);

/** A server for each message: without sessions no caller can continue the session of another. */
function createMcpServer({ authInfo: { extra: caller } }) {
  const mcp = new McpServer({ name: "behind-the-gateway", version: "1.0.0" });
  mcp.registerTool("whoami", { description: "Who is calling, as the gateway has verified it" }, () => {
    // A subject is unique only for its issuer, so the result has both.
    const { sub: subject, subject_issuer: issuer, client_id: client, scope: scopes } = caller;
    return { content: [{ type: "text", text: JSON.stringify({ subject, issuer, client, scopes }) }] };
  });
  return mcp;
}

const verify = whoCalls({ gate: GATE, origin: ORIGIN });
const serve = toNodeHandler(createMcpHandler(createMcpServer));
// The gateway, and a tunnel, send the host of ORIGIN in the Host field.
const named = hostHeaderValidation([hostname]);

function refuse(response, status, error) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
}

/** The JSON of a body of at most 8 MiB; `undefined` if there is none. */
async function readMessage(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > 8 * 1024 * 1024) throw new Error("the body is too large");
    chunks.push(chunk);
  }
  return bytes === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
}

async function answer(request, response) {
  try {
    // Node joins two such fields with a comma, and the result is no JWT.
    const assertion = request.headers["x-portcullis-assertion"];
    const caller = await verify(assertion);
    request.auth = { token: assertion, clientId: caller.client_id ?? "", scopes: [], extra: caller };
  } catch (error) {
    if (error instanceof KeysUnavailable) return refuse(response, 503, "the gateway's keys are unavailable");
    return refuse(response, 401, "not from the gateway");
  }
  if (!named(request, response)) return;
  if (request.url.split("?", 1)[0] !== pathname) return refuse(response, 404, "not found");
  if (request.method !== "POST") return serve(request, response);
  const message = await readMessage(request).catch(() => undefined);
  if (message === undefined) return refuse(response, 400, "the body is no JSON of at most 8 MiB");
  if (!isSigned(request.auth.extra, message, OPERATION === "required"))
    return refuse(response, 401, "not what the gateway has signed");
  await serve(request, response, message);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else refuse(response, 500, "failed");
  });
});
server.listen(Number(PORT), HOST, () =>
  console.log(`MCP server behind the gateway: http://${HOST}:${PORT}${pathname}`),
);
