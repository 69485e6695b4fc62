/** The record of decisions, where it goes, and limits. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { configFor } from "./support/gateway.mjs";
import { eventually, send } from "./support/http.mjs";
import { startStaticIssuer } from "./support/issuer.mjs";
import { startWitness } from "./support/origin.mjs";
import { call, ERAS, legacy, modern, outcome, PASSED, UNKNOWN_TOOL } from "./support/policy.mjs";
import { assertRefused, lineOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";
import { startWithSinks } from "./support/sinks.mjs";

const RULES = [
  { id: "no-drops", effect: "deny", tools: ["drop_*"] },
  { id: "soon", effect: "deny", tools: ["read"], mode: "observe" },
  { id: "pay", effect: "allow", tools: ["pay"], when: { arguments: { to: { like: "*@acme.example" } } } },
  { id: "write", effect: "step_up", scopes: ["files:write"], tools: ["write"] },
  { id: "read", effect: "allow", tools: ["read"], when: { roles: ["reader"] } },
];
const CLAIMS = { sub: "ada-lovelace-1815", roles: ["reader"], email: "ada@analytical.example" };
const logged = (more = {}) => ({
  resource: { rules: RULES },
  changes: () => ({ decision_log: {}, ...more }),
});

/** The lines of the record, as they were written. */
const written = (lines) =>
  lines.filter((line) => line.startsWith("{") && JSON.parse(line).event === "decision");

/** Holds each line to its own hash, and to the line before. */
function assertChain(lines) {
  const parsed = lines.map((line) => JSON.parse(line));
  for (const [at, line] of lines.entries()) {
    const { hash, prev, seq, run, v } = parsed[at];
    const text = `${line.slice(0, line.lastIndexOf(',"hash":"'))}}`;
    assert.equal(createHash("sha256").update(text).digest("hex"), hash, `line ${at}`);
    assert.deepEqual([seq, run, v], [at, parsed[0].run, 1]);
    assert.equal(prev, at === 0 ? "0".repeat(64) : parsed[at - 1].hash);
  }
  return parsed;
}

test(
  "one line for each decision, bound to the one before, in both eras",
  withScene(logged(), async (scene) => {
    const token = await scene.token({ claims: CLAIMS });
    const secret = "4111-1111-1111-1111-secret-argument";
    for (const era of Object.values(ERAS)) {
      const asked = [
        call(era, "read", { path: secret }),
        call(era, "read", { path: secret }),
        call(era, "drop_table", { path: secret }),
        call(era, "nothing"),
        call(era, "write"),
        call(era, "pay", { to: secret }),
        call(era, "pay", { to: "bob@acme.example" }),
        era("tools/list"),
      ];
      for (const request of asked) await scene.post({ token, ...request });
    }
    await eventually("the record", () => written(scene.gateway.logs).length === 16);
    const lines = written(scene.gateway.logs);
    const record = assertChain(lines);
    for (const half of [record.slice(0, 8), record.slice(8)]) {
      assert.deepEqual(
        half.map(({ name, verdict, rule, would, would_rule }) => [name, verdict, rule, would, would_rule]),
        [
          ["read", "allow", "read", "deny", "soon"],
          ["read", "allow", "read", "deny", "soon"],
          ["drop_table", "deny", "no-drops", undefined, undefined],
          ["nothing", "deny", "(default)", undefined, undefined],
          ["write", "step_up", "write", undefined, undefined],
          ["pay", "deny", "(default)", undefined, undefined],
          ["pay", "allow", "pay", undefined, undefined],
          [undefined, "allow", "(protocol)", undefined, undefined],
        ],
      );
      assert.equal(half[4].missing, "files:write");
      assert.match(half[0].arguments, /^[0-9a-f]{32}$/);
      assert.equal(half[0].arguments, half[1].arguments, "the same arguments are known again");
      assert.notEqual(half[5].arguments, half[6].arguments);
    }
    assert.equal(new Set(record.map(({ policy }) => policy)).size, 1);
    assert.equal(new Set(record.map(({ subject }) => subject)).size, 1);
    for (const { request_id, enforced, roles, scopes } of record) {
      const line = scene.gateway
        .events()
        .find((one) => one.event === "request" && one.request_id === request_id);
      assert.ok(line, "each decision is of a request in the log");
      assert.deepEqual([enforced, roles, scopes], [true, ["reader"], "mcp:tools"]);
    }
    const all = scene.gateway.logs.join("\n");
    for (const told of [secret, CLAIMS.sub, CLAIMS.email]) assert.ok(!all.includes(told), told);
    assert.deepEqual(scene.tokensInLog(), []);
  }),
);

test(
  "a name from outside stays inside its line",
  withScene(logged(), async (scene) => {
    const names = [
      'x","hash":"0"}\n{"event":"decision"',
      "\u001b[31mred",
      "n".repeat(1_000),
      "\u2028",
      "é".repeat(300),
    ];
    for (const name of names) assert.equal(outcome(await scene.post(call(legacy, name))), UNKNOWN_TOOL);
    await eventually("the record", () => written(scene.gateway.logs).length === names.length);
    const record = assertChain(written(scene.gateway.logs));
    assert.deepEqual(
      record.map(({ name }) => name),
      names.map((name) => [...name].slice(0, 256).join("")),
    );
  }),
);

/** Works with a gateway that has sinks. */
const withSinks =
  (changes, work, resource = {}) =>
  async () => {
    const idp = await startStaticIssuer();
    const origin = await startWitness();
    const config = (url) =>
      configFor({
        url,
        issuer: idp.issuer,
        origin: origin.url,
        resource: { rules: RULES, ...resource },
        ...changes,
      });
    let gateway;
    const post = async (request, claims = CLAIMS) => {
      const token = await idp.token(`${gateway.url}/mcp`, { claims });
      const fields = {
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/json",
        ...request.fields,
      };
      return send(gateway, { method: "POST", fields, body: request.body });
    };
    try {
      gateway = await startWithSinks(config);
      await work({ gateway, origin, post });
    } finally {
      await Promise.all([gateway?.close(), idp.close(), origin.close()]);
    }
  };
