/** Several servers behind one resource: real origin servers and real clients of the modern era. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";
import { startOrigin } from "../../examples/origin/server.mjs";
import { modern } from "./support/policy.mjs";
import { startRecorder } from "./support/recorder.mjs";
import { startScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 120_000 };
const SECRETS = { SEAL: "a secret that seals".padEnd(40, "."), KEY: "the key of the second server" };

/** Three real servers; the second wants a key, and the last of the configuration is `broken`. */
async function withServers(options, work) {
  const origins = [await startOrigin(), await startOrigin({ extensions: true }), await startOrigin()];
  const recorders = [];
  for (const origin of origins) recorders.push(await startRecorder(origin.url));
  const broken = createServer((_req, res) => {
    if (options.hangs) return;
    res.writeHead(200, { "content-type": "application/json" });
    res.end('{"jsonrpc":');
  });
  await new Promise((resolve) => broken.listen(0, "127.0.0.1", resolve));
  const servers = recorders.map(({ url }, at) => ({ name: ["one", "two", "three"][at], origin: url }));
  servers[1].credential = { static: [{ field: "X-Key", secrets: ["KEY"] }] };
  servers[1].aliases = { greet: "say_hello" };
  servers[2].hidden = ["countdown"];
  if (options.broken)
    servers.push({ name: "broken", origin: `http://127.0.0.1:${broken.address().port}/mcp` });
  const scene = await startScene({
    secrets: SECRETS,
    // On a busy machine a server may need longer than the default; one that hangs takes all of it.
    resource: { servers, list_timeout_seconds: options.hangs ? 5 : 30, ...options.resource },
    changes: () => ({ sessions: { secrets: ["SEAL"] }, decision_log: {} }),
  });
  try {
    await work(scene, recorders);
  } finally {
    await scene.close();
    broken.closeAllConnections();
    await Promise.all([...recorders, ...origins].map((part) => part.close()));
    broken.close();
  }
}

async function connect(scene, claims = {}) {
  const requestInit = { headers: { Authorization: `Bearer ${await scene.token({ claims })}` } };
  const client = new Client(
    { name: "portcullis-e2e", version: "1.0.0" },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } },
  );
  client.setRequestHandler("elicitation/create", () => ({
    action: "accept",
    content: { name: "Ada", ok: true },
  }));
  await client.connect(new StreamableHTTPClientTransport(new URL(scene.resourceUrl), { requestInit }));
  return client;
}

/** A message of the modern era with all that the servers ask for. */
function asked(method, params = {}) {
  const message = modern(method, params);
  const body = JSON.parse(message.body);
  body.params._meta["io.modelcontextprotocol/clientCapabilities"] = {};
  return { ...message, body: JSON.stringify(body) };
}

const textOf = ({ content }) => content[0].text;

