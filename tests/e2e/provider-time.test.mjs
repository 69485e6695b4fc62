/** Identity providers over time: these tests wait as long as the gateway's own limits, all of them together. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "./support/http.mjs";
import {
  assertPasses,
  assertUnavailable,
  atJwksUri,
  PARALLEL,
  RETRY_SECONDS,
  withRealProvider,
} from "./support/provider.mjs";
import { assertRefused } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const SECOND = 1_000;
/** Keys are fresh at least this long. */
const FRESH = 60 * SECOND;
/** Between two fetches for key ids that are not known. */
const COOLDOWN = 30 * SECOND;
const PATIENCE = { timeout: 100_000 };
const JSON_TYPE = { "content-type": "application/json" };

describe("a provider", { concurrency: true }, () => {
  test(
    "that is down at the start is 503 with Retry-After; once it is there the gateway serves, without a restart",
    PATIENCE,
    withScene({}, async (scene) => {
      await scene.idp.close();
      await assertUnavailable(scene, /oauth-authorization-server: .+; .+openid-configuration: /);
      await scene.idp.reopen();
      await assertRefused(scene.gateway, await scene.post(), {
        status: 503,
        reason: "issuer_unavailable",
        retryAfter: `${RETRY_SECONDS}`,
      });
      assert.deepEqual(scene.idp.fetches, [], "it is not asked again before the time that Retry-After gives");
      await sleep(RETRY_SECONDS * SECOND);
      await assertPasses(scene);
    }),
  );

  test(
    "that is down later does no harm to callers whose keys are known",
    PATIENCE,
    withScene({}, async (scene) => {
      await assertPasses(scene);
      await scene.idp.close();
      for (let second = 0; second < 3; second += 1) {
        await sleep(SECOND);
        await assertPasses(scene);
      }
    }),
  );

  test(
    "that is down when its keys have grown old leaves those in use, and is asked again in the background",
    PATIENCE,
    withScene({ changes: atJwksUri }, async (scene) => {
      const { jwks } = scene.idp.answers;
      scene.idp.answers.jwks = () => ({ ...jwks(), fields: { ...JSON_TYPE, "cache-control": "max-age=1" } });
      await assertPasses(scene);
      await scene.idp.close();
      await sleep(FRESH + SECOND);
      await assertPasses(scene);
      const tried = () => scene.gateway.events().find(({ reason }) => reason === "keys_unavailable");
      await eventually("the attempt in the background", tried);
      await assertPasses(scene);
    }),
  );

  test(
    "that fails is not asked by each of many callers",
    PATIENCE,
    withScene({ changes: atJwksUri }, async (scene) => {
      scene.idp.answers.jwks = () => ({ status: 500, fields: {}, body: "" });
      for (let call = 0; call < 20; call += 1) assert.equal((await scene.post()).status, 503);
      assert.equal(scene.idp.jwksFetches(), 1);
    }),
  );

  const SILENT = {
    "that never answers for its keys": [{ changes: atJwksUri }, { jwks: () => {} }, 10],
    "that stops in the middle of its keys": [
      { changes: atJwksUri },
      { jwks: (_request, response) => void response.writeHead(200).write('{"keys":[') },
      10,
    ],
    "that never answers for its metadata": [{}, { metadata: () => {} }, 20],
  };
  for (const [what, [options, answers, seconds]] of Object.entries(SILENT)) {
    test(
      `${what} holds a caller up no longer than ${seconds} seconds`,
      PATIENCE,
      withScene(options, async (scene) => {
        Object.assign(scene.idp.answers, answers);
        const begun = Date.now();
        await assertUnavailable(scene, /./);
        const spent = (Date.now() - begun) / SECOND;
        assert.ok(spent < seconds, `${spent} s`);
      }),
    );
  }

  test(
    "whose keys have grown old is asked once for many callers, who do not wait",
    PATIENCE,
    withScene({ changes: atJwksUri }, async (scene) => {
      const { jwks } = scene.idp.answers;
      scene.idp.answers.jwks = () => ({ ...jwks(), fields: { ...JSON_TYPE, "cache-control": "no-store" } });
      const many = () => Promise.all(Array.from({ length: 10 }, () => assertPasses(scene)));
      await assertPasses(scene);
      await many();
      assert.equal(scene.idp.jwksFetches(), 1, "no-store does not cost a fetch for each request");
      await sleep(FRESH + SECOND);
      await many();
      await eventually("the refresh", () => scene.idp.jwksFetches() === 2);
      await sleep(SECOND);
      assert.equal(scene.idp.jwksFetches(), 2);
    }),
  );

  test(
    "is asked for an unknown key id once after the cool-down, and not again",
    PATIENCE,
    withScene({}, async (scene) => {
      await assertPasses(scene);
      await sleep(COOLDOWN + SECOND);
      const before = scene.idp.jwksFetches();
      // Nobody has looked for the second and the third: that is no reason to have their owners log in again.
      for (const [kid, status] of [
        ["one", 401],
        ["one", 401],
        ["two", 503],
        ["three", 503],
        ["one", 401],
      ]) {
        const token = await scene.token({ header: { kid } });
        assert.equal((await scene.post({ token })).status, status, kid);
      }
      assert.equal(scene.idp.jwksFetches(), before + 1);
    }),
  );

  test(
    "that rotates its keys after the cool-down has many callers with new ones pass together",
    PATIENCE,
    withRealProvider(async ({ idp, call, token }) => {
      const old = await token();
      assert.equal(await call(old), 200);
      await sleep(COOLDOWN + SECOND);
      await idp.rotateKeys({ drop: true });
      const tokens = await Promise.all(Array.from({ length: PARALLEL }, token));
      const statuses = await Promise.all(tokens.map(call));
      assert.deepEqual(
        statuses,
        tokens.map(() => 200),
      );
      assert.equal(await call(old), 503, "a key that the provider withdrew verifies nothing");
    }),
  );
});
