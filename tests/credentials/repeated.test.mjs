/** What happens when the MCP server refuses a credential: with each of the two drivers, in workerd. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CURRENT, NEXT, startCredentialScene } from "./support/scene.mjs";

const RULES = { rules: [{ effect: "allow", methods: ["*"], tools: ["*"] }], cache_lists: false };
const ROTATING = { credential: () => ({ static: [{ secrets: ["CURRENT", "NEXT"] }] }) };
const OWN = {
  credential: (scene) => ({
    client_credentials: { client: scene.client("basic"), resource: scene.tools.url },
  }),
};
/** A token that was obtained less than this many milliseconds ago is not replaced. */
const SETTLED = 10_500;

for (const [driver, vars] of Object.entries({ shell: {}, core: { PORTCULLIS_DRIVER: "core" } })) {
  const withScene = (options, work) => async () => {
    const scene = await startCredentialScene({ vars, ...options });
    try {
      await work(scene);
    } finally {
      await scene.close();
    }
  };

  describe(`the driver of the ${driver}`, { timeout: 120_000, concurrency: 4 }, () => {
    test(
      "a rotation: the other secret is tried, and used from then on",
      withScene({ ...ROTATING, tools: { keys: [`Bearer ${NEXT}`] } }, async (scene) => {
        for (let round = 0; round < 5; round += 1) assert.equal((await scene.post()).status, 200);
        assert.deepEqual(
          scene.tools.seen.map(({ admitted }) => admitted),
          [false, true, true, true, true, true],
        );
        assert.equal((await scene.whoami("ada", "legacy")).key, NEXT.slice(-4));
      }),
    );

    test(
      "a rotation with many requests at once: every one is answered",
      withScene({ ...ROTATING, tools: { keys: [`Bearer ${NEXT}`] } }, async (scene) => {
        const token = await scene.token();
        const all = await Promise.all(Array.from({ length: 20 }, () => scene.post({ token })));
        assert.ok(all.every(({ status }) => status === 200));
        assert.ok(scene.tools.seen.length <= 40);
      }),
    );

    test(
      "a rotation back, while the gateway runs",
      withScene({ ...ROTATING, tools: { keys: [`Bearer ${NEXT}`, `Bearer ${CURRENT}`] } }, async (scene) => {
        assert.equal((await scene.post()).status, 200);
        scene.tools.refused = (value) => value.endsWith(CURRENT);
        assert.equal((await scene.post()).status, 200);
        scene.tools.refused = (value) => value.endsWith(NEXT);
        assert.equal((await scene.post()).status, 200);
      }),
    );

    test(
      "both secrets are refused: 502 after two attempts, and the log says so",
      withScene({ ...ROTATING, tools: { keys: [] } }, async (scene) => {
        assert.equal((await scene.post()).status, 502);
        assert.equal(scene.tools.seen.length, 2);
        assert.match(scene.last().detail, /refused the static credential, and another one too/);
      }),
    );

    test(
      "a revoked token: a message that was read is repeated with a new one",
      withScene({ ...OWN, resource: RULES }, async (scene) => {
        assert.equal((await scene.post()).status, 200);
        await delay(SETTLED);
        const revoked = scene.tools.seen[0].fields.authorization;
        scene.tools.refused = (value) => value === revoked;
        assert.equal((await scene.post()).status, 200);
        assert.equal(scene.service.requests.length, 2);
        assert.notEqual(scene.tools.seen.at(-1).fields.authorization, revoked);
      }),
    );

    test(
      "a revoked token: a message that passed as a stream is a 502, and the next request has a new token",
      withScene(OWN, async (scene) => {
        const token = await scene.token();
        // More than twice, so that the decision is remembered.
        for (let round = 0; round < 5; round += 1) assert.equal((await scene.post({ token })).status, 200);
        await delay(SETTLED);
        const revoked = scene.tools.seen[0].fields.authorization;
        scene.tools.refused = (value) => value === revoked;
        assert.equal((await scene.post({ token })).status, 502);
        assert.match(scene.last().detail, /passed on as a stream/);
        assert.equal((await scene.post({ token })).status, 200);
        assert.equal(scene.service.requests.length, 2);
      }),
    );

    test(
      "a server that refuses every token: the token endpoint is not asked each time",
      withScene(OWN, async (scene) => {
        scene.tools.refused = () => true;
        for (let round = 0; round < 10; round += 1) assert.equal((await scene.post()).status, 502);
        assert.equal(scene.service.requests.length, 1);
      }),
    );
  });
}

test("a kept token serves repeated requests without another request to the token endpoint, and is renewed in time", {
  timeout: 60_000,
}, async () => {
  const scene = await startCredentialScene({ ...OWN, service: { ttl: 8 } });
  try {
    const token = await scene.token();
    const used = new Set();
    for (let round = 0; round < 24; round += 1) {
      assert.equal((await scene.post({ token })).status, 200, scene.last().detail);
      used.add(scene.tools.seen.at(-1).fields.authorization);
      await delay(500);
    }
    assert.ok(used.size >= 2 && used.size <= 5, `${used.size} tokens in 12 seconds`);
    assert.equal(scene.service.requests.length, used.size);
  } finally {
    await scene.close();
  }
});
