/** Tasks, `requestState` and Apps belong to the caller who began them: on real origin servers of both eras, and with real clients. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { startOrigin } from "../../examples/origin/server.mjs";
import { mirror, modern, outcome, PASSED } from "./support/policy.mjs";
import { freePort, ROOT, startProcess, within } from "./support/processes.mjs";
import { withReal } from "./support/scene.mjs";
import { remember } from "./support/secrets.mjs";

const PATIENCE = { timeout: 120_000 };
const EXTENSION = "io.modelcontextprotocol/tasks";
const SDK = join(ROOT, "node_modules/@modelcontextprotocol/sdk/dist/esm/examples/server");
const FRAMING = {
  protocolVersion: "2026-07-28",
  clientInfo: { name: "portcullis-e2e", version: "1.0.0" },
  clientCapabilities: { elicitation: { form: {} }, extensions: { [EXTENSION]: {} } },
};
const UNKNOWN_TASK = "200 -32602 Unknown task.";

/** A real origin server behind a gateway that seals. */
const withOrigin = (options, work, start = () => startOrigin({ extensions: true })) =>
  withReal(
    start,
    {
      secrets: { SEAL: "a secret that seals".padEnd(40, ".") },
      changes: () => ({ sessions: { secrets: ["SEAL"] } }),
      ...options,
    },
    work,
  );

/** A message of the modern era of a client that knows tasks. */
function declared(method, params, more = {}) {
  const message = modern(method, params, {
    "Mcp-Name": mirror(params.name ?? params.taskId ?? params.uri),
    ...more,
  });
  const body = JSON.parse(message.body);
  body.params._meta["io.modelcontextprotocol/clientCapabilities"] = FRAMING.clientCapabilities;
  return { ...message, body: JSON.stringify(body) };
}

/** The package for tasks, with a client of a user. */
async function tasksOf(scene, token, onInputRequest) {
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const client = new Client(FRAMING.clientInfo, {
    capabilities: FRAMING.clientCapabilities,
    versionNegotiation: { mode: { pin: "2026-07-28" } },
  });
  await client.connect(new StreamableHTTPClientTransport(new URL(scene.resourceUrl), { requestInit }));
  const rawDispatch = async ({ method, params }) => {
    const name = params.name ?? params.taskId;
    const response = await fetch(scene.resourceUrl, {
      method: "POST",
      headers: {
        ...requestInit.headers,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        "Mcp-Name": mirror(name),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: crypto.randomUUID(), method, params }),
    });
    return response.json();
  };
  const session = createTaskSessionFromClient(client, {
    endpointId: "gate",
    rawDispatch,
    v2RequestFraming: FRAMING,
    onInputRequest,
  });
  return { session, close: () => session.close().then(() => client.close()) };
}

