/** Lists show what their reader may use, in JSON and in events, however the origin server sends them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually, send } from "./support/http.mjs";
import { answerJson, answerPieces, itemsOf, sentEvents } from "./support/list-origin.mjs";
import { ERAS, legacy } from "./support/policy.mjs";
import { assertRefused, lineOf } from "./support/refusal.mjs";
import { LEGACY, withScene } from "./support/scene.mjs";

const RULES = [
  { effect: "deny", tools: ["drop_*"] },
  { effect: "allow", tools: ["admin_*"], prompts: ["admin"], when: { roles: ["admin"] } },
  { effect: "step_up", scopes: ["files:write"], tools: ["write"] },
  { effect: "deny", tools: ["admin_*"] },
  { effect: "allow", tools: ["*"], prompts: ["greet"], resources: ["file:///docs/*"] },
];
const withRules = (work, resource = {}) => withScene({ resource: { rules: RULES, ...resource } }, work);
const named = (...names) => names.map((name) => ({ name, inputSchema: { type: "object" } }));
/** What came of an answer that breaks off: perhaps not even its head. */
const brokenOff = (sent) => sent.catch(() => ({ complete: false, body: "" }));
const TOOLS = named("read", "drop_table", "admin_x", "write", "sum");

for (const [name, era] of Object.entries(ERAS)) {
  describe(`${name} era`, () => {
    test(
      "each kind of list has what may be used, in its order, and the rest of the answer is as it was",
      withRules(async (scene) => {
        const meta = { _meta: { "x/y": [1, { z: "}]" }] }, nextCursor: "n", unheardOf: { tools: TOOLS } };
        const uris = ["file:///docs/a", "file:///etc/b"];
        for (const [method, member, items, kept] of [
          ["tools/list", "tools", TOOLS, named("read", "sum")],
          ["prompts/list", "prompts", named("greet", "admin"), named("greet")],
          ["resources/list", "resources", uris.map((uri) => ({ uri })), [{ uri: uris[0] }]],
          [
            "resources/templates/list",
            "resourceTemplates",
            [{ uriTemplate: "file:///docs/{a}" }, { uriTemplate: "file:///{a}" }],
            [{ uriTemplate: "file:///docs/{a}" }],
          ],
        ]) {
          scene.origin.answer = answerJson({ ...meta, [member]: items });
          const answer = await scene.post(era(method, {}, { id: "a-1" }));
          assert.equal(answer.status, 200);
          const result = { ...meta, [member]: kept };
          assert.deepEqual(answer.json(), { jsonrpc: "2.0", id: "a-1", result }, method);
        }
      }),
    );

    test(
      "an answer in odd pieces, in JSON and in events with every kind of line end",
      withRules(async (scene) => {
        const message = {
          jsonrpc: "2.0",
          id: 7,
          result: { tools: TOOLS, note: 'ünïcødé \u2028 \\"\ud83d\ude00' },
        };
        const kept = { ...message, result: { ...message.result, tools: named("read", "sum") } };
        for (const size of [1, 2, 3, 7, 1_000_000]) {
          scene.origin.answer = answerPieces("application/json", JSON.stringify(message, null, 1), size);
          const answer = await scene.post(era("tools/list"));
          assert.ok(answer.complete);
          assert.deepEqual(answer.json(), kept, `${size}`);
          for (const end of ["\n", "\r", "\r\n"]) {
            const pretty = JSON.stringify(message, null, 1).split("\n");
            const lines = [
              ": hello",
              "",
              "event: message",
              "id: 1",
              "retry: 5",
              "data: notice",
              "data: more",
              "",
            ];
            lines.push("id: 2", ...pretty.map((line) => `data: ${line}`), "event: message", "", ": bye", "");
            const body = lines.map((line) => `${line}${end}`).join("");
            scene.origin.answer = answerPieces("text/event-stream", body, size);
            const events = sentEvents((await scene.post(era("tools/list"))).body);
            assert.deepEqual(JSON.parse(events.at(-1).data), kept, `${JSON.stringify(end)} by ${size}`);
            assert.deepEqual([events.at(-2).data, events.at(-1).id], ["notice\nmore", "2"]);
          }
        }
      }),
    );

    test(
      "what is no list is refused where nothing was sent on yet, in words of ours",
      withRules(async (scene) => {
        const good = JSON.stringify({ jsonrpc: "2.0", id: 7, result: { tools: TOOLS } });
        const list = (items) => `{"jsonrpc":"2.0","id":7,"result":{"tools":[${items}]}}`;
        const bad = [
          "",
          '<html>"drop_table"</html>',
          good.slice(0, -1),
          good.slice(0, 80),
          `${good}${good}`,
          `{"jsonrpc":"2.0","result":{"tools":[]},"result":{"tools":[{"name":"drop_table"}]}}`,
          `{"result":{"tools":[],"t\\u006fols":[{"name":"drop_table"}]}}`,
          `{"result":{"tools":{"drop_table":1}}}`,
          `{"result":{"tools":"drop_table"}}`,
          list(`{"name":"read"},`),
          list(`{"name":"read"`),
          list(`{"name":"read","x":${"[".repeat(2_000)}${"]".repeat(2_000)}}`),
          `{"result":{"tools":[{"name":"a\nb"}]}}`,
        ];
        for (const body of bad) {
          scene.origin.answer = answerPieces("application/json", body, 1_000);
          const answer = await scene.post(era("tools/list"));
          const line = await assertRefused(scene.gateway, answer, {
            status: 502,
            reason: "origin_malformed",
            id: 7,
          });
          assert.ok(!JSON.stringify([answer.body, line]).includes("drop_table"), body);
        }
      }),
    );

    test(
      "an item whose name is not certain is left out, the others stay, and the log says so",
      withRules(async (scene) => {
        const list = (items) => `{"jsonrpc":"2.0","id":7,"result":{"tools":[${items}]}}`;
        const odd = `{"name":"read","description":"half a pair \\ud83d","x":{"a":1,"a":${"[".repeat(500)}${"]".repeat(500)}}}`;
        for (const item of [
          `{"name":"read","name":"drop_table"}`,
          `{"name":"read","n\\u0061me":"drop_table"}`,
          `{"title":"drop_table"}`,
          `{"name":["drop_table"]}`,
          `{"name":"drop_table\\ud83d"}`,
          `"drop_table"`,
          "null",
        ]) {
          for (const [type, body] of [
            ["application/json", list(`${item},${odd}`)],
            ["text/event-stream", `data: ${list(`${item},${odd}`)}\n\n`],
          ]) {
            scene.origin.answer = answerPieces(type, body, 1_000);
            const answer = await scene.post(era("tools/list"));
            assert.equal(answer.status, 200, answer.body);
            assert.ok(answer.body.includes(list(odd)), "byte for byte");
            const { request_id: id } = await lineOf(scene.gateway, answer);
            const dropped = () =>
              scene.gateway
                .events()
                .find(({ reason, detail }) => reason === "list_items_dropped" && detail.includes(id));
            await eventually("the log says so", () => dropped() !== undefined);
            assert.match(dropped().detail, /: 1 left out/);
          }
        }
      }),
    );

    test(
      "a stream that goes wrong breaks off before it shows anything it should not",
      withRules(async (scene) => {
        const padding = named(...Array.from({ length: 3_000 }, (_, at) => `tool_${at}`));
        const whole = JSON.stringify({ jsonrpc: "2.0", id: 7, result: { tools: [...padding, ...TOOLS] } });
        for (const body of [
          whole.slice(0, -30),
          whole.replace('{"name":"drop_table"', '{"name":"drop_table\n"'),
        ]) {
          scene.origin.answer = answerPieces("application/json", body, 10_000);
          const answer = await brokenOff(scene.post(era("tools/list")));
          assert.ok(!answer.complete, "the answer is broken off");
          assert.ok(!answer.body.includes("drop_table"));
          const raw = scene.gateway.logs.filter((line) => !line.startsWith("{"));
          assert.deepEqual(raw, [], "the log has lines of the gateway's alone");
          scene.origin.answer = answerPieces("text/event-stream", `data: ${body}\n\n`, 10_000);
          const events = await brokenOff(scene.post(era("tools/list")));
          assert.ok(!events.body.includes("drop_table"));
          // It has begun with 200: the client gets an error at once, and then the end.
          const last = events.body.trimEnd().split("\n\n").at(-1);
          const { id, error } = JSON.parse(last.replace("event: message\ndata: ", ""));
          assert.deepEqual([events.complete, id, error.code], [true, 7, 502]);
        }
      }),
    );

    test(
      "a mark says which scopes a step-up asks for",
      withRules(
        async (scene) => {
          const tools = [
            { name: "write" },
            { name: "write", _meta: {} },
            { name: "write", _meta: { a: 1 } },
            { name: "read", _meta: { "portcullis/step-up": "mine" } },
          ];
          scene.origin.answer = answerJson({ tools });
          const list = (await scene.post(era("tools/list"))).json().result.tools;
          const mark = { "portcullis/step-up": { scopes: ["files:write"] } };
          assert.deepEqual(
            list.slice(0, 3).map(({ _meta }) => _meta),
            [mark, mark, { ...mark, a: 1 }],
          );
          const token = await scene.token({ claims: { scope: "mcp:tools files:write" } });
          // A mark of the server's own would pass for ours.
          assert.deepEqual((await scene.post({ token, ...era("tools/list") })).json().result.tools, [
            ...tools.slice(0, 3),
            { name: "read", _meta: {} },
          ]);
        },
        { step_up_in_lists: "mark" },
      ),
    );

    test(
      "errors, and answers that hold no list, pass as they are",
      withRules(async (scene) => {
        const error = { code: -32603, message: "no list today" };
        for (const answer of [{ error }, { result: {} }, { result: null }]) {
          const body = { jsonrpc: "2.0", id: 7, ...answer };
          scene.origin.answer = answerPieces("application/json", JSON.stringify(body), 100);
          assert.deepEqual((await scene.post(era("tools/list"))).json(), body);
        }
      }),
    );
  });
}

