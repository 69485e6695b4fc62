// An MCP server that is a Worker behind the gate's service binding, with one tool that says who calls. It has no route
// and no workers.dev name, so nothing but the gate reaches it, and what the gate's fields say can be believed.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";

/** Characters other than visible ASCII, and `%`, are percent-encoded in the gate's fields. */
const said = (request, name) => {
  const value = request.headers.get(`x-portcullis-${name}`);
  return value === null ? undefined : decodeURIComponent(value);
};

function createMcpServer({ requestInfo }) {
  const mcp = new McpServer({ name: "behind-the-gate", version: "1.0.0" });
  mcp.registerTool("whoami", { description: "Who is calling, as the gate has verified it" }, () => {
    const names = ["subject", "issuer", "client", "scopes"];
    const caller = Object.fromEntries(names.map((name) => [name, said(requestInfo, name)]));
    return { content: [{ type: "text", text: JSON.stringify(caller) }] };
  });
  return mcp;
}

const handler = createMcpHandler(createMcpServer);

export default {
  fetch(request) {
    // Without it the request did not come by the gate: a route was added, or a name.
    if (!request.headers.has("x-portcullis-subject"))
      return new Response("not from the gate\n", { status: 401 });
    return handler.fetch(request);
  },
};