const ASKED = ["read", "drop_table", "write", "nothing"].map((name) => call(modern, name));

test(
  "a queue and a data set get every line, and the console none where it is off",
  withSinks(
    { decision_log: { console: false, queue: "QUEUE", analytics_engine: "POINTS" } },
    async (scene) => {
      const { gateway } = scene;
      for (const request of ASKED) await scene.post(request);
      await eventually("the queue", () => gateway.messages.length === ASKED.length, 20_000);
      await eventually("the data set", () => gateway.points.length === ASKED.length);
      const bySeq = (one, other) => JSON.parse(one).seq - JSON.parse(other).seq;
      const record = assertChain(gateway.messages.toSorted(bySeq));
      assert.deepEqual(
        record.map(({ verdict }) => verdict),
        ["allow", "deny", "step_up", "deny"],
      );
      for (const { indexes, blobs } of gateway.points) {
        const { subject, v, resource, mcp_method, name, verdict, rule } = JSON.parse(blobs.at(-1));
        assert.deepEqual(indexes, [subject]);
        assert.deepEqual(blobs.slice(0, -1), [`${v}`, resource, mcp_method, name, verdict, rule, subject]);
        assert.ok(gateway.messages.includes(blobs.at(-1)));
      }
      assert.deepEqual(written(gateway.logs), []);
    },
  ),
);

for (const [what, log] of [
  ["a queue that takes nothing", { queue: "BROKEN" }],
  ["a queue that is not bound", { queue: "NOWHERE" }],
  ["a data set that is not bound", { analytics_engine: "NOWHERE" }],
]) {
  test(
    `${what} is said so in the log, and stops nobody`,
    withSinks({ decision_log: log }, async ({ gateway, post }) => {
      assert.equal(outcome(await post(ASKED[0])), PASSED);
      const missing = () => gateway.events().find(({ reason }) => reason === "decision_not_recorded");
      assert.equal((await eventually("the line", missing)).level, "error");
      await eventually("the record", () => written(gateway.logs).length === 1);
    }),
  );
}

test(
  "a data set as Miniflare has it takes the points",
  withSinks({ decision_log: { analytics_engine: "REAL_POINTS" } }, async ({ gateway, post }) => {
    assert.equal(outcome(await post(ASKED[0])), PASSED);
    await eventually("the record", () => written(gateway.logs).length === 1);
    assert.ok(!gateway.events().some(({ reason }) => reason === "decision_not_recorded"));
  }),
);

/** Asks until it is too often: a period may end in between, and two do not. */
async function tooOften(ask, limit) {
  for (let count = 0; count <= 2 * limit + 1; count += 1) {
    const answer = await ask();
    if (answer.status !== 200) return { answer, count };
  }
  throw new Error("it is never too often");
}

for (const [what, binding] of [
  ["a rate-limiting binding", { binding: "LIMITER" }],
  ["no binding", {}],
  ["a binding that is not there", { binding: "NOWHERE" }],
]) {
  test(
    `limits with ${what}: each caller apart, 429 with Retry-After, and 503 for a probe`,
    withSinks(
      {},
      async ({ gateway, origin, post }) => {
        for (const [name, era] of Object.entries(ERAS)) {
          const claims = { ...CLAIMS, sub: name };
          const { answer, count } = await tooOften(() => post(call(era, "read"), claims), 3);
          assert.ok(count >= 3 && origin.requests.length >= count, `${count}`);
          const retryAfter = answer.fields["retry-after"];
          assert.ok(Number(retryAfter) >= 1 && Number(retryAfter) <= 60, retryAfter);
          await assertRefused(gateway, answer, { status: 429, reason: "rate_limited", retryAfter, id: 7 });
          assert.equal(outcome(await post(call(era, "read"), { ...CLAIMS, sub: `not-${name}` })), PASSED);
        }
        const probe = (request) => tooOften(() => post(request, { ...CLAIMS, sub: "prober" }), 3);
        assert.equal((await probe(modern("server/discover"))).answer.status, 503);
        assert.equal(
          (await probe(legacy("initialize", {}, { "MCP-Protocol-Version": undefined }))).answer.status,
          503,
        );
      },
      { limits: [{ by: ["subject"], requests: 3, seconds: 60, ...binding }] },
    ),
  );
}

test(
  "limits of tools: others go uncounted, and each call of a batch counts",
  withScene(
    {
      resource: {
        rules: RULES,
        limits: [{ by: ["subject", "tool"], tools: ["re*"], requests: 3, seconds: 60 }],
      },
    },
    async (scene) => {
      const token = await scene.token({ claims: CLAIMS });
      const pay = call(legacy, "pay", { to: "x@acme.example" });
      for (let count = 0; count < 8; count += 1)
        assert.equal((await scene.post({ token, ...pay })).status, 200);
      const message = (id) => ({ jsonrpc: "2.0", id, method: "tools/call", params: { name: "read" } });
      const batch = { body: JSON.stringify([1, 2, 3, 4].map(message)) };
      const answer = await scene.post({ token, ...batch });
      assert.ok([200, 429].includes(answer.status));
      const more = await tooOften(() => scene.post({ token, ...call(legacy, "read") }), 3);
      assert.equal(more.answer.status, 429);
      assert.equal((await lineOf(scene.gateway, more.answer)).reason, "rate_limited");
      assert.equal((await scene.post({ token, ...pay })).status, 200);
    },
  ),
);
