/** Views for many tools, and what the commands say of a federation: with published servers and clients. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { portcullis } from "../e2e/support/command.mjs";
import { CLIENTS, startFederation, textOf } from "./support/scene.mjs";

const PATIENCE = { timeout: 60_000 };
const NAMES = ["everything", "files", "memory", "dual", "modern"];

/** The tools in the result of a search. */
const found = (result) => JSON.parse(textOf(result)).tools;

describe("views for many tools", { timeout: 240_000 }, () => {
  for (const [clientName, { connect }] of Object.entries(CLIENTS)) {
    test(`${clientName}: search_tools finds a tool, and call_tool calls it`, PATIENCE, async () => {
      const scene = await startFederation({ names: NAMES, resource: { view: "search" } });
      try {
        const client = await connect(scene);
        const names = (await client.listTools()).tools.map(({ name }) => name);
        assert.deepEqual(names, ["search_tools", "call_tool"]);
        const search = (query, limit) =>
          client.callTool({ name: "search_tools", arguments: { query, ...(limit && { limit }) } });
        const [best] = found(await search("read the knowledge graph"));
        assert.equal(best.name, "memory_read_graph");
        assert.equal(best.inputSchema.type, "object");
        const sums = found(await search("sum of two numbers", 3));
        assert.ok(
          sums.length <= 3 && sums.some(({ name }) => name === "everything_get-sum"),
          JSON.stringify(sums),
        );
        const call = (name, args) =>
          client.callTool({ name: "call_tool", arguments: { name, arguments: args } });
        assert.match(textOf(await call("everything_get-sum", { a: 19, b: 23 })), /42/);
        assert.match(textOf(await call("modern_add", { a: 19, b: 23 })), /42/);
        const direct = await client.callTool({ name: "dual_add", arguments: { a: 1, b: 1 } });
        assert.equal(textOf(direct), "2", "a tool can be called by its name as well");
        const calls = scene.servers.named.everything.recorder.requests.filter(
          ({ rpcMethod }) => rpcMethod === "tools/call",
        );
        assert.equal(calls.length, 1);
        const wrong = await client
          .callTool({ name: "search_tools", arguments: {} })
          .catch((error) => ({ isError: true, content: [{ text: error.message }] }));
        assert.equal(wrong.isError, true);
        await client.close();
      } finally {
        await scene.close();
      }
    });
  }

  test("names come without schemas", PATIENCE, async () => {
    const scene = await startFederation({ names: NAMES, resource: { view: "names" } });
    try {
      for (const { connect } of Object.values(CLIENTS)) {
        const client = await connect(scene);
        const { tools } = await client.listTools();
        assert.ok(tools.length > 60);
        for (const { inputSchema, outputSchema } of tools)
          assert.deepEqual([inputSchema, outputSchema], [{ type: "object" }, undefined]);
        const sum = await client.callTool({ name: "everything_get-sum", arguments: { a: 1, b: 2 } });
        assert.match(textOf(sum), /3/);
        await client.close();
      }
    } finally {
      await scene.close();
    }
  });
});

describe("commands know the servers", PATIENCE, () => {
  let folder;
  let scene;
  let file;

  before(
    async () => {
      folder = await mkdtemp(join(tmpdir(), "portcullis-commands-"));
      file = join(folder, "portcullis.json");
      scene = await startFederation({ names: ["memory", "dual"] });
      const [memory, dual] = scene.servers.entries;
      const document = {
        public_url: "http://127.0.0.1:8787",
        development: true,
        sessions: { secrets: ["SEAL"] },
        issuers: [{ name: "idp", issuer: scene.idp.issuer }],
        resources: [
          {
            path: "/mcp",
            issuers: ["idp"],
            servers: [
              { ...memory, aliases: { read_graph: "graph" } },
              { ...dual, hidden: ["test_*"] },
            ],
            rules: [
              { id: "memory", effect: "allow", tools: ["graph", "memory_*"] },
              { id: "add", effect: "allow", tools: ["dual_add"] },
            ],
          },
        ],
      };
      await writeFile(file, JSON.stringify(document));
    },
    { timeout: 60_000 },
  );
  after(async () => {
    await scene?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("explain says which server has a tool, and how that calls it", async () => {
    const explain = (tool) => portcullis(["explain", "--config", file, "--tool", tool, "--json"]);
    const { stdout } = await explain("graph");
    const { server, original, verdict } = JSON.parse(stdout);
    assert.deepEqual([server, original, verdict], ["memory", "read_graph", "allow"]);
    const hidden = JSON.parse((await explain("dual_test_simple_text")).stdout);
    assert.deepEqual([hidden.server, hidden.original], ["dual", null]);
    const nowhere = await portcullis(["explain", "--config", file, "--tool", "other_x"]);
    assert.match(nowhere.stdout, /no server has such a name/);
  });

  test("check reads the lists of a server under the names that clients see", async () => {
    const [memory, dual] = scene.servers.entries;
    const origins = [memory, dual].flatMap(({ origin }) => ["--origin", origin]);
    const { stdout } = await portcullis(["check", "--config", file, ...origins]);
    assert.doesNotMatch(stdout, /test_simple_text/, "hidden items need no rule");
    assert.doesNotMatch(stdout, /read_graph/, "the alias is covered");
    assert.match(stdout, /dual_countdown/, "no rule covers this one");
  });
});