describe("tasks of the modern era, through the gateway", PATIENCE, () => {
  test("the package for tasks calls tools, and answers what a task asks for", () =>
    withOrigin({}, async (scene, recorder) => {
      const asked = [];
      const { session, close } = await tasksOf(scene, await scene.token(), async ({ params }) => {
        asked.push(params.message);
        return { action: "accept", content: { confirm: true } };
      });
      try {
        const settle = async (name, args) => {
          const execution = await session.callTool(name, args);
          const { outcome } = await execution.settle();
          return resultFromTaskOutcome(outcome).content[0].text;
        };
        assert.equal(await settle("slow_compute", { seconds: 0.3, label: "a" }), "computed a");
        assert.equal(await settle("confirm_delete", { filename: "f" }), "deleted f");
        assert.deepEqual(asked, ["Delete f?"]);
        const fields = recorder.requests.filter(({ headers }) => headers["mcp-method"]?.startsWith("tasks/"));
        assert.ok(fields.length > 2);
        for (const { headers } of fields) assert.match(headers["mcp-name"], /^[0-9a-f-]{36}$/);
      } finally {
        await close();
      }
    }));

  test("no other user, client or guess reaches a task", () =>
    withOrigin({}, async (scene) => {
      const token = await scene.token();
      const created = await scene.post({
        token,
        ...declared("tools/call", { name: "slow_compute", arguments: { seconds: 60 } }),
      });
      const taskId = remember(created.json().result.taskId);
      const of = async (request, changes = {}) =>
        outcome(await scene.post({ token: await scene.token({ claims: changes }), ...request }));
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const params = { taskId, ...(method === "tasks/update" && { inputResponses: {} }) };
        assert.equal(await of(declared(method, params), { sub: "eve" }), UNKNOWN_TASK);
        assert.equal(await of(declared(method, params), { client_id: "another" }), UNKNOWN_TASK);
        assert.equal(await of(declared(method, { ...params, taskId: `${taskId}A` })), UNKNOWN_TASK);
      }
      assert.equal(
        await of(modern("tasks/get", { taskId: "x" }, { "Mcp-Name": "x" })).then((text) => text.slice(0, 10)),
        "400 -32021",
      );
      assert.equal(
        await of(declared("tasks/get", { taskId }, { "Mcp-Name": "another" })).then((text) =>
          text.slice(0, 10),
        ),
        "400 -32020",
      );
      assert.equal(await of(declared("tasks/get", { taskId })), PASSED);
      assert.equal(await of(declared("tasks/cancel", { taskId })), PASSED);
      const last = await scene.post({ token, ...declared("tasks/get", { taskId }) });
      assert.deepEqual([last.json().result.status, last.json().result.taskId], ["cancelled", taskId]);
      assert.equal(scene.gateway.logs.filter((line) => line.includes(taskId)).length, 0);
    }));

  test("a subscription to tasks tells of them by the ids of the caller", () =>
    withOrigin({}, async (scene) => {
      const token = await scene.token();
      const created = await scene.post({
        token,
        ...declared("tools/call", { name: "confirm_delete", arguments: { filename: "f" } }),
      });
      const taskId = remember(created.json().result.taskId);
      const listen = (ids, as) =>
        fetch(scene.resourceUrl, {
          method: "POST",
          ...(({ fields, body }) => ({
            headers: {
              ...fields,
              Authorization: `Bearer ${as}`,
              "Content-Type": "application/json",
              Accept: "application/json, text/event-stream",
            },
            body,
          }))(declared("subscriptions/listen", { notifications: { taskIds: ids } })),
        });
      const stream = await listen([taskId], token);
      const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
      let read = "";
      const until = (text) =>
        within(
          10_000,
          text,
          (async () => {
            while (!read.includes(text)) read += (await reader.read()).value ?? "";
          })(),
        );
      await until("acknowledged");
      await scene.post({
        token,
        ...declared("tasks/update", {
          taskId,
          inputResponses: { confirm: { action: "accept", content: { confirm: true } } },
        }),
      });
      await until('"completed"');
      await reader.cancel();
      const events = read
        .split("\n\n")
        .filter((event) => event.startsWith("data: "))
        .map((event) => JSON.parse(event.slice(6)));
      assert.deepEqual(events[0].params.notifications, { taskIds: [taskId] });
      for (const { params } of events.slice(1)) assert.equal(params.taskId, taskId);
      assert.equal(
        (await (await listen([taskId], await scene.token({ claims: { sub: "eve" } }))).json()).error.code,
        -32602,
      );
    }));

  test("tasks follow the rules of their tool, and the record of decisions names it", () =>
    withOrigin(
      {
        resource: {
          rules: [{ id: "slow", effect: "allow", tools: ["slow_compute"], when: { roles: ["worker"] } }],
        },
        changes: () => ({ sessions: { secrets: ["SEAL"] }, decision_log: {} }),
      },
      async (scene) => {
        const as = async (roles, request) =>
          scene.post({ token: await scene.token({ claims: { roles } }), ...request });
        const created = await as(
          ["worker"],
          declared("tools/call", { name: "slow_compute", arguments: { seconds: 0 } }),
        );
        const taskId = remember(created.json().result.taskId);
        assert.equal(outcome(await as(["worker"], declared("tasks/get", { taskId }))), PASSED);
        // The same user without the role: the policy of today decides.
        assert.equal(outcome(await as([], declared("tasks/get", { taskId }))), UNKNOWN_TASK);
        const decisions = scene.gateway.logs.filter(
          (line) => line.includes('"event":"decision"') && line.includes("tasks/get"),
        );
        assert.deepEqual(
          decisions.map((line) => JSON.parse(line)).map(({ tool, verdict, rule }) => [tool, verdict, rule]),
          [
            ["slow_compute", "allow", "slow"],
            ["slow_compute", "deny", "(default)"],
          ],
        );
      },
    ));

  test("a requestState is good for its caller and its call alone", () =>
    withOrigin({}, async (scene) => {
      const token = await scene.token();
      const params = { name: "test_tool_with_task", arguments: {} };
      const { result } = (await scene.post({ token, ...declared("tools/call", params) })).json();
      assert.equal(result.resultType, "input_required");
      const requestState = remember(result.requestState);
      const inputResponses = { user_name: { action: "accept", content: { name: "Ada" } } };
      const again = (changes, as = token) =>
        scene
          .post({
            token: as,
            ...declared("tools/call", { ...params, inputResponses, requestState, ...changes }),
          })
          .then(outcome);
      assert.match(
        await again({}, await scene.token({ claims: { sub: "eve" } })),
        /^200 -32602 Unknown or expired requestState/,
      );
      assert.match(await again({ arguments: { x: 1 } }), /^200 -32602/);
      assert.match(await again({ name: "slow_compute" }), /^200 -32602/);
      assert.match(await again({ requestState: "state of test_tool_with_task" }), /^200 -32602/);
      assert.equal(await again({}), PASSED);
    }));
});

