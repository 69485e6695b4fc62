/** A Worker behind a service binding whose answer breaks off: no client takes what came for a complete answer. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertRefused } from "./support/refusal.mjs";
import { LEGACY, MODERN, startScene } from "./support/scene.mjs";

/** Answers as the field `x-answer` says: how it ends, and what it is. */
const WORKER = `
const bytes = (text) => new TextEncoder().encode(text);

/** Gives the text, and then ends as \`end\` says. */
const streamOf = (text, end) => {
  let given = false;
  return new ReadableStream({
    async pull(controller) {
      if (!given) {
        given = true;
        return controller.enqueue(bytes(text));
      }
      if (end === "well") return controller.close();
      await new Promise((resolve) => setTimeout(resolve, 100));
      controller.error(new Error("at Object.query (/srv/db.js:42)"));
    },
  });
};

export default {
  async fetch(request) {
    const { id, method } = await request.json();
    const [end, kind] = request.headers.get("x-answer").split(" ");
    const description = "x".repeat(kind === "large" ? 200_000 : 200);
    const tools = [{ name: "add", description, inputSchema: { type: "object" } }];
    const result = method === "tools/list" ? { tools } : { content: [{ type: "text", text: description }] };
    const message = JSON.stringify({ jsonrpc: "2.0", id, result });
    const text = kind === "events" ? "event: message\\ndata: " + message + "\\n\\n" : message;
    const headers = { "content-type": kind === "events" ? "text/event-stream" : "application/json" };
    if (end === "announced") headers["content-length"] = String(bytes(text).length);
    const given = end === "well" || end === "last" ? text : text.slice(0, -50);
    return new Response(streamOf(given, end), { headers });
  },
};`;

const KINDS = { small: "a small answer", large: "a large answer", events: "an event stream" };
const ENDS = {
  middle: "fails in the middle",
  announced: "fails in the middle, after its length was announced",
  last: "fails after its last byte",
};
const ERAS = { legacy: LEGACY, modern: MODERN };
const PATHS = { "/mcp": "", "/rules": ", with rules" };

describe("of a Worker behind a service binding", () => {
  let scene;
  before(
    async () => {
      const at = (path, more) => ({
        ...{ path, service: "TOOLS", issuers: ["idp"], scopes: ["mcp:tools"], forward_fields: ["X-Answer"] },
        ...more,
      });
      const rules = [{ effect: "allow", tools: ["add"] }];
      scene = await startScene({
        workers: { TOOLS: WORKER },
        changes: () => ({ resources: [at("/mcp"), at("/rules", { rules })] }),
      });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close());

  async function ask(path, method, era, answer) {
    const call = method === "tools/call" ? { name: "add", arguments: {} } : {};
    const modern = era === "modern";
    const version = { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } };
    const mirrored = { "Mcp-Method": method, ...(call.name && { "Mcp-Name": call.name }) };
    return scene.post({
      target: path,
      token: await scene.token({ audience: `${scene.gateway.url}${path}` }),
      fields: {
        ...{ "X-Answer": answer, Accept: "application/json, text/event-stream", ...ERAS[era] },
        ...(modern && mirrored),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { ...call, ...(modern && version) } }),
    });
  }

  for (const [path, under] of Object.entries(PATHS))
    for (const [kind, what] of Object.entries(KINDS)) {
      test(`${what} that ends well is complete${under}`, async () => {
        for (const method of ["tools/call", "tools/list"])
          for (const era of Object.keys(ERAS)) {
            const answer = await ask(path, method, era, `well ${kind}`);
            assert.deepEqual([answer.status, answer.complete], [200, true]);
            const message = answer.body.replace(/^event: message\ndata: (.*)\n\n$/s, "$1");
            const { id, result } = JSON.parse(message);
            assert.equal(id, 7);
            assert.ok(result.content ?? result.tools.length === 1);
          }
      });

      for (const [end, how] of Object.entries(ENDS))
        test(`${what} that ${how} is not complete${under}`, async () => {
          for (const method of ["tools/call", "tools/list"])
            for (const era of Object.keys(ERAS)) {
              const answer = await ask(path, method, era, `${end} ${kind}`);
              assert.doesNotMatch(answer.body, /Object\.query/);
              if (answer.status === 200)
                assert.equal(answer.complete, false, `${era} ${method}: ${answer.body.length} bytes`);
              else
                await assertRefused(scene.gateway, answer, {
                  ...{ status: 502, reason: "origin_unreachable", id: 7 },
                });
            }
        });
    }
});
