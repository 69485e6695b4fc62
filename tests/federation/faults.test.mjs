/** What callers send wrong, and what servers do wrong, in a federation of real servers. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { modern } from "../e2e/support/policy.mjs";
import { LEGACY } from "../e2e/support/scene.mjs";
import { remember } from "../e2e/support/secrets.mjs";
import {
  eventually,
  legacyClient,
  modernClient,
  oldClient,
  startFederation,
  textOf,
} from "./support/scene.mjs";

const PATIENCE = { timeout: 120_000 };

/** A server of either era that the test scripts: `answer(message, request)` gives a status, fields and a body, or nothing at all. */
async function startServer(answer) {
  const requests = [];
  const server = createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const message = text === "" ? undefined : JSON.parse(text);
    requests.push({ method: req.method, headers: req.headers, message });
    const given = await answer(message, req, res);
    if (given === undefined) return;
    const { status = 200, fields = {}, body = "" } = given;
    const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    res.writeHead(status, {
      "content-type": "application/json",
      "content-length": bytes.byteLength,
      ...fields,
    });
    res.end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, requests, close };
}

const result = (message, value) => ({ body: { jsonrpc: "2.0", id: message.id, result: value } });

/** A server of the legacy era with sessions; `call` answers everything else. */
function legacyServer(call, { sessions = new Set() } = {}) {
  return (message, req, res) => {
    if (message?.method === "server/discover")
      return {
        status: 400,
        body: { jsonrpc: "2.0", id: null, error: { code: -32000, message: "Unsupported protocol version" } },
      };
    if (message?.method === "initialize") {
      const id = randomUUID();
      sessions.add(id);
      const { protocolVersion } = message.params;
      const said = { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "l", version: "1" } };
      return { ...result(message, said), fields: { "mcp-session-id": id } };
    }
    if (!sessions.has(req.headers["mcp-session-id"]))
      return {
        status: 404,
        body: { jsonrpc: "2.0", id: null, error: { code: -32001, message: "Session not found" } },
      };
    if (message?.id === undefined && message?.method?.startsWith("notifications/")) return { status: 202 };
    return call(message, req, res);
  };
}

/** Runs `work` with a federation of a real server and of one that the test scripts. */
async function withServer(answer, work, options = {}) {
  const server = await startServer(answer);
  const scene = await startFederation({
    names: ["dual"],
    changes: (entries) => [...entries, { name: "odd", origin: server.url, ...options.server }],
    resource: options.resource,
  });
  try {
    await work(scene, server);
  } finally {
    await scene.close();
    await server.close();
  }
}

const tools = (names) => ({ tools: names.map((name) => ({ name, inputSchema: { type: "object" } })) });

/** A POST of the modern era. */
function asked(method, params = {}) {
  const message = modern(method, params);
  const body = JSON.parse(message.body);
  body.params._meta["io.modelcontextprotocol/clientCapabilities"] = {};
  return { ...message, body: JSON.stringify(body) };
}

/** A POST of the legacy era in a session. */
const inSession = (session, message) => ({
  fields: { ...LEGACY, "Mcp-Session-Id": session },
  body: JSON.stringify({ jsonrpc: "2.0", ...message }),
});

async function open(scene, token) {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
  const opened = await scene.post({
    token,
    ...inSession("", { id: 1, method: "initialize", params }),
    fields: LEGACY,
  });
  assert.equal(opened.status, 200, opened.body);
  return remember(opened.fields["mcp-session-id"]);
}

