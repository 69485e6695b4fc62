// The transport of 2024-11-05, as npm `@modelcontextprotocol/sdk` serves it: a stream for each client, whose first event
// says where to post messages.
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";

/** Starts it, with these tools; each answers with its name. `messages` are the posts that came, by URL. */
export async function startOldSse({ tools }) {
  const sessions = new Map();
  const messages = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://origin");
    if (request.method === "GET" && url.pathname === "/sse") {
      const mcp = new McpServer({ name: "old-sse", version: "1.0.0" });
      for (const name of tools)
        mcp.registerTool(name, {}, () => ({ content: [{ type: "text", text: name }] }));
      const transport = new SSEServerTransport("/messages", response);
      sessions.set(transport.sessionId, transport);
      return mcp.connect(transport);
    }
    const session = sessions.get(url.searchParams.get("sessionId"));
    if (request.method !== "POST" || url.pathname !== "/messages" || !session) {
      return response.writeHead(404).end();
    }
    messages.push(request.url);
    return session.handlePostMessage(request, response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}/sse`,
    messages,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
