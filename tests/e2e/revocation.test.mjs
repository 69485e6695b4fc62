/** The gateway's own list of what is revoked, in KV. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertPasses } from "./support/provider.mjs";
import { assertRefused, lineOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 90_000 };
const SECOND = 1_000;
/** The configured minimum less what KV's own edge may take. */
const WITHIN = 30 * SECOND;

const revoking = (list) => ({
  changes: () => ({ revocation: { kv: "LISTS" } }),
  kv: { LISTS: list === undefined ? {} : { revocations: JSON.stringify(list) } },
});
async function revoked(scene, answer) {
  assert.equal(answer.status, 401);
  assert.match(answer.fields["www-authenticate"], /^Bearer error="invalid_token"/);
  assert.equal((await lineOf(scene.gateway, answer)).reason, "token_revoked");
}

for (const [what, list] of Object.entries({
  "a token by its jti": { jti: ["the-one"] },
  "a subject": { sub: ["ada"] },
  "a client": { client_id: ["test-client"] },
  "what was issued before a moment": { issued_before: [{ before: 4_000_000_000, sub: "ada" }] },
})) {
  test(
    `${what} that is on the list opens nothing`,
    PATIENCE,
    withScene(revoking({ version: 1, ...list }), async (scene) => {
      await revoked(scene, await scene.post({ token: await scene.token({ claims: { jti: "the-one" } }) }));
      assert.deepEqual(scene.origin.requests, []);
    }),
  );
}

test(
  "without a list nobody passes, and with one everybody who is not on it",
  PATIENCE,
  withScene(revoking(undefined), async (scene) => {
    const refusal = { status: 503, reason: "revocations_unavailable", retryAfter: "2" };
    await assertRefused(scene.gateway, await scene.post(), refusal);
    const lists = await scene.gateway.kv("LISTS");
    await lists.put("revocations", "{}");
    await sleep(2 * SECOND);
    await assertRefused(scene.gateway, await scene.post(), refusal);
    await lists.put("revocations", JSON.stringify({ version: 1, sub: ["eve"] }));
    await sleep(2 * SECOND);
    await assertPasses(scene);
  }),
);

test(
  "a change takes effect within its seconds, for tokens that are known too",
  PATIENCE,
  withScene(revoking({ version: 1 }), async (scene) => {
    const token = await scene.token();
    await assertPasses(scene, { token });
    await (await scene.gateway.kv("LISTS")).put("revocations", JSON.stringify({ version: 1, sub: ["ada"] }));
    await sleep(WITHIN + SECOND);
    await revoked(scene, await scene.post({ token }));
  }),
);