describe("what servers do wrong", PATIENCE, () => {
  test("a tool whose name holds the prefix of another server stays with its own", () =>
    withServer(
      legacyServer((message) =>
        message.method === "tools/list"
          ? result(message, tools(["dual_add", "add"]))
          : result(message, { content: [{ type: "text", text: `odd ${message.params.name}` }] }),
      ),
      async (scene) => {
        const client = await modernClient(scene);
        const names = (await client.listTools()).tools.map(({ name }) => name);
        assert.ok(names.includes("odd_dual_add") && names.includes("odd_add") && names.includes("dual_add"));
        assert.equal(textOf(await client.callTool({ name: "odd_dual_add", arguments: {} })), "odd dual_add");
        const own = await client.callTool({ name: "dual_add", arguments: { a: 1, b: 2 } });
        assert.equal(textOf(own), "3");
        await client.close();
      },
    ));

  test("an answer for an id that was not asked for reaches no client", () =>
    withServer(
      legacyServer(() => ({
        body: { jsonrpc: "2.0", id: 4711, result: { content: [{ type: "text", text: "for another" }] } },
      })),
      async (scene) => {
        const answer = await scene.post(asked("tools/call", { name: "odd_x", arguments: {} }));
        assert.equal(answer.status, 502);
        assert.ok(!answer.body.includes("for another"));
        const listed = await scene.post(asked("tools/list"));
        assert.deepEqual(listed.json().result._meta["portcullis/left-out"], ["odd"]);
      },
    ));

  test("a list of 16 MB is left out", () =>
    withServer(
      legacyServer((message) => result(message, tools([`big${"x".repeat(16 * 1024 * 1024)}`]))),
      async (scene) => {
        const listed = await scene.post(asked("tools/list"));
        assert.deepEqual(listed.json().result._meta["portcullis/left-out"], ["odd"]);
        assert.ok(listed.json().result.tools.length > 10);
      },
    ));

  test("a list that changes between its pages costs no page", () => {
    let pages = 0;
    return withServer(
      legacyServer((message) => {
        pages += 1;
        const next = message.params?.cursor === undefined ? { nextCursor: "second" } : {};
        return result(message, { ...tools([`page${pages}`]), ...next });
      }),
      async (scene) => {
        const token = await scene.token();
        const first = (await scene.post({ token, ...asked("tools/list") })).json().result;
        const { nextCursor } = first;
        remember(nextCursor);
        const names = async () => {
          const page = await scene.post({ token, ...asked("tools/list", { cursor: nextCursor }) });
          return page.json().result.tools.map(({ name }) => name);
        };
        assert.deepEqual(await names(), ["odd_page2"]);
        assert.deepEqual(
          await names(),
          ["odd_page3"],
          "a cursor can be used again, as a client does that lost the answer",
        );
      },
    );
  });

  test("a server that hangs after its session was opened is left out of lists, and a call ends in time", () =>
    withServer(
      legacyServer(() => undefined),
      async (scene) => {
        const listed = await scene.post(asked("tools/list"));
        assert.deepEqual(listed.json().result._meta["portcullis/left-out"], ["odd"]);
      },
    ));

  test("a server that hangs while its session is opened does not hold others up", () =>
    withServer(
      () => undefined,
      async (scene) => {
        const client = await oldClient(scene);
        const add = await client.callTool({ name: "dual_add", arguments: { a: 1, b: 1 } });
        assert.equal(textOf(add), "2");
        await client.close();
      },
    ));

  test("a server that sends its request to a caller who left gets no answer of another", () => {
    const held = [];
    return withServer(
      legacyServer((message, _req, res) => {
        if (message.result !== undefined || message.error !== undefined) return { status: 202 };
        res.writeHead(200, { "content-type": "text/event-stream" });
        const request = { jsonrpc: "2.0", id: 0, method: "elicitation/create", params: { message: "?" } };
        res.write(`data: ${JSON.stringify(request)}\n\n`);
        held.push(res);
        return undefined;
      }),
      async (scene, server) => {
        const token = await scene.token();
        const session = await open(scene, token);
        const message = { id: 5, method: "tools/call", params: { name: "odd_x", arguments: {} } };
        const { fields, body } = inSession(session, message);
        const leave = new AbortController();
        const answer = await fetch(scene.resourceUrl, {
          method: "POST",
          headers: { ...(await scene.fields(fields, token)), Accept: "application/json, text/event-stream" },
          body,
          signal: leave.signal,
        });
        const { value } = await answer.body.getReader().read();
        const sealed = JSON.parse(new TextDecoder().decode(value).match(/data: (.*)/)[1]).id;
        remember(sealed);
        leave.abort();
        const before = server.requests.length;
        const respond = async (as, id, own = session) =>
          (await scene.post({ token: as, ...inSession(own, { id, result: { action: "accept" } }) })).status;
        const other = await scene.token({ claims: { sub: "eve" } });
        const theirs = await open(scene, other);
        const opened = server.requests.length;
        assert.equal(await respond(other, sealed, theirs), 400);
        assert.equal(await respond(token, 0), 400);
        assert.equal(await respond(token, `${sealed.slice(0, -2)}xx`), 400);
        assert.equal(server.requests.length, opened);
        assert.ok(opened > before);
        // The one who was asked may answer, also after the stream broke off.
        assert.equal(await respond(token, sealed), 202);
        assert.deepEqual(server.requests.at(-1).message, {
          jsonrpc: "2.0",
          id: 0,
          result: { action: "accept" },
        });
        for (const res of held) res.destroy();
      },
    );
  });

  test("a legacy server that asks a modern client gets nothing from another client", () =>
    withServer(
      legacyServer((message, _req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" });
        const say = (it) => res.write(`data: ${JSON.stringify({ jsonrpc: "2.0", ...it })}\n\n`);
        say({ id: 0, method: "sampling/createMessage", params: {} });
        say({ method: "notifications/tools/list_changed" });
        say({ id: message.id, result: { content: [{ type: "text", text: "done" }] } });
        res.end();
        return undefined;
      }),
      async (scene) => {
        const answer = await scene.post(asked("tools/call", { name: "odd_x", arguments: {} }));
        assert.ok(!answer.body.includes("sampling"), answer.body);
        assert.ok(!answer.body.includes("list_changed"));
        assert.match(answer.body, /"resultType":"complete"/);
      },
    ));

  test("a legacy server that redirects, asks for a login or fails is an error of the server", async () => {
    for (const status of [302, 401, 500, 503]) {
      await withServer(
        () => ({ status, fields: { location: "http://127.0.0.1:1/" } }),
        async (scene) => {
          const answer = await scene.post(asked("tools/call", { name: "odd_x", arguments: {} }));
          assert.equal(answer.status, 502, String(status));
          const client = await modernClient(scene);
          assert.ok((await client.listTools()).tools.length > 10);
          await client.close();
        },
      );
    }
  });

  test("a server whose session is never known is asked once more, and no further", () => {
    let calls = 0;
    return withServer(
      legacyServer(() => {
        calls += 1;
        return { status: 404, body: { jsonrpc: "2.0", id: null, error: { code: -32001, message: "no" } } };
      }),
      async (scene) => {
        const token = await scene.token();
        assert.equal((await scene.post({ token, ...asked("tools/call", { name: "odd_x" }) })).status, 502);
        assert.equal(calls, 2);
        const session = await open(scene, token);
        const message = { id: 5, method: "tools/call", params: { name: "odd_x", arguments: {} } };
        const answer = await scene.post({ token, ...inSession(session, message) });
        assert.equal(answer.status, 502, "404 would make the client begin a new session");
      },
    );
  });

  test("a server that becomes modern is found out", () => {
    let isModern = false;
    const old = legacyServer((message) => result(message, { content: [{ type: "text", text: "old" }] }));
    const answer = (message, req, res) => {
      if (!isModern) return old(message, req, res);
      if (message.method === "server/discover")
        return result(message, {
          resultType: "complete",
          supportedVersions: ["2026-07-28"],
          capabilities: {},
          ttlMs: 0,
          cacheScope: "private",
        });
      if (req.headers["mcp-protocol-version"] !== "2026-07-28")
        return {
          status: 400,
          body: {
            jsonrpc: "2.0",
            id: message.id ?? null,
            error: { code: -32022, message: "no", data: { supported: ["2026-07-28"] } },
          },
        };
      return result(message, { resultType: "complete", content: [{ type: "text", text: "new" }] });
    };
    return withServer(answer, async (scene) => {
      const token = await scene.token();
      const call = async () =>
        (await scene.post({ token, ...asked("tools/call", { name: "odd_x" }) })).json();
      assert.equal(textOf((await call()).result), "old");
      isModern = true;
      assert.equal(textOf((await call()).result), "new");
    });
  });
});

