/**
 * Callers who ask and leave, or ask and stay silent: what they leave behind must be nobody else's trouble.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, headOf } from "./support/http.mjs";
import { startScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 60_000 };
const PROVIDER_DELAY = 200;
const SHOT = 60;
const RECOVERY = 20_000;

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token that anybody can write: it names the issuer, and a key. */
const forged = (scene, kid) =>
  `${part({ alg: "RS256", kid, typ: "at+jwt" })}.${part({ iss: scene.idp.issuer })}.AAAA`;

/** Sends forged tokens and breaks each connection before it can be answered, until told to stop. */
function harass(scene, kidOf) {
  let stopped = false;
  const done = (async () => {
    for (let shot = 0; !stopped; shot += 1) {
      const socket = connect(scene.gateway.directPort, "127.0.0.1");
      socket.on("error", () => {});
      const fields = {
        Authorization: `Bearer ${forged(scene, kidOf(shot))}`,
        "Content-Type": "application/json",
      };
      socket.write(`${headOf(scene.gateway, { method: "POST", fields, body: "{}" })}{}`);
      await sleep(SHOT);
      socket.resetAndDestroy();
    }
  })();
  return async () => {
    stopped = true;
    await done;
  };
}

/** Makes the provider's keys take their time. */
function delayKeys(scene, answerOf) {
  scene.idp.answers.jwks = (_request, response) => {
    setTimeout(() => {
      const { status, fields, body } = answerOf();
      response.writeHead(status, fields).end(body);
    }, PROVIDER_DELAY);
  };
}

async function withScene(options, work) {
  const scene = await startScene(options);
  try {
    await work(scene);
  } finally {
    await scene.close();
  }
}

describe("a stranger who asks and leaves", { concurrency: 2 }, () => {
  test("does not keep the gate shut after the provider has recovered", PATIENCE, () =>
    withScene({}, async (scene) => {
      const healthy = scene.idp.answers.jwks;
      scene.idp.answers.jwks = () => ({ status: 500, fields: {}, body: "" });
      assert.equal((await scene.post()).status, 503);
      delayKeys(scene, healthy);
      const stop = harass(scene, () => "same");
      const recovered = async () => (await scene.post()).status === 200;
      try {
        const begun = Date.now();
        while (!(await recovered())) {
          assert.ok(Date.now() - begun < RECOVERY, "it did not recover");
          await sleep(500);
        }
      } finally {
        await stop();
      }
    }),
  );

  test("does not have owners of good tokens log in again", PATIENCE, () =>
    withScene({}, async (scene) => {
      const healthy = scene.idp.answers.jwks;
      assert.equal((await scene.post()).status, 200);
      delayKeys(scene, healthy);
      const stop = harass(scene, (shot) => `unknown-${shot}`);
      try {
        await sleep(2_000);
        const token = await scene.token({ header: { kid: "nobody has looked for this" } });
        for (let at = 0; at < 5; at += 1) {
          assert.equal((await scene.post({ token })).status, 503);
          assert.equal((await scene.post()).status, 200);
        }
        assert.ok(scene.idp.jwksFetches() < 12, `${scene.idp.jwksFetches()} fetches`);
      } finally {
        await stop();
      }
    }),
  );
});

test("a caller who is refused and withholds the body is answered in time, and in the log", PATIENCE, () =>
  withScene({}, async (scene) => {
    await scene.post();
    const token = await scene.token({ claims: { scope: "other" } });
    const seen = scene.gateway.events().length;
    const socket = connect(scene.gateway.directPort, "127.0.0.1");
    socket.on("error", () => {});
    let received = "";
    socket.setEncoding("utf8").on("data", (text) => {
      received += text;
    });
    const fields = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    socket.write(headOf(scene.gateway, { method: "POST", fields, body: "x".repeat(100) }));
    await eventually("the answer", () => received.startsWith("HTTP/1.1 403 "), 5_000);
    await eventually("the line", () => scene.gateway.events().length > seen);
    assert.equal(scene.gateway.events().at(-1).reason, "insufficient_scope");
    socket.destroy();
  }),
);
