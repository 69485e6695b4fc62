/** Guards and bounds, with published servers and clients of both eras. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noPython } from "../e2e/support/python.mjs";
import { CLIENTS, eventually, textOf } from "../federation/support/scene.mjs";
import { SERVERS } from "../federation/support/servers.mjs";
import { startChanging } from "./support/changing.mjs";
import { CARD, EMAIL, startLeaky, TOKEN } from "./support/leaky.mjs";
import { gateWith, lines, startPlaces } from "./support/place.mjs";

const PATIENCE = { timeout: 240_000 };
const EVERYTHING = ["credentials", "cards", "iban", "email"];

/** Runs `work` with a gateway in front of `url`, and ends the gateway. Nothing that was found is ever in the log. */
async function withGate(url, resource, work) {
  const scene = await gateWith(url, resource);
  try {
    await work(scene);
    for (const line of scene.gateway.logs)
      for (const secret of [TOKEN, CARD, EMAIL, "4111111111111111"]) assert.ok(!line.includes(secret), line);
  } finally {
    await scene.close();
  }
}

const call = (client, name, args) => client.callTool({ name, arguments: args });

describe("a server that says too much", { ...PATIENCE, skip: noPython }, () => {
  let server;
  let places;
  let locked;
  before(async () => {
    server = await startLeaky();
    places = await startPlaces();
    const here = await places.make({ origin: server.url });
    await here.lock("--origin", server.url);
    locked = await here.locked();
  });
  after(async () => {
    await places?.close();
    await server?.close();
  });

  for (const [name, { connect }] of Object.entries(CLIENTS)) {
    describe(name, PATIENCE, () => {
      test("masks in texts, structured results, resources and prompts", async () => {
        await withGate(
          server.url,
          { guards: [{ find: EVERYTHING, action: "mask", on: ["results"] }] },
          async (scene) => {
            const client = await connect(scene);
            const echoed = await call(client, "echo", { text: `${TOKEN} and ${CARD}` });
            assert.equal(textOf(echoed), "[masked github_token] and [masked card_number]");
            const { structuredContent } = await call(client, "person", { name: "Alice" });
            assert.deepEqual(structuredContent, {
              name: "Alice",
              email: "[masked email]",
              card: "[masked card_number]",
              notes: [{ key: "[masked github_token]" }],
            });
            const { contents } = await client.readResource({ uri: "data://people" });
            assert.equal(contents[0].text, "[masked email], [masked email]");
            const { messages } = await client.getPrompt({ name: "summarize", arguments: { text: EMAIL } });
            assert.equal(messages[0].content.text, "Summarize: [masked email]");
            await client.close();
            const found = lines(scene, "guard_found");
            assert.equal(found.length, 4);
            assert.match(found[1], /mask in results: card_number 2, email 2, github_token 2/);
          },
        );
      });

      test("masks in arguments", async () => {
        const guards = [{ find: EVERYTHING, action: "mask", on: ["arguments"] }];
        await withGate(server.url, { guards }, async (scene) => {
          const client = await connect(scene);
          assert.equal(textOf(await call(client, "echo", { text: `to ${EMAIL}` })), "to [masked email]");
          const { messages } = await client.getPrompt({ name: "summarize", arguments: { text: TOKEN } });
          assert.equal(messages[0].content.text, "Summarize: [masked github_token]");
          await client.close();
        });
      });

      test("refuses, and the model reads why", async () => {
        const guards = [
          { id: "in", find: ["cards"], action: "deny", on: ["arguments"] },
          { id: "out", find: ["credentials"], action: "deny", on: ["results"] },
        ];
        await withGate(server.url, { guards }, async (scene) => {
          const client = await connect(scene);
          const refused = await call(client, "echo", { text: CARD });
          assert.equal(refused.isError, true);
          assert.equal(
            textOf(refused),
            "The gateway did not forward this call. Its arguments contain a card number.",
          );
          const held = await call(client, "person", { name: "Alice" });
          assert.equal(held.isError, true);
          assert.equal(
            textOf(held),
            "The gateway holds back the result of this call. Its results contain a credential.",
          );
          assert.equal(textOf(await call(client, "echo", { text: EMAIL })), EMAIL);
          await assert.rejects(
            client.getPrompt({ name: "summarize", arguments: { text: CARD } }),
            /contain a card number/,
          );
          await client.close();
          await eventually(() => lines(scene, "guard_found").length === 3, "three lines");
          const records = scene.gateway.logs
            .filter((line) => line.includes('"event":"guard"'))
            .map(JSON.parse);
          assert.deepEqual(
            records.map(({ guard, action, on, found }) => [guard, action, on, found]),
            [
              ["in", "deny", "arguments", { card_number: 1 }],
              ["out", "deny", "results", { github_token: 2 }],
              ["in", "deny", "arguments", { card_number: 1 }],
            ],
          );
        });
      });

      test("holds arguments to the schema in the lock", async () => {
        const resource = { lock: {}, locked, bounds: [{ schema: "enforce" }] };
        await withGate(server.url, resource, async (scene) => {
          const client = await connect(scene);
          const good = { amount: 5, currency: "EUR", to: "DE12" };
          assert.equal(textOf(await call(client, "transfer", good)), "moved 5 EUR to DE12");
          const wrong = await call(client, "transfer", { ...good, amount: 101, to: "x" });
          assert.equal(wrong.isError, true);
          assert.match(textOf(wrong), /input schema of the tool: .*\/amount: must be at most 100/);
          assert.match(textOf(wrong), /\/to: must match "\^\[A-Z\]\{2\}\[0-9\]\+\$"/);
          // Results of tools without a fixed form fit too.
          assert.equal((await call(client, "person", { name: "A" })).structuredContent.name, "A");
          await client.close();
        });
      });

      test("holds results to their bounds", async () => {
        const bounds = [{ tools: ["much"], response_bytes: 2000 }];
        await withGate(server.url, { bounds }, async (scene) => {
          const client = await connect(scene);
          assert.equal(textOf(await call(client, "much", { bytes: 500 })).length, 500);
          const held = await call(client, "much", { bytes: 50_000 });
          assert.equal(held.isError, true);
          assert.match(textOf(held), /It has more than 2000 bytes\./);
          assert.equal(textOf(await call(client, "echo", { text: "x".repeat(5000) })).length, 5000);
          await client.close();
        });
      });

      test("counts the calls that run, and ends those that take too long", async () => {
        const bounds = [{ tools: ["slow"], in_flight: 1, answer_seconds: 2 }];
        await withGate(server.url, { bounds }, async (scene) => {
          const client = await connect(scene);
          const first = call(client, "slow", { seconds: 0.8 });
          await new Promise((resolve) => setTimeout(resolve, 250));
          await assert.rejects(call(client, "slow", { seconds: 0 }));
          assert.equal(textOf(await first), "done");
          assert.equal(textOf(await call(client, "slow", { seconds: 0 })), "done", "the first has ended");
          const began = Date.now();
          await assert.rejects(call(client, "slow", { seconds: 30 }), /in time|504|Timeout/i);
          assert.ok(Date.now() - began < 15_000, "the gateway ends it");
          await client.close().catch(() => {});
        });
      });

      test("looks at log messages on the way", async () => {
        const guards = [{ find: ["credentials"], action: "mask", on: ["results"] }];
        await withGate(server.url, { guards }, async (scene) => {
          const said = [];
          const client = await connect(scene);
          if (name !== "sdk 1.x")
            client.setNotificationHandler("notifications/message", ({ params }) => said.push(params));
          const result = await client.callTool({
            name: "steps",
            arguments: { text: TOKEN },
            _meta: { "io.modelcontextprotocol/logLevel": "info" },
          });
          assert.equal(textOf(result), "last");
          for (const one of said) assert.ok(!JSON.stringify(one).includes(TOKEN), JSON.stringify(one));
          await client.close();
        });
      });
    });
  }
});

