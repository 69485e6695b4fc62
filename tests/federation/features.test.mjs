/** What MCP has, through a federation of published servers: with clients and servers of both eras. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import {
  CLIENTS,
  eventually,
  legacyClient,
  modernClient,
  oldClient,
  startFederation,
  textOf,
} from "./support/scene.mjs";
import { SERVERS } from "./support/servers.mjs";

const NAMES = Object.keys(SERVERS);
const PATIENCE = { timeout: 60_000 };

describe("a federation of published servers", { timeout: 480_000 }, () => {
  let scene;
  const clients = {};

  before(
    async () => {
      scene = await startFederation();
      for (const [name, { connect }] of Object.entries(CLIENTS)) clients[name] = await connect(scene);
    },
    { timeout: 300_000 },
  );

  after(
    async () => {
      await Promise.allSettled(Object.values(clients).map((client) => client.close()));
      await scene?.close();
    },
    { timeout: 30_000 },
  );

  for (const [clientName, { era }] of Object.entries(CLIENTS)) {
    describe(clientName, PATIENCE, () => {
      const client = () => clients[clientName];

      test("what the servers say of themselves is joined", () => {
        const capabilities = client().getServerCapabilities();
        for (const name of ["tools", "prompts", "resources", "completions"])
          assert.ok(capabilities[name], name);
        assert.equal(capabilities.logging !== undefined, era === "legacy");
        assert.equal(capabilities.tools.listChanged, true);
        const instructions = client().getInstructions();
        assert.match(instructions, /^everything: /);
        assert.match(instructions, /^dual: An example server/m);
        assert.equal(client().getServerVersion().name, "portcullis");
      });

      test("one list has the tools of all servers", async () => {
        const names = (await client().listTools()).tools.map(({ name }) => name);
        assert.equal(new Set(names).size, names.length);
        for (const { name, tool } of scene.servers.all)
          assert.ok(names.includes(`${name}_${tool.name}`), name);
        assert.ok(names.length > 80, String(names.length));
      });

      for (const name of NAMES) {
        test(`a tool of ${name}`, async () => {
          const { tool } = scene.servers.named[name];
          const result = await client().callTool({ name: `${name}_${tool.name}`, arguments: tool.arguments });
          assert.match(textOf(result), tool.expected);
        });

        test(`a tool that ${name} does not have`, async () => {
          const outcome = await client()
            .callTool({ name: `${name}_no_such_tool`, arguments: {} })
            .catch((error) => ({ isError: true, content: [{ text: error.message }] }));
          assert.equal(outcome.isError, true);
          assert.match(textOf(outcome), /no_such_tool/, "the answer is the server's own");
        });
      }

      test("prompts of servers of both eras", async () => {
        const names = (await client().listPrompts()).prompts.map(({ name }) => name);
        for (const name of [
          "everything_simple-prompt",
          "dual_test_simple_prompt",
          "modern_test_simple_prompt",
        ]) {
          assert.ok(names.includes(name), name);
          assert.ok((await client().getPrompt({ name })).messages.length > 0, name);
        }
      });

      test("resources and templates of servers of both eras", async () => {
        const uris = (await client().listResources()).resources.map(({ uri }) => uri);
        const read = async (uri) => (await client().readResource({ uri })).contents[0];
        for (const uri of [
          "everything+demo://resource/static/document/features.md",
          "memory+memory://knowledge-graph",
          "dual+test://static-text",
          "modern+test://static-text",
        ]) {
          assert.ok(uris.includes(uri), uri);
          assert.equal((await read(uri)).uri, uri);
        }
        const templates = (await client().listResourceTemplates()).resourceTemplates;
        const patterns = templates.map(({ uriTemplate }) => uriTemplate);
        assert.ok(patterns.includes("everything+demo://resource/dynamic/text/{resourceId}"));
        assert.ok(patterns.includes("modern+test://template/{id}/data"));
        const made = await read("everything+demo://resource/dynamic/text/7");
        assert.match(made.text, /7/);
        assert.match((await read("dual+test://template/9/data")).text, /9/);
      });

      test("completions of servers of both eras", async () => {
        const ref = { type: "ref/prompt", name: "everything_completable-prompt" };
        const { completion } = await client().complete({ ref, argument: { name: "department", value: "E" } });
        assert.deepEqual(completion.values, ["Engineering"]);
        const other = { type: "ref/prompt", name: "modern_test_prompt_with_arguments" };
        const there = await client().complete({ ref: other, argument: { name: "arg1", value: "p" } });
        assert.ok(Array.isArray(there.completion.values));
      });

      for (const [name, tool, args] of [
        ["everything", "trigger-long-running-operation", { duration: 0.3, steps: 3 }],
        ["dual", "test_tool_with_progress", {}],
        ["modern", "test_tool_with_progress", {}],
      ]) {
        test(`progress of a call at ${name}`, async () => {
          const seen = [];
          const params = { name: `${name}_${tool}`, arguments: args };
          const onprogress = ({ progress }) => seen.push(progress);
          await (clientName === "sdk 1.x"
            ? client().callTool(params, undefined, { onprogress })
            : client().callTool(params, { onprogress }));
          assert.ok(seen.length >= 2, JSON.stringify(seen));
        });
      }

      test("images, audio and embedded resources", async () => {
        const result = await client().callTool({ name: "modern_test_multiple_content_types", arguments: {} });
        const embedded = result.content.find(({ type }) => type === "resource");
        assert.match(embedded.resource.uri, /^modern\+/);
        const links = await client().callTool({
          name: "everything_get-resource-links",
          arguments: { count: 2 },
        });
        const uris = links.content.filter(({ type }) => type === "resource_link").map(({ uri }) => uri);
        assert.ok(uris.length === 2 && uris.every((uri) => uri.startsWith("everything+demo://")));
        assert.ok(
          (await client().readResource({ uri: uris[0] })).contents.length > 0,
          "a link can be followed",
        );
      });

      test("an error of a tool is the tool's own", async () => {
        for (const name of ["dual", "modern"]) {
          const result = await client().callTool({ name: `${name}_test_error_handling`, arguments: {} });
          assert.equal(result.isError, true);
        }
      });
    });
  }

  test(
    "a request of a legacy server reaches a legacy client, and its answer the server",
    PATIENCE,
    async () => {
      const client = await oldClient(scene, {
        capabilities: { elicitation: {}, sampling: {}, roots: { listChanged: true } },
        prepare(client) {
          client.setRequestHandler(ElicitRequestSchema, () => ({
            action: "accept",
            content: { name: "Ada", username: "Ada", email: "ada@example.com" },
          }));
          client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
            role: "assistant",
            model: "none",
            content: { type: "text", text: `sampled ${params.messages[0].content.text}` },
          }));
          client.setRequestHandler(ListRootsRequestSchema, () => ({
            roots: [{ uri: "file:///r", name: "R" }],
          }));
        },
      });
      const call = async (name, args = {}) => textOf(await client.callTool({ name, arguments: args }));
      assert.match(await call("everything_trigger-elicitation-request"), /Ada/);
      assert.match(
        await call("everything_trigger-sampling-request", { prompt: "p", maxTokens: 10 }),
        /sampled/,
      );
      assert.match(await call("dual_test_sampling", { prompt: "hello" }), /sampled hello/);
      assert.match(await call("dual_test_elicitation", { message: "Who?" }), /Ada/);
      assert.match(await call("everything_get-roots-list"), /file:\/\/\/r/);
      await client.close();
    },
  );

  test("two servers ask with the same id at the same time", PATIENCE, async () => {
    const client = await oldClient(scene, {
      capabilities: { elicitation: {} },
      prepare: (client) =>
        client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
          await new Promise((resolve) => setTimeout(resolve, 200));
          return {
            action: "accept",
            content: { name: params.message, username: params.message, email: "ada@example.com" },
          };
        }),
    });
    const [one, other] = await Promise.all([
      client.callTool({ name: "everything_trigger-elicitation-request", arguments: {} }),
      client.callTool({ name: "dual_test_elicitation", arguments: { message: "Only for dual" } }),
    ]);
    assert.match(textOf(other), /Only for dual/);
    assert.doesNotMatch(textOf(one), /Only for dual/);
    await client.close();
  });

  test("what a modern server asks a modern client", PATIENCE, async () => {
    const client = await modernClient(scene, {
      capabilities: { elicitation: { form: {} } },
      prepare: (client) =>
        client.setRequestHandler("elicitation/create", () => ({
          action: "accept",
          content: { name: "Ada", ok: true },
        })),
    });
    for (const name of ["dual", "modern"]) {
      const result = await client.callTool({
        name: `${name}_test_input_required_result_elicitation`,
        arguments: {},
      });
      assert.equal(textOf(result), "Hello, Ada!");
    }
    await client.close();
  });

  test("what cannot be bridged is answered clearly", PATIENCE, async () => {
    const modern = await modernClient(scene, {
      capabilities: { elicitation: { form: {} } },
      prepare: (client) => client.setRequestHandler("elicitation/create", () => ({ action: "accept" })),
    });
    const names = (await modern.listTools()).tools.map(({ name }) => name);
    assert.ok(
      !names.includes("everything_trigger-elicitation-request"),
      "the server knows that it cannot ask",
    );
    await modern.close();
    const legacy = await legacyClient(scene, {
      capabilities: { elicitation: { form: {} } },
      prepare: (client) => client.setRequestHandler("elicitation/create", () => ({ action: "accept" })),
    });
    const call = { name: "modern_test_input_required_result_elicitation", arguments: {} };
    const outcome = await legacy.callTool(call).catch((error) => ({ error }));
    assert.ok(outcome.error ?? outcome.isError, JSON.stringify(outcome));
    await legacy.close();
  });

  test(
    "the level of log messages reaches legacy servers, and their messages the client",
    PATIENCE,
    async () => {
      const seen = [];
      const client = await oldClient(scene, {
        prepare: (client) =>
          client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => seen.push(params)),
      });
      await client.setLoggingLevel("debug");
      await client.callTool({ name: "dual_test_tool_with_logging", arguments: {} });
      assert.ok(seen.length > 0);
      await client.close();
    },
  );

  test("notifications of legacy servers arrive on one stream", PATIENCE, async () => {
    const seen = [];
    const client = await oldClient(scene, {
      prepare(client) {
        client.setNotificationHandler(ToolListChangedNotificationSchema, () => seen.push("tools"));
        client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
          seen.push(params.uri),
        );
      },
    });
    const uri = "dual+test://watched-resource";
    await client.subscribeResource({ uri });
    await eventually(async () => {
      await client.callTool({ name: "dual_test_trigger_resource_update", arguments: {} });
      await client.callTool({ name: "dual_test_trigger_tool_change", arguments: {} });
      return seen.includes(uri) && seen.includes("tools");
    }, "both notifications");
    await client.unsubscribeResource({ uri });
    await client.close();
  });

  test("notifications of modern servers arrive on one stream", PATIENCE, async () => {
    const seen = [];
    const client = await modernClient(scene, {
      prepare(client) {
        client.setNotificationHandler("notifications/tools/list_changed", () => seen.push("tools"));
        client.setNotificationHandler("notifications/resources/updated", ({ params }) =>
          seen.push(params.uri),
        );
      },
    });
    const uris = ["dual+test://watched-resource", "modern+test://watched-resource"];
    const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: uris });
    await eventually(async () => {
      for (const name of ["dual", "modern"])
        for (const what of ["resource_update", "tool_change"])
          await client.callTool({ name: `${name}_test_trigger_${what}`, arguments: {} });
      return seen.includes(uris[0]) && seen.includes(uris[1]) && seen.includes("tools");
    }, "all notifications");
    await subscription.close();
    await client.close();
  });

  for (const [clientName, { connect }] of Object.entries(CLIENTS)) {
    test(`a server that forgets its sessions: ${clientName} does not notice`, PATIENCE, async () => {
      const client = await connect(scene, { claims: { sub: `forgotten by ${clientName}` } });
      const { server, tool } = scene.servers.named.files;
      const call = () => client.callTool({ name: `files_${tool.name}`, arguments: tool.arguments });
      assert.match(textOf(await call()), tool.expected);
      await server.forget();
      assert.match(textOf(await call()), tool.expected);
      assert.match(textOf(await call()), tool.expected);
      assert.equal(server.sessions(), 1, "one new session is enough");
      await client.close();
    });
  }

  test("the end of a session ends those at the servers", PATIENCE, async () => {
    const { server, recorder } = scene.servers.named.memory;
    const before = server.sessions();
    const client = await oldClient(scene, { claims: { sub: "leaver" } });
    assert.equal(server.sessions(), before + 1);
    recorder.requests.length = 0;
    await client.end();
    assert.ok(recorder.requests.some(({ method }) => method === "DELETE"));
    assert.equal(server.sessions(), before);
    await client.close();
  });

  test("a cancelled call is cancelled at its server", PATIENCE, async () => {
    for (const connect of [legacyClient, oldClient]) {
      const client = await connect(scene);
      const { recorder } = scene.servers.named.everything;
      recorder.requests.length = 0;
      const cancel = new AbortController();
      const params = {
        name: "everything_trigger-long-running-operation",
        arguments: { duration: 20, steps: 5 },
      };
      const options = { signal: cancel.signal };
      const call =
        connect === oldClient
          ? client.callTool(params, undefined, options)
          : client.callTool(params, options);
      setTimeout(() => cancel.abort(), 300);
      await assert.rejects(call);
      const isCancelled = () =>
        recorder.requests.some(({ rpcMethod }) => rpcMethod === "notifications/cancelled");
      await eventually(isCancelled, "the cancellation");
      await client.close();
    }
  });

  test("no server gets a token, and the log has none", () => {
    const seen = JSON.stringify(scene.servers.all.map(({ recorder }) => recorder.requests));
    for (const token of scene.tokens) assert.ok(!seen.includes(token));
    assert.deepEqual(scene.tokensInLog(), []);
  });
});