test(
  "a list is private exactly where another might have got another",
  withRules(async (scene) => {
    const scopeOf = async (result, params) => {
      scene.origin.answer = answerJson(result);
      const answer = await scene.post(ERAS.modern(Object.keys(result)[0].replace(/s$/, "s/list"), params));
      assert.equal(answer.fields["cache-control"], "no-store");
      return answer.json().result.cacheScope;
    };
    const page = { cacheScope: "public" };
    assert.equal(await scopeOf({ tools: named("read", "drop_x"), ...page }), "public");
    assert.equal(await scopeOf({ tools: named("read", "admin_x"), ...page }), "private");
    assert.equal(await scopeOf({ tools: named("read", "write"), ...page }), "private");
    assert.equal(await scopeOf({ tools: named("read"), ...page, cacheScope: "private" }), "private");
    assert.equal(await scopeOf({ prompts: named("greet", "admin"), ...page }), "private");
    assert.equal(await scopeOf({ resources: [{ uri: "file:///docs/a" }], ...page }), "public");
    // All pages have one scope, and what is on the others is not known.
    assert.equal(await scopeOf({ tools: named("read"), ...page, nextCursor: "2" }), "private");
    assert.equal(await scopeOf({ tools: named("read"), ...page }, { cursor: "2" }), "private");
    assert.equal(await scopeOf({ tools: named("read") }), undefined);
  }),
);

