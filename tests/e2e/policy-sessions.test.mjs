/** Sessions of the old era belong to whoever began them: on real origin servers, and with real clients. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { startEverything } from "./support/everything.mjs";
import { configFor, startGateway } from "./support/gateway.mjs";
import { eventually, send } from "./support/http.mjs";
import { startOldSse } from "./support/old-sse.mjs";
import { call, legacy, shape } from "./support/policy.mjs";
import { freePort, startProcess, within } from "./support/processes.mjs";
import { noPython, python, startPythonOrigin } from "./support/python.mjs";
import { assertRefused } from "./support/refusal.mjs";
import { LEGACY, startScene, withReal } from "./support/scene.mjs";
import { seal, unseal } from "./support/seal.mjs";
import { remember } from "./support/secrets.mjs";

const PATIENCE = { timeout: 120_000 };
const [OLD, NEW] = ["the-old-secret", "the-new-secret"].map((name) => name.padEnd(40, "."));
const ACCEPT = { Accept: "application/json, text/event-stream" };
const SECRETS = { secrets: { OLD, NEW } };
const sealed = (resource = {}) => ({
  ...SECRETS,
  resource,
  changes: () => ({ sessions: { secrets: ["OLD"] } }),
});

const BEGIN = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "portcullis-e2e", version: "1.0.0" },
};

/** Begins a session: its id. */
async function begin(scene, token) {
  const { fields: _, ...request } = legacy("initialize", BEGIN);
  const answer = await scene.post({ token, fields: ACCEPT, ...request });
  assert.equal(answer.status, 200, answer.body);
  const id = answer.fields["mcp-session-id"];
  const said = { token, fields: { ...LEGACY, ...ACCEPT, "Mcp-Session-Id": id } };
  const body = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
  assert.equal((await scene.post({ ...said, body })).status, 202);
  return remember(id);
}
const inSession = (id, request) => ({
  ...request,
  fields: { ...request.fields, ...ACCEPT, "Mcp-Session-Id": id },
});

for (const [name, start, tool, skip = false] of [
  ["server-everything", startEverything, { name: "get-sum", arguments: { a: 19, b: 23 } }],
  ["a Python origin", startPythonOrigin, { name: "add", arguments: { a: 19, b: 23 } }, noPython],
]) {
  test(`on ${name} nobody else has a part in a session, and its owner goes on`, { ...PATIENCE, skip }, () =>
    withReal(start, sealed(), async (scene, recorder) => {
      const id = await begin(scene, await scene.token());
      const raw = recorder.requests.at(-1).headers["mcp-session-id"];
      assert.ok(raw && !id.includes(raw), "the origin server's own id stays behind the gate");
      const use = (token, session, method = "POST") => {
        const request = inSession(
          session,
          method === "POST" ? legacy("tools/call", tool) : { fields: LEGACY },
        );
        return scene.post({ token, method, ...(method === "POST" ? {} : { body: undefined }), ...request });
      };
      const mine = await use(await scene.token(), id);
      assert.equal(mine.status, 200);
      assert.match(mine.body, /42/);

      const arrived = recorder.requests.length;
      const eve = await scene.token({ claims: { sub: "eve" } });
      const nobody = shape(await use(eve, "A".repeat(id.length)));
      for (const method of ["POST", "GET", "DELETE"]) {
        const stolen = await use(eve, id, method);
        const answered = { status: 404, reason: "session_unknown", id: method === "POST" ? 7 : null };
        await assertRefused(scene.gateway, stolen, answered);
      }
      assert.deepEqual(shape(await use(eve, id)), nobody, "another's session is none");
      assert.equal((await use(eve, raw)).status, 404, "nor is the origin server's own id one");
      const other = await scene.token({ claims: { client_id: "other-client" } });
      assert.equal((await use(other, id)).status, 404, "another client of the same user");
      assert.equal(recorder.requests.length, arrived, "nothing of that reached the origin server");

      const refreshed = await scene.token({ claims: { jti: "refreshed", scope: "mcp:tools files:read" } });
      assert.match((await use(refreshed, id)).body, /42/);
      const ended = await use(refreshed, id, "DELETE");
      assert.ok([200, 204].includes(ended.status), `${ended.status}`);
      assert.equal(recorder.requests.at(-1).headers["mcp-session-id"], raw);
      assert.ok([400, 404].includes((await use(refreshed, id)).status), "the origin server's own words");
    }),
  );
}

