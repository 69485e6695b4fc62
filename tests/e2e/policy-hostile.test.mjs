/** Ways around the rules that were tried. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, send } from "./support/http.mjs";
import { answerJson, answerPieces, sentEvents } from "./support/list-origin.mjs";
import { startOldSse } from "./support/old-sse.mjs";
import { call, ERAS, legacy, modern, outcome, PASSED, UNKNOWN_TOOL } from "./support/policy.mjs";
import { MODERN, startScene, withScene } from "./support/scene.mjs";

const RULES = [
  { effect: "deny", tools: ["drop_*"], resources: ["file:///secret/*"] },
  { effect: "step_up", scopes: ["files:write"], tools: ["write_*"] },
  { effect: "allow" },
];
/** Where no name passes that nobody has heard of, the gate answers by itself. */
const STRICT = { rules: [{ effect: "allow", tools: ["read"] }] };
const withRules = (work, resource = {}) => withScene({ resource: { rules: RULES, ...resource } }, work);
const tools = [{ name: "read" }, { name: "drop_table" }];
const LIST = JSON.stringify({ jsonrpc: "2.0", id: 7, result: { tools } });

for (const version of ["2026-07-28", "2099-12-31"]) {
  test(
    `a GET that calls itself ${version} gets no list unfiltered`,
    withRules(async (scene) => {
      scene.origin.answer = answerPieces("text/event-stream", `id: 1\ndata: ${LIST}\n\n`, 100);
      const token = await scene.token();
      const fields = {
        Authorization: `Bearer ${token}`,
        "MCP-Protocol-Version": version,
        "Last-Event-ID": "0",
      };
      const answer = await send(scene.gateway, { method: "GET", fields }).catch(({ message }) => ({
        body: message,
      }));
      assert.ok(!answer.body.includes("drop_table"));
    }),
  );
}

test("nor does one to a real server of 2024-11-05, which looks at no version", {
  timeout: 20_000,
}, async () => {
  const old = await startOldSse({ tools: ["read", "drop_table"] });
  const scene = await startScene({
    secrets: { S: "s".repeat(40) },
    resource: { rules: RULES, origin: old.url.replace("/sse", "") },
    changes: () => ({ sessions: { secrets: ["S"] } }),
  });
  const stop = new AbortController();
  try {
    const token = await scene.token();
    const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream", ...MODERN };
    const stream = await fetch(`${scene.resourceUrl}/sse`, { headers, signal: stop.signal });
    const reader = stream.body.getReader();
    /** The next event, however it comes. */
    const next = async () => {
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the stream ended");
        text += Buffer.from(value).toString();
        if (/\r?\n\r?\n$/.test(text)) return text;
      }
    };
    const endpoint = (await next()).match(/^data: (.*)$/m)[1];
    assert.ok(!endpoint.includes("sessionId="), "the origin server's own endpoint stays behind the gate");
    assert.match(endpoint, /^\/mcp\?portcullis-endpoint=/);
    const post = (request) => scene.post({ token, target: endpoint, ...request });
    const client = {
      protocolVersion: "2024-11-05",
      capabilities: {},
      clientInfo: { name: "x", version: "1" },
    };
    assert.equal((await post(legacy("initialize", client))).status, 202);
    await next();
    assert.equal((await post(legacy("tools/list", {}))).status, 202);
    const [{ data }] = sentEvents(await next());
    assert.deepEqual(
      JSON.parse(data).result.tools.map(({ name }) => name),
      ["read"],
    );
  } finally {
    stop.abort();
    await scene.close();
    await old.close();
  }
});

for (const [type, body] of [
  ["text/html", "<html>drop_table</html>"],
  ["application/json", "drop_table"],
  ["application/json", `{"jsonrpc":"2.0","id":7,"result":{"tools":drop_table}}`],
]) {
  test(
    `a list that is ${body} is refused`,
    withRules(async (scene) => {
      scene.origin.answer = answerPieces(type, body, 100);
      const answer = await scene.post(legacy("tools/list"));
      assert.equal(answer.status, 502);
      assert.ok(!answer.body.includes("drop_table"));
    }),
  );
}

test(
  "a tool with `_meta: null` can be marked",
  withRules(
    async (scene) => {
      scene.origin.answer = answerJson({ tools: [{ name: "write_file", _meta: null }] });
      const mark = { "portcullis/step-up": { scopes: ["files:write"] } };
      const list = (await scene.post(legacy("tools/list"))).json().result?.tools;
      assert.deepEqual(list, [{ name: "write_file", _meta: mark }]);
    },
    { step_up_in_lists: "mark" },
  ),
);

test(
  "an error of the origin server's keeps its status where a list was asked for: clients begin anew at a 404 (L5)",
  withRules(async (scene) => {
    for (const status of [400, 404, 405]) {
      scene.origin.answer = answerPieces("text/plain", "Session not found", 100, { status });
      for (const era of Object.values(ERAS))
        assert.equal((await scene.post(era("tools/list"))).status, status);
    }
  }),
);

