// An MCP server that only knows stdio, behind Streamable HTTP: a process for each session.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { isInitializeRequest } from "@modelcontextprotocol/sdk/types.js";

/** Starts an HTTP server that passes the messages of each session to a process of its own, and back. */
export async function startStdio(command, args, { env = {} } = {}) {
  const sessions = new Map();

  async function open() {
    const child = new StdioClientTransport({
      command,
      args,
      env: { ...process.env, ...env },
      stderr: "ignore",
    });
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, { transport, child }),
    });
    transport.onmessage = (message) => void child.send(message).catch(() => {});
    child.onmessage = (message) => void transport.send(message).catch(() => {});
    transport.onclose = () => {
      sessions.delete(transport.sessionId);
      void child.close();
    };
    await child.start();
    await transport.start();
    return transport;
  }

  async function serve(req, res) {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
    const id = req.headers["mcp-session-id"];
    if (id === undefined && isInitializeRequest(body)) return (await open()).handleRequest(req, res, body);
    const session = sessions.get(id);
    if (session !== undefined) return session.transport.handleRequest(req, res, body);
    const error = {
      code: -32000,
      message: id === undefined ? "Mcp-Session-Id is missing" : "Session not found",
    };
    res.writeHead(id === undefined ? 400 : 404, { "content-type": "application/json" });
    res.end(JSON.stringify({ jsonrpc: "2.0", error, id: null }));
  }

  const server = createServer((req, res) => {
    serve(req, res).catch((error) => {
      if (!res.headersSent) res.writeHead(500);
      res.end(String(error?.message));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/mcp`,
    /** How many sessions are open. */
    sessions: () => sessions.size,
    /** Forgets all sessions, as a server does that starts again. */
    async forget() {
      await Promise.all([...sessions.values()].map(({ transport }) => transport.close()));
    },
    async close() {
      await Promise.all([...sessions.values()].map(({ transport }) => transport.close()));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