test(
  "ids that are broken, old, of another resource or of a retired secret open nothing",
  PATIENCE,
  async () => {
    const changes = ({ idp, origin, url }) => ({
      sessions: { secrets: ["OLD"], seconds: 600 },
      resources: ["/mcp", "/other"].map((path) => ({
        ...configFor({ url, issuer: idp.issuer, origin: origin.url }).resources[0],
        path,
      })),
    });
    const scene = await startScene({ ...SECRETS, changes });
    try {
      const now = Math.floor(Date.now() / 1000);
      const holder = { issuer: scene.idp.issuer, resource: scene.resourceUrl };
      const good = seal(OLD, "raw", holder);
      const use = (id, target = "/mcp", token = undefined) =>
        scene.post({ target, token, ...inSession(id, call(legacy, "add")) });
      assert.equal((await use(good)).status, 200);
      assert.equal((await use(seal(OLD, "raw", holder, { since: now - 500 }))).status, 200);
      assert.equal(scene.origin.requests.at(-1).headers["mcp-session-id"], "raw");
      const arrived = scene.origin.requests.length;
      const flipped = `${good.slice(0, -1)}${good.endsWith("A") ? "Q" : "A"}`;
      for (const [what, id] of Object.entries({
        empty: "",
        raw: "raw",
        truncated: good.slice(0, -1),
        shorter: good.slice(0, 30),
        longer: `${good}AAAA`,
        changed: flipped,
        twice: `${good}, ${good}`,
        padded: `${good}=`,
        huge: "A".repeat(8_000),
        "older than sessions live": seal(OLD, "raw", holder, { since: now - 601 }),
        "of a secret that is not in use": seal(NEW, "raw", holder),
        "of another resource": seal(OLD, "raw", { ...holder, resource: `${scene.gateway.url}/other` }),
        "of another issuer": seal(OLD, "raw", { ...holder, issuer: "https://else.example" }),
        "of another user": seal(OLD, "raw", { ...holder, subject: "eve" }),
        "of parts that were moved": seal(OLD, "raw", { ...holder, subject: "adat", client: "est-client" }),
        "sealed as an endpoint": seal(OLD, "raw", holder, { purpose: "e" }),
      })) {
        assert.equal((await use(id)).status, 404, what);
      }
      const elsewhere = await scene.token({ audience: `${scene.gateway.url}/other` });
      assert.equal((await use(good, "/other", elsewhere)).status, 404);
      assert.equal(scene.origin.requests.length, arrived);
    } finally {
      await scene.close();
    }
  },
);

test("secrets rotate without ending sessions, as long as the old one is known", PATIENCE, async () => {
  const scene = await startScene(sealed());
  const port = await freePort();
  const under = async (secrets, work) => {
    const config = (url) =>
      configFor({ url, issuer: scene.idp.issuer, origin: scene.origin.url, sessions: { secrets } });
    const gateway = await startGateway({ config, port, ...SECRETS });
    try {
      return await work(gateway, await scene.token({ audience: `${gateway.url}/mcp` }));
    } finally {
      await gateway.close();
    }
  };
  const use = (id) => async (gateway, token) => {
    const { fields, body } = inSession(id, call(legacy, "add"));
    return (await send(gateway, { method: "POST", fields: await scene.fields(fields, token), body })).status;
  };
  try {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "mcp-session-id": "raw" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 7, result: {} }));
    };
    const start = async (gateway, token) => {
      const { body } = legacy("initialize", BEGIN);
      const answer = await send(gateway, { method: "POST", fields: await scene.fields({}, token), body });
      return remember(answer.fields["mcp-session-id"]);
    };
    const first = await under(["OLD"], start);
    assert.equal(await under(["NEW", "OLD"], use(first)), 200);
    const second = await under(["NEW", "OLD"], start);
    assert.equal(await under(["NEW"], use(first)), 404);
    assert.equal(await under(["NEW"], use(second)), 200);
    assert.equal(await under(["OLD"], use(second)), 404);
  } finally {
    await scene.close();
  }
});

test("an origin server that repeats its id does not make a session live for ever", {
  ...PATIENCE,
}, async () => {
  const scene = await startScene(sealed());
  try {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "mcp-session-id": "raw" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 7, result: {} }));
    };
    const holder = { issuer: scene.idp.issuer, resource: scene.resourceUrl };
    const since = Math.floor(Date.now() / 1000) - 80_000;
    const answer = await scene.post(inSession(seal(OLD, "raw", holder, { since }), call(legacy, "add")));
    const again = answer.fields["mcp-session-id"];
    if (again !== undefined) assert.deepEqual(unseal(OLD, again, holder), { value: "raw", since });
  } finally {
    await scene.close();
  }
});

/** Calls a tool that is refused, and then one that is not, over HTTP+SSE. */
const PYTHON_CLIENT = `
import asyncio, sys
from mcp.client.session import ClientSession
from mcp.client.sse import sse_client

async def main(url, token):
    async with sse_client(url, headers={"Authorization": "Bearer " + token}) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            try:
                await asyncio.wait_for(session.call_tool("write", {}), 10)
            except Exception as error:
                print("write: " + type(error).__name__, flush=True)
            result = await asyncio.wait_for(session.call_tool("read", {}), 10)
            print("read: " + result.content[0].text, flush=True)

asyncio.run(main(*sys.argv[1:]))
`;

