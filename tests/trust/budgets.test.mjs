/** Budgets of a day, counted by Durable Objects. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startScene } from "../e2e/support/scene.mjs";

const PATIENCE = { timeout: 120_000 };
const OBJECTS = { BUDGETS: { className: "DayBudget", useSQLite: true } };

const withBudgets =
  (budgets, work, objects = OBJECTS) =>
  async () => {
    const scene = await startScene({ resource: { budgets }, objects });
    try {
      await work(scene);
    } finally {
      await scene.close();
    }
  };

/** Whether a call of the gateway's witness passes. */
async function calls(scene, name, claims = {}) {
  const token = await scene.token({ claims });
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: {} },
  });
  const answer = await scene.post({ token, body, fields: { "MCP-Protocol-Version": "2025-11-25" } });
  assert.equal(answer.status, 200, answer.body);
  return !answer.body.includes("The budget of ");
}

describe("budgets", PATIENCE, () => {
  test(
    "count exactly, also calls at the same time",
    withBudgets([{ by: ["subject"], calls: 10, binding: "BUDGETS", warn_at: 8 }], async (scene) => {
      const all = await Promise.all(Array.from({ length: 30 }, () => calls(scene, "a", { sub: "alice" })));
      assert.equal(all.filter(Boolean).length, 10);
      assert.equal(await calls(scene, "a", { sub: "bob" }), true);
      const warnings = scene.gateway.logs.filter((line) => line.includes('"reason":"budget_warning"'));
      assert.equal(warnings.length, 1, warnings.join("\n"));
      assert.match(warnings[0], /\/mcp: 8 of 10 calls of a day are made/);
    }),
  );

  test(
    "give a call back that another budget does not have",
    withBudgets(
      [
        { by: ["subject"], calls: 3, binding: "BUDGETS" },
        { by: ["tool"], tools: ["rare"], calls: 1, binding: "BUDGETS" },
      ],
      async (scene) => {
        const made = [];
        for (const name of ["rare", "rare", "rare", "a", "a", "a"]) made.push(await calls(scene, name));
        assert.deepEqual(made, [true, false, false, true, true, false]);
      },
    ),
  );

  test(
    "begin anew each day, and do not begin a day again for a clock that is behind",
    withBudgets([{ by: [], calls: 1, binding: "BUDGETS" }], async (scene) => {
      const namespace = await scene.gateway.object("BUDGETS");
      const object = namespace.get(namespace.idFromName("a counter"));
      const ask = async (query) => (await object.fetch(`https://object.invalid/?${query}`)).text();
      assert.equal(await ask("day=10&most=2"), "1");
      assert.equal(await ask("day=10&most=2"), "2");
      assert.equal(await ask("day=10&most=2"), "spent");
      assert.equal(await ask("day=9&most=2"), "spent");
      assert.equal(await ask("day=11&most=2"), "1");
      assert.equal(await ask("day=11"), "given back");
      assert.equal(await ask("day=11&most=1"), "1");
      assert.equal(await ask("most=1"), "day is required");
    }),
  );

  test(
    "refuse what they cannot count",
    withBudgets(
      [{ by: [], calls: 1, binding: "BUDGETS" }],
      async (scene) => {
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "a" } });
        const answer = await scene.post({ body, fields: { "MCP-Protocol-Version": "2025-11-25" } });
        assert.equal(answer.status, 200);
        assert.match(answer.body, /The gateway cannot count it at the moment/);
        assert.equal(scene.origin.requests?.length ?? 0, 0);
      },
      {},
    ),
  );
});