describe("several servers behind one resource", PATIENCE, () => {
  test("a client uses the tools, prompts and resources of all of them", () =>
    withServers({}, async (scene, recorders) => {
      const client = await connect(scene);
      const { tools } = await client.listTools();
      const names = tools.map(({ name }) => name);
      for (const name of ["one_add", "two_add", "three_add", "say_hello", "two_slow_compute"]) {
        assert.ok(names.includes(name), name);
      }
      for (const name of ["two_greet", "three_countdown", "add"]) assert.ok(!names.includes(name), name);
      assert.equal(new Set(names).size, names.length);
      assert.equal(textOf(await client.callTool({ name: "one_add", arguments: { a: 1, b: 2 } })), "3");
      assert.equal(
        textOf(await client.callTool({ name: "say_hello", arguments: { name: "Ada" } })),
        "Hello, Ada!",
      );
      const who = await client.callTool({ name: "three_whoami", arguments: {} });
      assert.equal(who.structuredContent.subject, "ada");
      await assert.rejects(
        client.callTool({ name: "three_countdown", arguments: { n: 1, ms: 1 } }),
        /Tool countdown not found/,
      );
      await assert.rejects(
        client.callTool({ name: "three_nothing", arguments: {} }),
        /Tool nothing not found/,
      );
      const asked = await client.callTool({
        name: "one_test_input_required_result_elicitation",
        arguments: {},
      });
      assert.equal(textOf(asked), "Hello, Ada!");
      const again = await client.callTool({
        name: "two_test_input_required_result_request_state",
        arguments: {},
      });
      assert.match(textOf(again), /^state-ok/);

      const { prompts } = await client.listPrompts();
      const prompt = prompts.find(({ name }) => name === "two_test_simple_prompt");
      assert.ok((await client.getPrompt({ name: prompt.name })).messages.length > 0);
      const { resources } = await client.listResources();
      const uri = resources.find((it) => it.uri === "three+test://static-text")?.uri;
      assert.ok(uri, JSON.stringify(resources.map((it) => it.uri)));
      assert.equal((await client.readResource({ uri })).contents[0].uri, uri);
      const { resourceTemplates } = await client.listResourceTemplates();
      assert.ok(resourceTemplates.every(({ uriTemplate }) => /^(one|two|three)\+/.test(uriTemplate)));
      const view = getToolUiResourceUri(tools.find(({ name }) => name === "two_chart"));
      assert.equal(view, "ui://two/chart/view.html");
      assert.match((await client.readResource({ uri: view })).contents[0].text, /A chart/);
      assert.match(client.getInstructions(), /^one: An example server/);
      await client.close();

      // Each server sees its own key and nothing of another one.
      const keys = recorders.map(({ requests }) => new Set(requests.map(({ headers }) => headers["x-key"])));
      assert.deepEqual(
        keys.map((set) => [...set]),
        [[undefined], [SECRETS.KEY], [undefined]],
      );
      assert.deepEqual(scene.tokensInLog(), []);
    }));

  test("rules see the names of clients, and the record has the server and its own name", () =>
    withServers(
      {
        resource: {
          rules: [
            { id: "adders", effect: "allow", tools: ["*_add"], when: { roles: ["worker"] } },
            { id: "hello", effect: "allow", tools: ["say_hello"] },
          ],
        },
      },
      async (scene) => {
        const worker = await connect(scene, { roles: ["worker"] });
        const names = async (client) => (await client.listTools()).tools.map(({ name }) => name).sort();
        assert.deepEqual(await names(worker), ["one_add", "say_hello", "three_add", "two_add"]);
        const guest = await connect(scene);
        assert.deepEqual(await names(guest), ["say_hello"]);
        await guest.callTool({ name: "say_hello", arguments: { name: "x" } });
        await assert.rejects(guest.callTool({ name: "one_add", arguments: { a: 1, b: 2 } }), /Unknown tool/);
        const decisions = scene.gateway.logs
          .filter((line) => line.includes('"event":"decision"'))
          .map((line) => JSON.parse(line));
        const calls = decisions.filter(({ mcp_method }) => mcp_method === "tools/call");
        assert.deepEqual(
          calls.map(({ name, server, original, verdict }) => [name, server, original, verdict]),
          [
            ["say_hello", "two", "greet", "allow"],
            ["one_add", "one", "add", "deny"],
          ],
        );
        await Promise.all([worker.close(), guest.close()]);
      },
    ));

  for (const hangs of [false, true]) {
    test(`a server that ${hangs ? "hangs" : "answers garbage"} is left out, and takes no other with it`, () =>
      withServers({ broken: true, hangs }, async (scene) => {
        const token = await scene.token();
        const listed = await scene.post({ token, ...asked("tools/list") });
        const { result } = listed.json();
        assert.deepEqual(result._meta["portcullis/left-out"], ["broken"]);
        assert.ok(result.tools.length > 20);
        assert.equal(result.ttlMs, 0);
        assert.ok(
          scene.gateway.logs.some((line) => line.includes("server_left_out") && line.includes("broken")),
        );
        const call = await scene.post({
          token,
          ...asked("tools/call", { name: "one_add", arguments: { a: 2, b: 2 } }),
        });
        assert.equal(textOf(call.json().result), "4");
      }));
  }

  test("strict: a list without one of the servers is refused", () =>
    withServers({ broken: true, resource: { strict_servers: true } }, async (scene) => {
      const answer = await scene.post(asked("tools/list"));
      assert.equal(answer.status, 502);
    }));
});
