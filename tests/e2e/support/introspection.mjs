/** Scenes in which an authorization server is asked about tokens (RFC 7662), and what must hold in them. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { assertRefused, challengeOf, lineOf } from "./refusal.mjs";
import { withScene } from "./scene.mjs";

/** `Retry-After` of the gateway after a question that failed, in seconds. */
export const RETRY_SECONDS = "1";

export const unauthorized = (scene, reason) => ({
  status: 401,
  reason,
  challenge: challengeOf({ error: "invalid_token", scope: "mcp:tools", metadata: scene.metadataUrl }),
});

export async function assertPasses(scene, token, cache) {
  const answer = await scene.post({ token });
  assert.equal(answer.status, 200, answer.body);
  const line = await lineOf(scene.gateway, answer);
  assert.equal(line.credential, "introspection");
  if (cache) assert.equal(line.token_cache, cache);
  return line;
}

export const assertRefusedToken = async (scene, token, reason) =>
  assertRefused(scene.gateway, await scene.post({ token }), unauthorized(scene, reason));

export const assertSaysNothing = (scene, secrets) => {
  assert.deepEqual(scene.tokensInLog(), []);
  const lines = scene.gateway.logs.filter((line) => secrets.some((secret) => line.includes(secret)));
  assert.deepEqual(lines, []);
};

/** The issuer of a scripted server. */
export const scripted = ({ idp }, more = {}, issuer = {}) => ({
  issuers: [
    {
      name: "idp",
      issuer: idp.issuer,
      ...issuer,
      introspection: { client_id: "gate", secret: "INTROSPECTION_SECRET", timeout_seconds: 1, ...more },
    },
  ],
});
export const SECRETS = { INTROSPECTION_SECRET: "the secret of the gate" };

export const withScripted = (more, work, issuer) =>
  withScene({ changes: (scene) => scripted(scene, more, issuer), secrets: SECRETS }, async (scene) => {
    scene.opaque = () => scene.keep(`opaque.${randomBytes(24).toString("base64url")}`);
    /** Answers with what a good token has, and changes. */
    scene.says = (changes = {}) => {
      const members = { active: true, sub: "ada", aud: scene.resourceUrl, scope: "mcp:tools", ...changes };
      scene.idp.answers.introspection = () => scene.idp.json(members);
    };
    scene.says();
    await work(scene);
    assertSaysNothing(scene, Object.values(SECRETS));
  });

export async function assertUnavailable(scene, detail, token = scene.opaque()) {
  const answer = await scene.post({ token });
  const line = await assertRefused(scene.gateway, answer, {
    status: 503,
    reason: "introspection_unavailable",
    retryAfter: RETRY_SECONDS,
  });
  assert.match(line.detail, detail);
  assert.equal(line.issuer, "idp");
  assert.deepEqual(scene.origin.requests, []);
}
