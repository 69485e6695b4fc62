/** What is asked for is one thing to every reader: fields and bodies that disagree, batches, bodies of doubtful form. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { send } from "./support/http.mjs";
import {
  call,
  legacy,
  modern,
  outcome,
  outcomes,
  PASSED,
  RULES,
  shape,
  UNKNOWN_TOOL,
  withRules,
} from "./support/policy.mjs";
import { lineOf } from "./support/refusal.mjs";
import { LEGACY } from "./support/scene.mjs";

test(
  "a modern request whose fields and body disagree goes nowhere",
  withRules(
    RULES,
    async (scene) => {
      const disagreement = /^400 -32020 /;
      const read = (changes, params) =>
        modern("tools/call", { name: "read", arguments: {}, ...params }, changes);
      const base64 = (text) => `=?base64?${Buffer.from(text).toString("base64")}?=`;
      const bad = [
        read({ "Mcp-Name": "drop_table" }),
        read({ "Mcp-Name": "=?BASE64?cmVhZA==?=" }),
        read({ "Mcp-Name": "=?base64?cmVhZA==" }),
        read({ "Mcp-Name": "sum" }),
        read({ "Mcp-Name": "read" }, { name: "drop_table" }),
        read({ "Mcp-Name": undefined }),
        read({ "Mcp-Method": undefined }),
        read({ "Mcp-Method": "tools/list" }),
        read({ "Mcp-Method": "TOOLS/CALL" }),
        read({ "MCP-Protocol-Version": "2027-01-01" }),
        read({ "Mcp-Name": "=?base64?cmVhZA=?=" }),
        read({ "Mcp-Name": base64("sum") }),
        read({ "Mcp-Param-Region": "eu" }),
        read({}, { arguments: { region: "eu" } }),
        read({ "Mcp-Param-Region": "us" }, { arguments: { region: "eu" } }),
        read({ "Mcp-Param-Count": "43" }, { arguments: { count: 42 } }),
      ];
      const said = await outcomes(scene, bad);
      for (const [at, one] of said.entries()) assert.match(one, disagreement, `${at}`);
      const twice = [...Object.entries(read().fields), ["Mcp-Name", "drop_table"]];
      const fields = [...Object.entries(await scene.fields()), ...twice];
      const { body } = read();
      assert.notEqual(outcome(await send(scene.gateway, { method: "POST", fields, body })), PASSED);
      assert.deepEqual(scene.origin.requests, []);

      const good = [
        read({ "Mcp-Name": base64("read") }),
        read({ "Mcp-Param-Count": "42.0" }, { arguments: { count: 42 } }),
        read({ "Mcp-Param-Region": base64("zürich") }, { arguments: { region: "zürich" } }),
        read({}, { arguments: { region: null } }),
        read({ "mcp-param-unheard-of": "x" }),
      ];
      assert.deepEqual(
        await outcomes(scene, good),
        good.map(() => PASSED),
      );
      assert.equal(scene.origin.requests.at(-1).headers["mcp-param-unheard-of"], "x");
    },
    { resource: { parameter_fields: { Region: "region", Count: "count" } } },
  ),
);

test(
  "an old client is judged by its body, whatever its fields say",
  withRules(RULES, async (scene) => {
    const lying = (name, said, more) =>
      call(legacy, name, {}, { "Mcp-Method": "tools/call", "Mcp-Name": said, ...more });
    const said = await outcomes(scene, [lying("drop_table", "read"), lying("read", "drop_table")]);
    assert.deepEqual(said, [UNKNOWN_TOOL, PASSED]);
    // An era that only its field announces: the body has no version, so they disagree.
    const disguised = lying("drop_table", "read", { "MCP-Protocol-Version": "2026-07-28" });
    assert.match(outcome(await scene.post(disguised)), /^400 -32(020|602) /);
    assert.equal(scene.origin.requests.length, 1);
  }),
);

test(
  "batches: in the one revision that has them, and each message is judged",
  withRules(RULES, async (scene) => {
    const message = (id, name) => ({ jsonrpc: "2.0", id, method: "tools/call", params: { name } });
    const batch = (messages, version) => ({
      body: JSON.stringify(messages),
      fields: version ? { "MCP-Protocol-Version": version } : {},
    });
    const good = [
      message(1, "read"),
      { jsonrpc: "2.0", method: "notifications/initialized" },
      message(2, "sum"),
    ];
    for (const version of [undefined, "2025-03-26"]) {
      assert.equal((await scene.post(batch(good, version))).status, 200);
      const hidden = shape(await scene.post(batch([...good, message(3, "drop_table")], version)));
      const absent = shape(await scene.post(batch([...good, message(3, "no_such_tool")], version)));
      assert.deepEqual(hidden, absent);
      assert.ok(![200, 403].includes(hidden.status) || !hidden.body.includes("result"));
      assert.equal(
        (await scene.post(batch([message(1, "write_x"), message(2, "read")], version))).status,
        403,
      );
      const both = await scene.post(batch([message(1, "write_x"), message(2, "drop_table")], version));
      assert.equal(both.fields["www-authenticate"], undefined, "what is hidden asks for no scopes");
    }
    assert.equal(scene.origin.requests.length, 2);
    for (const version of [LEGACY["MCP-Protocol-Version"], "2025-06-18", "2026-07-28"])
      assert.equal((await scene.post(batch(good, version))).status, 400, version);
    for (const odd of [[], [good], Array(65).fill(good[0]), [1]])
      assert.equal((await scene.post(batch(odd))).status, 400);
    assert.equal(scene.origin.requests.length, 2);
  }),
);

test(
  "bodies that readers might take differently go nowhere",
  withRules([{ effect: "deny", tools: ["drop_table"] }, { effect: "allow" }], async (scene) => {
    const params = (text) => `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":${text}}`;
    const bodies = [
      params(`{"name":"read","name":"drop_table"}`),
      params(`{"name":"read","n\\u0061me":"drop_table"}`),
      params(`["drop_table"]`),
      params("null"),
      params(`{"name":["drop_table"]}`),
      params(`{"name":"\\ud800"}`),
      params(`{"arguments":{}}`),
      params(`{"name":"read","arguments":[]}`),
      params(`{"name":"read","arguments":{"a":1,"a":2}}`),
      `{"jsonrpc":"2.0","id":7,"method":"tools/call"}`,
      `{"jsonrpc":"2.0","id":{},"method":"ping"}`,
      `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`,
      `{"jsonrpc":"1.0","id":7,"method":"ping"}`,
      `{"id":7,"method":"ping"}`,
      `{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}`,
      `{"jsonrpc":"2.0","id":7,"method":7}`,
      `{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}`,
      `{"jsonrpc":"2.0","id":7,"method":"ping"} {}`,
      `\ufeff{"jsonrpc":"2.0","id":7,"method":"ping"}`,
      `{"jsonrpc":"2.0","id":7,"method":"ping",}`,
      `"ping"`,
      "",
      "{",
    ];
    for (const body of bodies) {
      const answer = await scene.post({ body, fields: LEGACY });
      assert.equal(answer.status, 400, body.slice(0, 80));
      assert.equal((await lineOf(scene.gateway, answer)).reason, "malformed_message");
    }
    assert.deepEqual(scene.origin.requests, []);
  }),
);

test(
  "completions and subscriptions are judged by what they are about",
  withRules(RULES, async (scene) => {
    const argument = { name: "a", value: "b" };
    const complete = (ref) => legacy("completion/complete", { ref, argument });
    const listen = (...uris) =>
      modern("subscriptions/listen", { notifications: { resourceSubscriptions: uris } });
    const said = await outcomes(scene, [
      complete({ type: "ref/prompt", name: "greet" }),
      complete({ type: "ref/prompt", name: "secret" }),
      complete({ type: "ref/resource", uri: "file:///etc/passwd" }),
      legacy("resources/subscribe", { uri: "file:///docs/a" }),
      legacy("resources/subscribe", { uri: "file:///etc/a" }),
      listen("file:///docs/a"),
      listen("file:///docs/a", "file:///etc/a"),
      legacy("tasks/result", { taskId: "1" }),
      modern("tasks/get", { taskId: "1" }),
    ]);
    assert.deepEqual(said, [
      PASSED,
      "200 -32602 Unknown prompt.",
      "200 -32002 Resource not found.",
      PASSED,
      "200 -32002 Resource not found.",
      PASSED,
      "200 -32602 Resource not found.",
      "200 -32601 Method not found.",
      "404 -32601 Method not found.",
    ]);
  }),
);
