// Three tools, for the demo and for tests of the gateway.

import { setTimeout as sleep } from "node:timers/promises";
import { fromJsonSchema } from "@modelcontextprotocol/server";

const text = (value) => ({ content: [{ type: "text", text: value }] });

export function registerDemoTools(mcp, { countdowns }) {
  mcp.registerTool(
    "whoami",
    {
      description: "Who is calling, according to the gateway",
      annotations: { readOnlyHint: true },
      outputSchema: fromJsonSchema({
        type: "object",
        properties: {
          subject: { type: ["string", "null"] },
          issuer: { type: ["string", "null"] },
          client: { type: ["string", "null"] },
          scopes: { type: "array", items: { type: "string" } },
        },
        required: ["subject", "issuer", "client", "scopes"],
      }),
    },
    (ctx) => {
      // These fields can be trusted only where no client but the gateway reaches the server. Any other origin
      // server must verify the identity assertion, which is signed.
      const said = (name) => ctx.http?.req?.headers.get(`x-portcullis-${name}`) ?? null;
      const identity = {
        subject: said("subject"),
        issuer: said("issuer"),
        client: said("client"),
        scopes: said("scopes")?.split(" ").filter(Boolean) ?? [],
      };
      return { ...text(JSON.stringify(identity)), structuredContent: identity };
    },
  );

  mcp.registerTool(
    "add",
    {
      description: "Adds two numbers",
      annotations: { readOnlyHint: true },
      inputSchema: fromJsonSchema({
        type: "object",
        properties: { a: { type: "number" }, b: { type: "number" } },
        required: ["a", "b"],
      }),
    },
    ({ a, b }) => text(String(a + b)),
  );

  mcp.registerTool(
    "countdown",
    {
      description: "Reports its progress n times, ms milliseconds apart, and stops early when cancelled",
      inputSchema: fromJsonSchema({
        type: "object",
        properties: {
          n: { type: "integer", minimum: 0, maximum: 1000 },
          ms: { type: "integer", minimum: 0, maximum: 60_000 },
        },
        required: ["n", "ms"],
      }),
    },
    async ({ n, ms }, { mcpReq }) => {
      const run = { id: mcpReq.id, n, sent: 0, outcome: "running" };
      countdowns.push(run);
      // A client that sent no progress token did not ask for progress and must not get any.
      const progressToken = mcpReq._meta?.progressToken;
      try {
        while (run.sent < n) {
          await sleep(ms, undefined, { signal: mcpReq.signal });
          run.sent += 1;
          if (progressToken === undefined) continue;
          const params = { progressToken, progress: run.sent, total: n, message: `${n - run.sent} to go` };
          await mcpReq.notify({ method: "notifications/progress", params });
        }
        run.outcome = "finished";
        return text(`Counted down from ${n}`);
      } catch (error) {
        run.outcome = mcpReq.signal.aborted ? "aborted" : "failed";
        throw error;
      }
    },
  );
}
