// The MCP server of the origin, defined once for both eras. Each modern request gets a server of its own; each
// legacy session keeps one.

import { randomBytes } from "node:crypto";
import { createRequestStateCodec, McpServer } from "@modelcontextprotocol/server";
import { registerDemoTools } from "./demo-tools.mjs";
import { registerFixtures } from "./fixtures.mjs";
import { registerInputFixtures } from "./input-fixtures.mjs";

// A client can change state that travels through it. So the state is signed, and bound to the user that the gateway
// names, which makes one user's state useless to another.
const requestState = createRequestStateCodec({
  key: randomBytes(32),
  bind: (ctx) => `${ctx.mcpReq.method} ${ctx.http?.req?.headers.get("x-portcullis-subject") ?? ""}`,
});

/**
 * `changes` publishes changes of lists and resources: over the subscription streams of the modern era, or to
 * the client of a legacy session. `tasks` and `apps` add the tools that need these extensions.
 */
export function createMcpServer({ changes, countdowns, tasks, apps, legacy = false }) {
  const mcp = new McpServer(
    { name: "portcullis-example-origin", version: "1.0.0" },
    {
      instructions: "An example server. The tool `whoami` says who calls.",
      capabilities: {
        logging: {},
        resources: { subscribe: true, listChanged: true },
        ...(tasks && !legacy && { extensions: tasks.extensions }),
      },
      requestState: { verify: requestState.verify },
    },
  );
  // Registered first, because some clients try the first tool without arguments, and `whoami` needs none.
  registerDemoTools(mcp, { countdowns });
  registerFixtures(mcp, { changes });
  registerInputFixtures(mcp, { mint: requestState.mint });
  tasks?.register(mcp);
  apps?.register(mcp);
  if (legacy) acceptSubscriptions(mcp, changes);
  return mcp;
}

// For legacy clients only: modern clients subscribe with `subscriptions/listen`, which the package serves.
function acceptSubscriptions(mcp, { watched }) {
  mcp.server.setRequestHandler("resources/subscribe", ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  mcp.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
}
