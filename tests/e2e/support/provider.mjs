// What the tests of identity providers have in common.
import assert from "node:assert/strict";
import { startIdentityProvider } from "../../../examples/identity-provider/provider.mjs";
import { configFor, startGateway } from "./gateway.mjs";
import { send } from "./http.mjs";
import { startWitness } from "./origin.mjs";
import { assertRefused } from "./refusal.mjs";
import { getToken } from "./token.mjs";

/** What the gateway waits after a failure before it asks again, in seconds. */
export const RETRY_SECONDS = 10;
/** Fetches for unknown key ids that may be on their way at once. */
export const PARALLEL = 8;

/** Configuration without metadata, so that only the JWK set is fetched. */
export const atJwksUri = ({ idp }) => ({
  issuers: [{ name: "idp", issuer: idp.issuer, jwks_uri: idp.jwksUri }],
});

/** 503, never 401: with a 401 clients would ask people to log in again. `detail` is what the log says. */
export async function assertUnavailable(scene, detail) {
  const answer = await scene.post();
  const retryAfter = `${RETRY_SECONDS}`;
  await assertRefused(scene.gateway, answer, { status: 503, reason: "issuer_unavailable", retryAfter });
  assert.deepEqual(scene.origin.requests, []);
  const why = scene.gateway.events().findLast(({ reason }) => reason === "keys_unavailable");
  assert.equal(why.level, "error");
  assert.match(why.detail, detail);
  assert.deepEqual(scene.tokensInLog(), []);
}

export async function assertPasses(scene, options) {
  const answer = await scene.post(options);
  assert.equal(answer.status, 200, answer.body);
}

/** A test's function: it runs `work` with a gateway before which a real provider (npm `oidc-provider`) stands. */
export const withRealProvider = (work) => async () => {
  const idp = await startIdentityProvider();
  const origin = await startWitness();
  const config = (url) => configFor({ url, issuer: idp.issuer, origin: origin.url });
  const gateway = await startGateway({ config });
  /** The status of a call with this token. */
  const call = async (token) => {
    const fields = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    return (await send(gateway, { method: "POST", fields, body: "{}" })).status;
  };
  try {
    await work({ idp, call, token: () => getToken(idp, { resource: `${gateway.url}/mcp` }) });
  } finally {
    await Promise.all([gateway.close(), idp.close(), origin.close()]);
  }
};