for (const [name, { connect, era }] of Object.entries(CLIENTS).filter(([, { era }]) => era === "legacy")) {
  describe(`published servers, ${name} (${era})`, PATIENCE, () => {
    test("a file with keys: masked, refused, observed", async () => {
      const server = await SERVERS.files.start();
      try {
        const path = join(server.folder, "keys.txt");
        const key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----";
        await writeFile(path, `first ${TOKEN}\n${key}\nlast, ${"long ".repeat(30_000)} ${TOKEN}.`);
        const read = (client) => call(client, "read_text_file", { path });
        const guard = (action) => ({ guards: [{ find: ["credentials"], action, on: ["results"] }] });
        await withGate(server.url, guard("mask"), async (scene) => {
          const client = await connect(scene);
          const text = textOf(await read(client));
          assert.match(text, /^first \[masked github_token\]\n\[masked private_key\]\nlast, long /);
          assert.ok(text.endsWith("long  [masked github_token]."));
          await client.close();
        });
        await withGate(server.url, guard("deny"), async (scene) => {
          const client = await connect(scene);
          const held = await read(client);
          assert.equal(held.isError, true);
          assert.match(textOf(held), /contain a credential/);
          await client.close();
        });
        await withGate(server.url, guard("observe"), async (scene) => {
          const client = await connect(scene);
          assert.ok(textOf(await read(client)).includes(TOKEN));
          await client.close();
          await eventually(() => lines(scene, "guard_found").length === 1, "a line");
          assert.match(lines(scene, "guard_found")[0], /observe in results: github_token 4, private_key 2/);
        });
      } finally {
        await server.close();
      }
    });

    test("a graph in memory: what goes in is masked, and comes out so", async () => {
      const server = await SERVERS.memory.start();
      try {
        const guards = [{ find: ["email"], action: "mask", on: ["arguments"], tools: ["create_*"] }];
        await withGate(server.url, { guards }, async (scene) => {
          const client = await connect(scene);
          const entities = [{ name: "Alice", entityType: "person", observations: [`writes from ${EMAIL}`] }];
          await call(client, "create_entities", { entities });
          const { structuredContent } = await call(client, "read_graph", {});
          assert.deepEqual(structuredContent.entities[0].observations, ["writes from [masked email]"]);
          const found = await call(client, "search_nodes", { query: EMAIL });
          assert.deepEqual(found.structuredContent.entities, [], "other tools get arguments as they are");
          await client.close();
        });
      } finally {
        await server.close();
      }
    });

    test("everything: echoes, images, links and progress pass", async () => {
      const server = await SERVERS.everything.start();
      try {
        await withGate(server.url, { guards: [{ find: EVERYTHING, action: "mask" }] }, async (scene) => {
          const client = await connect(scene);
          assert.match(textOf(await call(client, "echo", { message: TOKEN })), /\[masked github_token\]/);
          const image = await call(client, "get-tiny-image", {});
          assert.ok(image.content.some(({ type, data }) => type === "image" && data.length > 1000));
          assert.ok((await call(client, "get-resource-links", { count: 3 })).content.length > 2);
          const progress = [];
          const long = { name: "trigger-long-running-operation", arguments: { duration: 1, steps: 4 } };
          const options = { onprogress: (step) => progress.push(step) };
          await (name === "sdk 1.x"
            ? client.callTool(long, undefined, options)
            : client.callTool(long, options));
          assert.equal(progress.length, 4);
          await client.close();
        });
      } finally {
        await server.close();
      }
    });
  });
}

