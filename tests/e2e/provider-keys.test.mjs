/** Keys of issuers: all algorithms, static keys, unknown key ids, rotation. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ALGORITHMS, makeKey } from "./support/issuer.mjs";
import { PARALLEL, withRealProvider } from "./support/provider.mjs";
import { assertRefused, challengeOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };

test("each algorithm that configuration can name verifies", PATIENCE, async () => {
  const keys = await Promise.all(ALGORITHMS.map((alg) => makeKey(alg)));
  const changes = ({ idp }) => ({ issuers: [{ name: "idp", issuer: idp.issuer, algorithms: ALGORITHMS }] });
  const work = withScene({ keys, changes }, async (scene) => {
    for (const key of keys) {
      const token = await scene.token({ key });
      assert.equal((await scene.post({ token })).status, 200, key.alg);
      const [header, claims, signature] = token.split(".");
      const middle = signature.length >> 1;
      const flipped = signature[middle] === "A" ? "B" : "A";
      const wrong = signature.slice(0, middle) + flipped + signature.slice(middle + 1);
      const answer = await scene.post({ token: scene.keep(`${header}.${claims}.${wrong}`) });
      assert.equal(answer.status, 401, `${key.alg} with a changed signature`);
      assert.equal(scene.gateway.events().at(-1).reason, "token_signature", key.alg);
    }
    assert.deepEqual(scene.tokensInLog(), []);
  });
  await work();
});

describe("a static key verifies without any network", { concurrency: 2 }, () => {
  for (const alg of ["RS256", "ES256", "EdDSA"]) {
    const FORMS = { PEM: ({ pem }) => pem, JWK: ({ jwk }) => JSON.stringify(jwk) };
    for (const [form, write] of Object.entries(FORMS)) {
      test(`${alg} in ${form}`, PATIENCE, async () => {
        const key = await makeKey(alg, "static");
        const changes = ({ idp }) => ({
          issuers: [{ name: "idp", issuer: idp.issuer, public_key: write(key) }],
        });
        const work = withScene({ keys: [key], changes }, async (scene) => {
          // A PEM has no id, and there is one key alone: the token's does not matter.
          const header = form === "PEM" ? { kid: "any" } : {};
          const answer = await scene.post({ token: await scene.token({ header }) });
          assert.equal(answer.status, 200, answer.body);

          const stranger = await makeKey(alg, "static");
          assert.equal(
            (await scene.post({ token: await scene.token({ key: stranger, header }) })).status,
            401,
          );
          const unknown = await scene.token({ header: { kid: "another" } });
          assert.equal((await scene.post({ token: unknown })).status, form === "PEM" ? 200 : 401);
          assert.deepEqual(scene.idp.fetches, [], "nothing is fetched");
        });
        await work();
      });
    }
  }
});

describe("an unknown key id", { concurrency: 2 }, () => {
  test(
    "is refused; 200 of them make few fetches, and harm nobody else",
    PATIENCE,
    withScene({}, async (scene) => {
      assert.equal((await scene.post()).status, 200);
      for (let batch = 0; batch < 10; batch += 1) {
        const tokens = await Promise.all(
          Array.from({ length: 20 }, (_, index) => scene.token({ header: { kid: `${batch}-${index}` } })),
        );
        const answers = await Promise.all(tokens.map((token) => scene.post({ token })));
        // 401 for those that were looked for, 503 for the others: they might be good.
        assert.ok(answers.every(({ status }) => status === 401 || status === 503));
      }
      const fetches = scene.idp.jwksFetches();
      assert.ok(fetches <= 1 + PARALLEL, `${fetches} fetches`);
      assert.equal((await scene.post()).status, 200);
    }),
  );

  test(
    "before any key is known fetches once, not again for the key id",
    PATIENCE,
    withScene({}, async (scene) => {
      const answer = await scene.post({ token: await scene.token({ header: { kid: "nobody" } }) });
      await assertRefused(scene.gateway, answer, {
        status: 401,
        reason: "token_key_unknown",
        challenge: challengeOf({
          error: "invalid_token",
          scope: "mcp:tools",
          metadata: scene.metadataUrl,
        }),
      });
      assert.equal(scene.idp.jwksFetches(), 1);
    }),
  );

  test(
    "does no harm to callers with known keys while the provider is down",
    PATIENCE,
    withScene({}, async (scene) => {
      assert.equal((await scene.post()).status, 200);
      await scene.idp.close();
      const answer = await scene.post({ token: await scene.token({ header: { kid: "nobody" } }) });
      assert.ok([401, 503].includes(answer.status), `${answer.status}`);
      assert.equal((await scene.post()).status, 200);
    }),
  );
});

test(
  "a token with a new key of a real provider passes at once, though the keys were fetched a moment ago",
  PATIENCE,
  withRealProvider(async ({ idp, call, token }) => {
    const old = await token();
    assert.equal(await call(old), 200);
    await idp.rotateKeys();
    assert.equal(await call(await token()), 200);
    assert.equal(await call(old), 200);
  }),
);