describe("tasks of MCP 2025-11-25, through the gateway", PATIENCE, () => {
  const start = async () => {
    const port = await freePort();
    const server = startProcess("node", [join(SDK, "simpleTaskInteractive.js")], {
      env: { PORT: String(port) },
    });
    await server.until("the server of the SDK", ({ stdout }) => stdout.includes("Starting server"));
    return { url: `http://127.0.0.1:${port}/mcp`, close: server.stop };
  };

  async function connect(scene, token) {
    const client = new OldClient(FRAMING.clientInfo, {
      capabilities: { elicitation: { form: {} }, sampling: {} },
    });
    const asked = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params);
      return { action: "accept", content: { confirm: true } };
    });
    const requestInit = { headers: { Authorization: `Bearer ${token}` } };
    await client.connect(new OldTransport(new URL(scene.resourceUrl), { requestInit }));
    return { client, asked };
  }

  test("the SDK 1.x calls a tool as a task that asks its user, and no other caller reaches the task", () =>
    withOrigin(
      {},
      async (scene) => {
        const { client, asked } = await connect(scene, await scene.token());
        const stream = client.experimental.tasks.callToolStream(
          { name: "confirm_delete", arguments: { filename: "f.txt" } },
          CallToolResultSchema,
          { task: { ttl: 60_000 } },
        );
        const messages = [];
        for await (const message of stream) messages.push(message);
        const { taskId } = messages.find(({ type }) => type === "taskCreated").task;
        remember(taskId);
        assert.ok(taskId.length > 60, "sealed");
        assert.deepEqual(
          [...new Set(messages.filter(({ task }) => task).map(({ task }) => task.taskId))],
          [taskId],
        );
        assert.equal(asked[0]._meta["io.modelcontextprotocol/related-task"].taskId, taskId);
        assert.match(messages.at(-1).result.content[0].text, /Deleted 'f\.txt'/);
        assert.equal((await client.experimental.tasks.getTask(taskId)).status, "completed");
        await assert.rejects(client.experimental.tasks.listTasks(), /Method not found/);
        const { client: eve } = await connect(scene, await scene.token({ claims: { sub: "eve" } }));
        await assert.rejects(eve.experimental.tasks.getTask(taskId), /Unknown task/);
        await assert.rejects(eve.experimental.tasks.cancelTask(taskId), /Unknown task/);
        await assert.rejects(
          eve.experimental.tasks.getTaskResult(taskId, CallToolResultSchema),
          /Unknown task/,
        );
        await Promise.all([client.close(), eve.close()]);
      },
      start,
    ));
});

describe("Apps, through the gateway", PATIENCE, () => {
  test("callers who may use a tool read its user interface, by the URI that the package for Apps finds", () =>
    withOrigin(
      { resource: { rules: [{ effect: "allow", tools: ["chart"], when: { roles: ["analyst"] } }] } },
      async (scene) => {
        const connect = async (roles) => {
          const requestInit = {
            headers: { Authorization: `Bearer ${await scene.token({ claims: { roles } })}` },
          };
          const client = new Client(FRAMING.clientInfo, { versionNegotiation: { mode: "auto" } });
          await client.connect(
            new StreamableHTTPClientTransport(new URL(scene.resourceUrl), { requestInit }),
          );
          return client;
        };
        const analyst = await connect(["analyst"]);
        const { tools } = await analyst.listTools();
        assert.deepEqual(
          tools.map(({ name }) => name),
          ["chart"],
        );
        const uri = getToolUiResourceUri(tools[0]);
        assert.match(uri, /^ui:\/\/chart\/view\.html\?portcullis-tool=/);
        const { contents } = await analyst.readResource({ uri });
        assert.equal(contents[0].uri, uri);
        assert.match(contents[0].text, /A chart/);
        assert.deepEqual(contents[0]._meta.ui.csp.connectDomains, ["https://data.example"]);
        const other = await connect([]);
        assert.deepEqual((await other.listTools()).tools, []);
        await assert.rejects(other.readResource({ uri }), /Resource not found/);
        await assert.rejects(analyst.readResource({ uri: "ui://chart/view.html" }), /Resource not found/);
        await Promise.all([analyst.close(), other.close()]);
      },
    ));
});
