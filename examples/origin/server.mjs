// A real MCP server for the gateway to forward to. It supports both eras on one endpoint, as the specification
// allows: 2026-07-28 requests are stateless, 2025-11-25 and older ones belong to sessions.
//
//   PORT=3000 node examples/origin/server.mjs

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import {
  hostHeaderValidation,
  originValidation,
  toNodeHandler,
  toWebRequest,
} from "@modelcontextprotocol/node";
import {
  classifyInboundRequest,
  createMcpHandler,
  localhostAllowedHostnames,
} from "@modelcontextprotocol/server";
import { createMcpServer } from "./mcp.mjs";
import { refuse } from "./refuse.mjs";
import { createLegacySessions } from "./sessions.mjs";
import { createTasks } from "./tasks.mjs";

const PATH = "/mcp";

/**
 * Starts an origin server on its own port.
 *
 * `onRequest` gets every request as it arrived, before any check: tests use it to see what the gateway forwarded.
 * `extensions` adds tools that run as tasks, and one with a user interface.
 * `onlyModern` leaves out the legacy era.
 * `countdowns` lists the runs of the tool `countdown` with their outcome.
 */
export async function startOrigin({
  port = 0,
  host = "127.0.0.1",
  extensions = false,
  onlyModern = false,
  onRequest,
} = {}) {
  const countdowns = [];
  // The package for Apps is needed only for them.
  const more = extensions ? { tasks: createTasks(), apps: await import("./apps.mjs") } : {};

  const modern = createMcpHandler(() => createMcpServer({ changes: modern.notify, countdowns, ...more }), {
    legacy: "reject",
  });
  const serveModern = toNodeHandler(modern);
  const legacy = createLegacySessions((changes) =>
    createMcpServer({ changes, countdowns, ...more, legacy: true }),
  );

  // Against DNS rebinding: without these checks a web page could reach this server through a name that resolves to loopback.
  const hostnames = [...localhostAllowedHostnames(), host];
  const hostAllowed = hostHeaderValidation(hostnames);
  const originAllowed = originValidation(hostnames);
  let authority;

  async function serve(req, res) {
    onRequest?.(req);
    if (!hostAllowed(req, res) || !originAllowed(req, res)) return;
    if (req.url?.split("?", 1)[0] !== PATH) return refuse(res, 404, -32601, "Not found");
    if (!["GET", "POST", "DELETE"].includes(req.method)) {
      res.setHeader("allow", "GET, POST, DELETE");
      return refuse(res, 405, -32000, "Method not allowed");
    }

    // The packages build a URL from this field. The caller's value has been checked and is replaced, because
    // `user@127.0.0.1` passes that check as a loopback name and yet is no valid authority. The headers are
    // copied, because `onRequest` may have kept the original.
    req.headers = { ...req.headers, host: authority };

    let body;
    if (req.method === "POST") {
      const text = await (await toWebRequest(req)).text();
      try {
        body = JSON.parse(text);
      } catch {
        return refuse(res, 400, -32700, "Parse error: the body is not JSON");
      }
    }
    if (eraOf(req, body) === "legacy" && !onlyModern) return legacy.serve(req, res, body);
    await (more.tasks?.handles(body) ? more.tasks.serve(req, res, body) : serveModern(req, res, body));
  }

  const server = createServer((req, res) => {
    serve(req, res).catch((error) => {
      if (res.headersSent) return res.destroy(error);
      if (error.status !== 413) return refuse(res, 500, -32603, "Internal error");
      // The rest of the body is still arriving, so the connection cannot be used again.
      res.setHeader("connection", "close");
      refuse(res, 413, -32000, error.message);
    });
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address().port;
  authority = `${host.includes(":") ? `[${host}]` : host}:${bound}`;

  return {
    url: `http://${authority}${PATH}`,
    port: bound,
    countdowns,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([modern.close(), legacy.close(), closed]);
    },
  };
}

// The package's own rule, so that this server and the package always agree on the era of a request. Node joins
// repeated headers with commas, so each value is a string.
function eraOf(req, body) {
  return classifyInboundRequest({
    httpMethod: req.method,
    protocolVersionHeader: req.headers["mcp-protocol-version"],
    mcpMethodHeader: req.headers["mcp-method"],
    mcpNameHeader: req.headers["mcp-name"],
    body,
  }).kind;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const origin = await startOrigin({ port: Number(process.env.PORT ?? 3000) });
  console.log(`MCP origin listening on ${origin.url}`);
}
