/** A Worker behind a service binding whose Content-Length is not the length of its answer. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startScene } from "./support/scene.mjs";

const WORKER = `
const bytes = (text) => new TextEncoder().encode(text);
export default {
  async fetch(request) {
    const { id } = await request.json();
    const [by, kind] = request.headers.get("x-answer").split(" ");
    const text = JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "x".repeat(kind === "large" ? 200000 : 200) }] } });
    // Announces the whole answer; gives 50 bytes less (truncated), the same, or 50 bytes more.
    const given = by === "less" ? text.slice(0, -50) : by === "more" ? text + " ".repeat(50) : by === "none" ? "" : text;
    const body = new ReadableStream({ start(c) { c.enqueue(bytes(given)); c.close(); } });
    return new Response(body, { headers: { "content-type": "application/json", "content-length": String(bytes(text).length), ...(kind === "coded" && { "content-encoding": "identity" }) } });
  },
};`;

describe("of a Worker behind a service binding, an answer", () => {
  let scene;
  before(
    async () => {
      const at = (path, more) => ({
        path,
        service: "TOOLS",
        issuers: ["idp"],
        scopes: ["mcp:tools"],
        forward_fields: ["X-Answer"],
        ...more,
      });
      scene = await startScene({
        workers: { TOOLS: WORKER },
        changes: () => ({
          resources: [at("/mcp"), at("/rules", { rules: [{ effect: "allow", tools: ["add"] }] })],
        }),
      });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close());
  for (const path of ["/mcp", "/rules"])
    for (const kind of ["small", "large", "coded"])
      for (const by of ["same", "less", "more", "none"])
        test(`${path}: ${kind}, ${by} of the bytes that its Content-Length announces`, async () => {
          const token = await scene.token({ audience: `${scene.gateway.url}${path}` });
          const fields = { "X-Answer": `${by} ${kind}`, "MCP-Protocol-Version": "2025-11-25" };
          const body = JSON.stringify({
            jsonrpc: "2.0",
            id: 7,
            method: "tools/call",
            params: { name: "add", arguments: {} },
          });
          // A connection that breaks before the head is no answer.
          const answer = await scene
            .post({ target: path, token, fields, body })
            .catch(() => ({ complete: false, fields: {}, body: "" }));
          const seems = answer.status === 200 && answer.complete;
          assert.equal(
            seems,
            by === "same",
            `${answer.status}, complete: ${answer.complete}, ${answer.body.length} bytes, Content-Length ${answer.fields["content-length"]}`,
          );
        });
});