test(
  "5,000 tools, and 50 MB",
  withRules(async (scene) => {
    const names = Array.from({ length: 5_000 }, (_, at) => `${at % 2 ? "drop" : "tool"}_${at}`);
    const described = named(...names).map((tool) => ({ ...tool, description: "x".repeat(500) }));
    scene.origin.answer = answerJson({ tools: described });
    const answer = await scene.post(legacy("tools/list"));
    assert.ok(answer.complete);
    assert.deepEqual(
      itemsOf(answer),
      names.filter((name) => name.startsWith("tool")),
    );

    for (const era of Object.values(ERAS)) {
      scene.origin.reset((_request, response) => {
        response.on("error", () => {});
        response.writeHead(200, { "content-type": "application/json" });
        response.write(`{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"read"}`);
        const more = Buffer.from(`,{"name":"tool","description":"${"x".repeat(100_000)}"}`);
        let left = 50 * 1024 * 1024;
        const go = () => {
          while (left > 0 && !response.destroyed) {
            left -= more.length;
            if (!response.write(more)) return response.once("drain", go);
          }
          response.end("]}}");
        };
        go();
      });
      const huge = await brokenOff(scene.post(era("tools/list")));
      assert.ok(!huge.complete, "it is broken off");
      assert.ok(huge.body.length <= 16 * 1024 * 1024, `${huge.body.length}`);
      scene.origin.reset();
      assert.equal((await scene.post(era("prompts/list"))).status, 200, "the gate stands");
    }
  }),
);

