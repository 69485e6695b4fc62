/** Keys rotate under load, and not one good token is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeKey } from "./support/issuer.mjs";
import { atJwksUri, PARALLEL } from "./support/provider.mjs";
import { withScene } from "./support/scene.mjs";

const CONNECTIONS = 8;
/** A provider publishes a key before it signs with it; the gateway looks for unknown ones once in 30 seconds. */
const ROTATIONS = 2;
const PAUSE = 31_000;

test(
  `${ROTATIONS} rotations under load from ${CONNECTIONS} connections`,
  { timeout: 170_000 },
  withScene({ changes: atJwksUri }, async (scene) => {
    let key = scene.idp.keys[0];
    let going = true;
    const statuses = {};
    const caller = async () => {
      while (going) {
        // A token of its own for each request, with whatever key the provider signs with at the moment.
        const answer = await scene.post({ token: await scene.token({ key }) });
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      }
    };
    const callers = Array.from({ length: CONNECTIONS }, caller);
    for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
      await sleep(PAUSE);
      const next = await makeKey("ES256");
      scene.idp.keys.push(next);
      key = next;
      await sleep(1_000);
      // The old one goes: tokens of it have ended.
      scene.idp.keys.splice(0, scene.idp.keys.length - 1);
    }
    await sleep(1_000);
    going = false;
    await Promise.all(callers);
    assert.deepEqual(Object.keys(statuses), ["200"], JSON.stringify(statuses));
    assert.ok(statuses[200] > 1_000, `${statuses[200]} requests are no load`);
    // A key comes and a key goes, and for each a few may ask at once.
    const fetches = scene.idp.jwksFetches();
    assert.ok(fetches <= 1 + ROTATIONS * 2 * PARALLEL, `${fetches} fetches`);
  }),
);