describe("a server whose stream goes on after the response", PATIENCE, () => {
  test("the next call may come as soon as the response has", async () => {
    const open = new Set();
    const server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      const { id, params } = JSON.parse(body);
      open.add(response);
      response.writeHead(200, { "content-type": "text/event-stream" });
      if (params.name === "silent") return void response.write(": on\n\n");
      const result = { content: [{ type: "text", text: "done" }] };
      response.write(`data: ${JSON.stringify({ jsonrpc: "2.0", id, result })}\n\n`);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bounds = [{ tools: ["*"], in_flight: 1, answer_seconds: 60 }];
    try {
      await withGate(`http://127.0.0.1:${server.address().port}`, { bounds }, async (scene) => {
        const token = await scene.token();
        const left = new AbortController();
        const post = (tool) =>
          fetch(`${scene.gateway.url}/mcp`, {
            method: "POST",
            signal: left.signal,
            headers: {
              authorization: `Bearer ${token}`,
              accept: "application/json, text/event-stream",
              "content-type": "application/json",
              "mcp-protocol-version": "2025-11-25",
            },
            body: JSON.stringify({
              jsonrpc: "2.0",
              id: 7,
              method: "tools/call",
              params: { name: tool, arguments: {} },
            }),
          });
        for (let round = 0; round < 5; round += 1) {
          const answer = await post("stays");
          assert.equal(answer.status, 200, `call ${round}`);
          const { value } = await answer.body.getReader().read();
          assert.match(Buffer.from(value).toString(), /done/);
        }
        assert.equal((await post("silent")).status, 200);
        assert.equal((await post("stays")).status, 429, "a call without a response runs");
        left.abort();
      });
    } finally {
      for (const response of open) response.destroy();
      server.close();
    }
  });
});

describe("what commands say", PATIENCE, () => {
  let places;
  before(async () => {
    places = await startPlaces();
  });
  after(() => places.close());

  test("check names schemas that cannot be used, and patterns that are not checked", async () => {
    const server = await SERVERS.dual.start();
    const changing = await startChanging(server.url, (item, list) => {
      if (list !== "tools") return;
      item.inputSchema = { type: "object", properties: { to: { type: "string", pattern: "^(?!x)a" } } };
      if (item.name === "add")
        item.inputSchema = { type: "object", $ref: "https://other.example/schema.json" };
    });
    const here = await places.make({ origin: changing.url, bounds: [{ schema: "enforce" }] });
    await here.lock("--origin", changing.url);
    await changing.close();
    await server.close();
    const { code, stdout, stderr } = await here.check();
    assert.equal(code, 1, stdout + stderr);
    assert.match(
      stdout,
      /tool "add": its inputSchema cannot be used, and every call is refused: it refers to another document/,
    );
    assert.match(stdout, /note: tool "[^"]+": inputSchema\/properties\/to\/pattern is not checked/);
  });
});
