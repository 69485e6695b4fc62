// What the origin offers, defined once for both eras. A modern request gets a server of its own, a legacy
// session keeps one.

import { randomBytes } from "node:crypto";
import { createRequestStateCodec, McpServer } from "@modelcontextprotocol/server";
import { registerDemoTools } from "./demo-tools.mjs";
import { registerFixtures } from "./fixtures.mjs";
import { registerInputFixtures } from "./input-fixtures.mjs";

// State that travels through the client comes back as whatever the client likes. It is signed, and bound to
// the user the gateway named, so that one user's state is worthless to another.
const requestState = createRequestStateCodec({
  key: randomBytes(32),
  bind: (ctx) => `${ctx.mcpReq.method} ${ctx.http?.req?.headers.get("x-portcullis-subject") ?? ""}`,
});

/**
 * `changes` publishes changes of lists and resources: over the subscription streams of the modern era, or
 * to the one client of a legacy session.
 */
export function createMcpServer({ changes, countdowns, legacy = false }) {
  const mcp = new McpServer(
    { name: "portcullis-example-origin", version: "1.0.0" },
    {
      instructions: "An example. Ask `whoami` who you are.",
      capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } },
      requestState: { verify: requestState.verify },
    },
  );
  // A client that knows nothing about the tools tries the first one without arguments: let that one need none.
  registerDemoTools(mcp, { countdowns });
  registerFixtures(mcp, { changes });
  registerInputFixtures(mcp, { mint: requestState.mint });
  if (legacy) acceptSubscriptions(mcp, changes);
  return mcp;
}

// Modern clients subscribe with `subscriptions/listen`, which the package serves.
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