describe("the transport of 2024-11-05", PATIENCE, () => {
  const rules = [
    { effect: "deny", tools: ["drop"] },
    { effect: "step_up", scopes: ["files:write"], tools: ["write"] },
    { effect: "allow", tools: ["read"] },
  ];
  const withOldSse = (work) => async () => {
    const old = await startOldSse({ tools: ["read", "drop", "write"] });
    const scene = await startScene({ ...sealed({ rules }), origin: old.url });
    const endpoints = [];
    const connect = async (token) => {
      const withToken = async (url, init) => {
        if (String(url).includes("portcullis-endpoint")) endpoints.push(new URL(url));
        const headers = new Headers(init?.headers);
        headers.set("Authorization", `Bearer ${token}`);
        return fetch(url, { ...init, headers });
      };
      const client = new Client({ name: "portcullis-e2e", version: "1.0.0" });
      const url = new URL(scene.resourceUrl);
      await client.connect(
        new SSEClientTransport(url, { fetch: withToken, eventSourceInit: { fetch: withToken } }),
      );
      return client;
    };
    const clients = [];
    try {
      await work({
        scene,
        old,
        endpoints,
        connect: async (token) => clients.at(clients.push(await connect(token)) - 1),
      });
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await scene.close();
      await old.close();
    }
  };

  test(
    "a real client lists and calls; its endpoint is the gateway's, and its own",
    withOldSse(async ({ scene, old, endpoints, connect }) => {
      const client = await connect(await scene.token());
      assert.deepEqual(
        (await client.listTools()).tools.map(({ name }) => name),
        ["read"],
      );
      assert.equal((await client.callTool({ name: "read" })).content[0].text, "read");
      const [{ origin, pathname, search }] = endpoints;
      assert.equal(`${origin}${pathname}`, scene.resourceUrl);
      assert.ok(!search.includes("sessionId") && /^\/messages\?sessionId=/.test(old.messages[0]));

      const arrived = old.messages.length;
      const target = `${pathname}${search}`;
      const eve = await scene.token({ claims: { sub: "eve" } });
      const request = call(legacy, "read");
      assert.equal((await scene.post({ token: eve, target, ...request })).status, 404);
      assert.equal((await scene.post({ target: `${target}A`, ...request })).status, 404);
      assert.equal((await scene.post({ target, ...inSession("x", request) })).status, 404);
      assert.equal(old.messages.length, arrived);
      const refreshed = await scene.token({ claims: { jti: "refreshed" } });
      assert.equal((await scene.post({ token: refreshed, target, ...request })).status, 202);
    }),
  );

  test(
    "a refused call ends, though its answer cannot come over the stream",
    withOldSse(async ({ scene, connect }) => {
      const client = await connect(await scene.token());
      const refused = client.callTool({ name: "drop" }, undefined, { timeout: 3_000 });
      await assert.rejects(refused, (error) => !/timed out/i.test(error.message));
    }),
  );

  test(
    "a step-up ends the call and not the connection, whatever the client is of",
    withOldSse(async ({ scene, connect }) => {
      const client = await connect(await scene.token());
      const refused = client.callTool({ name: "write" }, undefined, { timeout: 3_000 });
      await assert.rejects(refused, (error) => !/timed out/i.test(error.message));
      assert.equal((await client.callTool({ name: "read" })).content[0].text, "read");
      const line = scene.gateway.events().find(({ reason }) => reason === "insufficient_scope");
      assert.deepEqual([line.decision, line.status], ["deny", 202]);
    }),
  );

  test(
    "a step-up ends the call and not the connection of a client of Python",
    { skip: noPython },
    withOldSse(async ({ scene }) => {
      const program = startProcess(await python(), [
        "-c",
        PYTHON_CLIENT,
        scene.resourceUrl,
        await scene.token(),
      ]);
      try {
        const { code } = await within(60_000, "the client", program.exited, program.tail);
        assert.equal(code, 0, program.tail());
        assert.match(program.tail(), /write: MCPError\nread: read/);
      } finally {
        await program.stop();
      }
    }),
  );

  test("an endpoint elsewhere ends the stream before it is shown", async () => {
    const scene = await startScene(sealed());
    try {
      for (const elsewhere of ["http://evil.example/m", "//evil.example/m", "/a/../m", "javascript:x"]) {
        scene.origin.answer = (_request, response) => {
          response.writeHead(200, { "content-type": "text/event-stream" });
          response.end(`event: endpoint\ndata: ${elsewhere}\n\n`);
        };
        const fields = { Authorization: `Bearer ${await scene.token()}` };
        const said = await send(scene.gateway, { method: "GET", fields });
        assert.equal(said.body, "", elsewhere);
        const broken = () => scene.gateway.events().filter(({ reason }) => reason === "list_malformed");
        await eventually("the log says so", () => broken().length > 0);
        assert.match(broken().at(-1).detail, /an endpoint event that leads to another server/);
      }
    } finally {
      await scene.close();
    }
  });
});