describe("what callers send wrong", PATIENCE, () => {
  const withFederation = (work, options = {}) =>
    startFederation({ names: ["dual", "everything"], ...options }).then(async (scene) => {
      try {
        await work(scene);
      } finally {
        await scene.close();
      }
    });

  test("a session of another caller, a changed one, and one of another resource", () =>
    withFederation(async (scene) => {
      const token = await scene.token();
      const session = await open(scene, token);
      const list = (as, own) => scene.post({ token: as, ...inSession(own, { id: 1, method: "tools/list" }) });
      assert.equal((await list(token, session)).status, 200);
      const wrong = [
        [await scene.token({ claims: { sub: "eve" } }), session],
        [token, `${session.slice(0, -3)}AAA`],
        [token, session.slice(0, 40)],
        [token, "made-up"],
        [token, randomUUID()],
      ];
      for (const [as, own] of wrong) assert.equal((await list(as, own)).status, 404);
    }));

  test("a client without a session can use what needs none", () =>
    withFederation(async (scene) => {
      const token = await scene.token();
      const ask = (message) =>
        scene.post({
          token,
          fields: { ...LEGACY, Accept: "application/json, text/event-stream" },
          body: JSON.stringify({ jsonrpc: "2.0", id: 3, ...message }),
        });
      assert.ok((await ask({ method: "tools/list" })).json().result.tools.length > 20);
      const call = await ask({
        method: "tools/call",
        params: { name: "dual_add", arguments: { a: 2, b: 3 } },
      });
      assert.match(call.body, /5/);
    }));

  test("a batch is refused as a whole", () =>
    withFederation(async (scene) => {
      const token = await scene.token();
      const session = await open(scene, token);
      const one = {
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "dual_add", arguments: { a: 1, b: 1 } },
      };
      const batch = await scene.post({
        token,
        fields: { "MCP-Protocol-Version": "2025-03-26", "Mcp-Session-Id": session },
        body: JSON.stringify([one, { ...one, id: 2 }]),
      });
      assert.equal(batch.status, 400);
      const { recorder } = scene.servers.named.dual;
      assert.ok(!recorder.requests.some(({ rpcMethod }) => rpcMethod === "tools/call"));
    }));

  test("methods that a federation does not have, in both eras", () =>
    withFederation(async (scene) => {
      const token = await scene.token();
      const session = await open(scene, token);
      for (const method of ["foo/bar", "tasks/list", "tasks/result", "server/discover"]) {
        const answer = await scene.post({ token, ...inSession(session, { id: 1, method, params: {} }) });
        assert.ok(answer.json().error, `${method}: ${answer.body}`);
      }
      for (const method of ["foo/bar", "initialize", "ping", "logging/setLevel", "resources/subscribe"]) {
        const answer = await scene.post({ token, ...asked(method) });
        assert.deepEqual([answer.status, answer.json().error.code], [404, -32601], method);
      }
    }));

  test("cursors of another caller, cut, changed, and of another era", () => {
    let sent = 0;
    const answer = legacyServer((message) => {
      sent += 1;
      return result(message, { ...tools([`t${sent}`]), nextCursor: `c${sent}` });
    });
    return withServer(answer, async (scene) => {
      const token = await scene.token();
      const list = async (as, cursor) =>
        (await scene.post({ token: as, ...asked("tools/list", cursor && { cursor }) })).json();
      const { nextCursor } = (await list(token)).result;
      remember(nextCursor);
      const other = await scene.token({ claims: { sub: "eve" } });
      const before = sent;
      for (const [as, cursor] of [
        [other, nextCursor],
        [token, nextCursor.slice(0, -4)],
        [token, `A${nextCursor.slice(1)}`],
        [token, "c1"],
      ])
        assert.equal((await list(as, cursor)).error.code, -32602);
      assert.equal(sent, before);
      assert.ok((await list(token, nextCursor)).result.tools.length > 0);
    });
  });

  test("rules hold for both eras, and for servers of both", () =>
    withFederation(
      async (scene) => {
        for (const connect of [modernClient, legacyClient, oldClient]) {
          const client = await connect(scene);
          const names = (await client.listTools()).tools.map(({ name }) => name).sort();
          assert.deepEqual(names, ["dual_add", "everything_echo"]);
          const echo = await client.callTool({ name: "everything_echo", arguments: { message: "hi" } });
          assert.match(textOf(echo), /hi/);
          for (const name of ["everything_get-env", "dual_whoami"]) {
            const outcome = await client.callTool({ name, arguments: {} }).catch((error) => error);
            assert.ok(outcome instanceof Error || outcome.isError, name);
          }
          await client.close();
        }
        for (const { recorder } of scene.servers.all)
          assert.ok(!JSON.stringify(recorder.requests).includes("get-env"));
      },
      {
        resource: {
          rules: [{ id: "few", effect: "allow", tools: ["everything_echo", "dual_add"] }],
        },
      },
    ));

  test("a limit counts the calls of both eras", () =>
    withFederation(
      async (scene) => {
        const modernOne = await modernClient(scene);
        const oldOne = await oldClient(scene);
        const call = (client) => client.callTool({ name: "dual_add", arguments: { a: 1, b: 1 } });
        await call(modernOne);
        await call(oldOne);
        await assert.rejects(call(oldOne));
        await Promise.all([modernOne.close(), oldOne.close()]);
      },
      { resource: { limits: [{ requests: 2, seconds: 60, by: ["subject"], tools: ["dual_add"] }] } },
    ));

  test("a task of one era is not that of the other, and not that of another caller", () =>
    withFederation(async (scene) => {
      const token = await scene.token();
      const message = asked("tools/call", { name: "dual_slow_compute", arguments: { seconds: 30 } });
      const body = JSON.parse(message.body);
      body.params._meta["io.modelcontextprotocol/clientCapabilities"] = {
        extensions: { "io.modelcontextprotocol/tasks": {} },
      };
      const created = await scene.post({ token, ...message, body: JSON.stringify(body) });
      const taskId = remember(created.json().result.taskId);
      const get = (as) => {
        const asking = asked("tasks/get", { taskId });
        const inner = JSON.parse(asking.body);
        inner.params._meta["io.modelcontextprotocol/clientCapabilities"] =
          body.params._meta["io.modelcontextprotocol/clientCapabilities"];
        return scene.post({ token: as, ...asking, body: JSON.stringify(inner) });
      };
      assert.equal((await get(token)).json().result.status, "working");
      const other = await scene.token({ claims: { sub: "eve" } });
      assert.equal((await get(other)).json().error.code, -32602);
    }));

  test("a configuration that names the wrong era is an error of that server alone", async () => {
    const scene = await startFederation({
      names: ["dual", "everything"],
      changes: ([dual, everything]) => [dual, { ...everything, era: "modern" }],
    });
    try {
      const listed = await scene.post(asked("tools/list"));
      assert.deepEqual(listed.json().result._meta["portcullis/left-out"], ["everything"]);
    } finally {
      await scene.close();
    }
  });

  test("a stream ends when its client leaves, at all servers", () =>
    withFederation(async (scene) => {
      const client = await oldClient(scene);
      await eventually(
        () =>
          scene.servers.all.every(({ recorder }) => recorder.requests.some(({ method }) => method === "GET")),
        "a stream at each server",
      );
      await client.close();
      const again = await oldClient(scene);
      assert.ok((await again.listTools()).tools.length > 20);
      await again.close();
    }));
});