test(
  "an event with an id and empty data, by which clients come back, stays one",
  withRules(async (scene) => {
    scene.origin.answer = answerPieces("text/event-stream", `id: p\ndata: \n\nid: 2\ndata: ${LIST}\n\n`, 100);
    const events = sentEvents((await scene.post(legacy("tools/list"))).body);
    assert.deepEqual(events[0], { type: "message", id: "p", data: "" });
    assert.equal(events[1].id, "2");
  }),
);

test(
  "an origin server that sends no list for ever is left, in the old era too",
  withRules(async (scene) => {
    for (const [name, era] of Object.entries(ERAS)) {
      scene.origin.reset((_request, response) => {
        response.on("error", () => {});
        response.writeHead(200, { "content-type": "application/json" });
        response.write(
          `{"result":{"tools":[${JSON.stringify({ name: "read", text: "x".repeat(70_000) })}],"tools":[`,
        );
        const more = setInterval(() => response.write(" ".repeat(1_000)), 20);
        response.on("close", () => clearInterval(more));
      });
      await scene.post(era("tools/list")).catch(() => {}); // it breaks off, perhaps before its head
      await eventually(`${name}: the origin server is left`, () => scene.origin.only().cancelled, 2_000);
    }
  }),
);

test(
  "a step-up is not got around by capitals, as a denial is not",
  withRules(async (scene) => {
    for (const name of ["write_file", "WRITE_file", "Write_File"])
      assert.notEqual(outcome(await scene.post(call(legacy, name))), PASSED, name);
  }),
);

test(
  "a method that only resembles one takes no denied name past the rules",
  withRules(async (scene) => {
    for (const method of ["tools/call ", "TOOLS/CALL", "tools/call\u0000", "tools/\u200bcall"])
      assert.notEqual(outcome(await scene.post(legacy(method, { name: "drop_table" }))), PASSED, method);
    scene.origin.answer = answerJson({ tools });
    for (const method of ["tools/list ", "TOOLS/LIST", "tools/list\u0000"])
      assert.ok(!(await scene.post(legacy(method))).body.includes("drop_table"), method);
  }),
);

/** What stands in for a name that is hidden, where names that nobody has heard of pass. */
const STANDS_IN = /portcullis-hidden-[0-9a-f]*-/;
const askedFor = (scene) => JSON.parse(scene.origin.requests[0].body).params.uri;

test(
  "a URI means one thing to the rules and to a server that resolves it",
  withRules(async (scene) => {
    const ways = [
      "x/../secret/a",
      "./secret/a",
      "%73ecret/a",
      "x/%2e%2e/secret/a",
      "x/..%2fsecret/a",
      "/secret/a",
    ];
    for (const way of ways) {
      scene.origin.requests.length = 0;
      await scene.post(legacy("resources/read", { uri: `file:///${way}` }));
      assert.match(askedFor(scene), STANDS_IN, way);
    }
  }),
);

test(
  "what is allowed below a folder leads out of it nowhere",
  withRules(
    async (scene) => {
      for (const way of ["../etc/passwd", "%2e%2e/etc/passwd", "..%2fetc/passwd", "a/../../etc/passwd"]) {
        scene.origin.requests.length = 0;
        await scene.post(legacy("resources/read", { uri: `file:///docs/${way}` }));
        assert.match(askedFor(scene), STANDS_IN, way);
      }
    },
    { rules: [{ effect: "allow", resources: ["file:///docs/*"] }] },
  ),
);

test(
  "whoever guesses names is counted in both eras",
  withRules(
    async (scene) => {
      for (const [name, era] of Object.entries(ERAS)) {
        const token = await scene.token({ claims: { sub: name } });
        const statuses = [];
        for (let at = 0; at < 12; at += 1)
          statuses.push((await scene.post({ token, ...call(era, `drop_${at}`) })).status);
        assert.ok(statuses.includes(429), `${name}: ${statuses}`);
      }
    },
    { ...STRICT, refusals_per_minute: 10 },
  ),
);

test(
  "an absent tool is an error of JSON-RPC however long its arguments are",
  withRules(async (scene) => {
    for (const era of Object.values(ERAS)) {
      const answer = await scene.post(call(era, "drop_table", { text: "x".repeat(70_000) }));
      assert.equal(outcome(answer), UNKNOWN_TOOL);
      assert.equal(answer.json().id, 7);
    }
  }, STRICT),
);

test(
  "a field that names what is hidden and a body that names another disagree, and are told so (T12)",
  withRules(async (scene) => {
    const lying = modern("tools/call", { name: "read" }, { "Mcp-Name": "drop_table" });
    assert.match(outcome(await scene.post(lying)), /^400 -32020 /);
  }, STRICT),
);
