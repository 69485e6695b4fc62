/**
 * Where rules let names through that nobody has heard of, it is the origin server that answers for absent ones: what is
 * hidden must answer like those. Names have one length here, as an origin server may repeat them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startEverything } from "./support/everything.mjs";
import { send } from "./support/http.mjs";
import { answerPieces } from "./support/list-origin.mjs";
import { startOldSse } from "./support/old-sse.mjs";
import { call, ERAS, legacy, shape } from "./support/policy.mjs";
import { noPython, startPythonOrigin } from "./support/python.mjs";
import { LEGACY, startScene, withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 120_000 };
const [HIDDEN, ABSENT] = ["drop_table", "no_such_to"];
const RULES = [{ effect: "deny", tools: [HIDDEN, "get-env"] }, { effect: "allow" }];
const ACCEPT = { Accept: "application/json, text/event-stream" };
const CLIENT = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x", version: "1" } };

/** What a caller could tell an answer by, less the name that it asked for and what is random in events. */
function told(answer, name) {
  const { status, fields, body } = shape(answer);
  const uuid = /[0-9a-f]{8}-[0-9a-f-]{27}(_\d+)?/g;
  return { status, fields, body: body.replaceAll(name, "<name>").replace(uuid, "<uuid>") };
}

/** An origin server that knows no tool, and repeats the name that it was asked for. */
const unknown = (name) =>
  JSON.stringify({ jsonrpc: "2.0", id: 7, error: { code: -32602, message: `No ${name}.` } });
const knowsNone = (_request, response, { body }) => {
  const text = unknown(JSON.parse(body).params.name);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
};

for (const [name, start, hidden, absent, skip = false] of [
  ["server-everything", startEverything, "get-env", "no-such"],
  ["a Python origin", startPythonOrigin, HIDDEN, ABSENT, noPython],
]) {
  test(`${name} says the same of both`, { ...PATIENCE, skip }, async () => {
    const real = await start();
    const scene = await startScene({ origin: real.url, resource: { rules: RULES } });
    try {
      const token = await scene.token();
      const begun = await scene.post({ token, fields: ACCEPT, body: legacy("initialize", CLIENT).body });
      const fields = { ...LEGACY, ...ACCEPT, "Mcp-Session-Id": begun.fields["mcp-session-id"] };
      const ask = async (of) => told(await scene.post({ token, fields, body: call(legacy, of).body }), of);
      assert.deepEqual(await ask(hidden), await ask(absent));
    } finally {
      await scene.close();
      await real.close();
    }
  });
}

for (const [what, rules] of [
  ["all names pass", RULES],
  [
    "names of one form pass",
    [
      { effect: "deny", tools: [HIDDEN] },
      { effect: "allow", tools: ["drop_*", "no_such_*"] },
    ],
  ],
]) {
  for (const [name, era] of Object.entries(ERAS)) {
    test(
      `${name} era, where ${what}: status, fields and words are the same`,
      withScene({ resource: { rules } }, async (scene) => {
        scene.origin.answer = knowsNone;
        const token = await scene.token();
        const ask = async (of) => told(await scene.post({ token, ...call(era, of) }), of);
        assert.deepEqual(await ask(HIDDEN), await ask(ABSENT));
      }),
    );
  }
}

for (const [what, more] of [
  ["of one", []],
  ["of several", [{ jsonrpc: "2.0", id: 8, method: "ping" }]],
]) {
  test(
    `in a batch ${what}`,
    withScene({ resource: { rules: RULES } }, async (scene) => {
      const ask = async (name) => {
        const message = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name } };
        return told(await scene.post({ body: JSON.stringify([message, ...more]) }), name);
      };
      assert.deepEqual(await ask(HIDDEN), await ask(ABSENT));
    }),
  );
}

test(
  "when the answer is fetched again over the stream",
  withScene({ resource: { rules: RULES } }, async (scene) => {
    const token = await scene.token();
    const ask = async (name) => {
      scene.origin.requests.length = 0;
      // The POST breaks after the event that says where to go on; the GET goes on there.
      scene.origin.answer = answerPieces("text/event-stream", "id: 1\ndata: \n\n", 100);
      await scene.post({ token, ...call(legacy, name) });
      const asked = JSON.parse(scene.origin.only().body).params.name;
      scene.origin.answer = answerPieces("text/event-stream", `id: 2\ndata: ${unknown(asked)}\n\n`, 100);
      const fields = { Authorization: `Bearer ${token}`, ...LEGACY, "Last-Event-ID": "1" };
      return told(await send(scene.gateway, { method: "GET", fields }), name);
    };
    assert.deepEqual(await ask(HIDDEN), await ask(ABSENT));
  }),
);

test("over the transport of 2024-11-05, where every answer comes over the stream", {
  timeout: 20_000,
}, async () => {
  const old = await startOldSse({ tools: ["read", HIDDEN] });
  const scene = await startScene({
    origin: old.url,
    secrets: { S: "s".repeat(40) },
    resource: { rules: RULES },
    changes: () => ({ sessions: { secrets: ["S"] } }),
  });
  const stop = new AbortController();
  try {
    const token = await scene.token();
    const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
    const stream = await fetch(scene.resourceUrl, { headers, signal: stop.signal });
    const reader = stream.body.getReader();
    const next = async () => {
      let text = "";
      while (!/\n\n$/.test(text)) text += Buffer.from((await reader.read()).value).toString();
      return text;
    };
    const target = (await next()).match(/^data: (.*)$/m)[1];
    await scene.post({
      token,
      target,
      ...legacy("initialize", { ...CLIENT, protocolVersion: "2024-11-05" }),
    });
    await next();
    const ask = async (name) => {
      assert.equal((await scene.post({ token, target, ...call(legacy, name) })).status, 202);
      return (await next()).replaceAll(name, "<name>");
    };
    assert.equal(await ask(HIDDEN), await ask(ABSENT));
  } finally {
    stop.abort();
    await scene.close();
    await old.close();
  }
});
