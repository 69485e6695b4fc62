// An MCP server that is a Worker behind the gateway's service binding, with one tool that says who calls. It has no route and no
// workers.dev name, so only the gateway reaches it, and the gateway's fields can be trusted.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";

/** The value of one of the gateway's fields, where characters other than visible ASCII, and `%`, are percent-encoded. */
const said = (request, name) => {
  const value = request.headers.get(`x-portcullis-${name}`);
  return value === null ? undefined : decodeURIComponent(value);
};

function createMcpServer({ requestInfo }) {
  const mcp = new McpServer({ name: "behind-the-gateway", version: "1.0.0" });
  mcp.registerTool("whoami", { description: "Who is calling, as the gateway has verified it" }, () => {
    const names = ["subject", "issuer", "client", "scopes"];
    const caller = Object.fromEntries(names.map((name) => [name, said(requestInfo, name)]));
    return { content: [{ type: "text", text: JSON.stringify(caller) }] };
  });
  return mcp;
}

const handler = createMcpHandler(createMcpServer);

export default {
  fetch(request) {
    // Without this field the request did not come from the gateway: a route or a workers.dev name was added.
    if (!request.headers.has("x-portcullis-subject"))
      return new Response("not from the gateway\n", { status: 401 });
    return handler.fetch(request);
  },
};