test(
  "whatever the stream of the old era carries is filtered, with ids to come back by",
  withRules(async (scene) => {
    const list = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools: TOOLS } });
    const note = JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params: { data: "x" } });
    const body = `id: 1\ndata: ${note}\n\nid: 2\ndata: ${list}\n\n`;
    scene.origin.answer = answerPieces("text/event-stream", body, 5);
    const fields = await scene.fields({ ...LEGACY, Accept: "text/event-stream", "Last-Event-ID": "0" });
    delete fields["Content-Type"];
    const events = sentEvents((await send(scene.gateway, { method: "GET", fields })).body);
    assert.equal(scene.origin.only().headers["last-event-id"], "0");
    assert.deepEqual(
      events.map(({ id }) => id),
      ["1", "2"],
    );
    assert.equal(events[0].data, note);
    assert.deepEqual(JSON.parse(events[1].data).result.tools, named("read", "sum"));
  }),
);

test(
  "a public list is kept for as long as it says, and filtered for each of its readers",
  withRules(async (scene) => {
    const list = (more) => answerJson({ tools: TOOLS, cacheScope: "public", ttlMs: 600_000, ...more });
    const reader = async (claims, id, params, era = ERAS.modern) => {
      const token = await scene.token({ claims });
      return (await scene.post({ token, ...era("tools/list", params, { id }) })).json();
    };
    /** Asks until it is answered without the origin server: keeping a list takes a moment. */
    const kept = (ask) =>
      eventually("a list that was kept", async () => {
        const before = scene.origin.requests.length;
        const answer = await ask();
        return scene.origin.requests.length === before && answer;
      });
    scene.origin.answer = list();
    const plain = await reader({}, "first");
    assert.deepEqual(plain.result.tools, named("read", "sum"));
    const again = await kept(() => reader({ sub: "bob" }, "second"));
    assert.equal(again.id, "second");
    assert.deepEqual(again.result.tools, named("read", "sum"));
    assert.equal(again.result.cacheScope, "private");
    assert.ok(again.result.ttlMs > 0 && again.result.ttlMs <= 600_000);
    const before = scene.origin.requests.length;
    const admin = await reader({ sub: "root", roles: ["admin"], scope: "mcp:tools files:write" }, 3);
    assert.equal(scene.origin.requests.length, before);
    assert.deepEqual(admin.result.tools, named("read", "admin_x", "write", "sum"));

    // Another page is another list; what continues an exchange is nobody else's; the old era knows no such thing.
    const others = [
      [{ cursor: "2" }],
      [{ requestState: "s" }],
      [{ inputResponses: {} }],
      [undefined, legacy],
    ];
    for (const [at, [params, era]] of others.entries()) {
      await reader({}, 1, params, era);
      assert.equal(scene.origin.requests.length, before + at + 1, JSON.stringify(params));
    }
  }),
);

for (const [what, more] of Object.entries({
  "is private": { cacheScope: "private", ttlMs: 600_000 },
  "says nothing": {},
  "may be kept for no time": { cacheScope: "public", ttlMs: 0 },
  "says for how long in words": { cacheScope: "public", ttlMs: "600000" },
})) {
  test(
    `a list that ${what} is asked for each time`,
    withRules(async (scene) => {
      scene.origin.answer = answerJson({ tools: TOOLS, ...more });
      for (let count = 1; count <= 3; count += 1) {
        assert.equal((await scene.post(ERAS.modern("tools/list"))).status, 200);
        assert.equal(scene.origin.requests.length, count);
      }
    }),
  );
}
