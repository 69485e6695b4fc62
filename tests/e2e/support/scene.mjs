// What most tests need: an authorization server that does as it is told, a witness for an origin server, and the
// gateway between them.
import { configFor, startGateway } from "./gateway.mjs";
import { send } from "./http.mjs";
import { startStaticIssuer } from "./issuer.mjs";
import { startWitness } from "./origin.mjs";
import { startRecorder } from "./recorder.mjs";

export const CALL = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "add", arguments: {} } };
export const MODERN = { "MCP-Protocol-Version": "2026-07-28" };
export const LEGACY = { "MCP-Protocol-Version": "2025-11-25" };

/**
 * Starts all three. `resource` changes the one resource, `/mcp`; `changes(scene)` gives more keys for the
 * configuration, where `scene` has `url`, `idp` and `origin`. The rest is for `startGateway`.
 */
export async function startScene({ keys, resource = {}, changes = () => ({}), origin: url, ...rest } = {}) {
  const idp = await startStaticIssuer({ keys });
  const origin = await startWitness();
  const tokens = [];
  const config = (gatewayUrl) =>
    configFor({
      url: gatewayUrl,
      issuer: idp.issuer,
      origin: url ?? origin.url,
      resource,
      ...changes({ url: gatewayUrl, idp, origin }),
    });
  const gateway = await startGateway({ config, ...rest });
  const resourceUrl = `${gateway.url}/mcp`;

  const scene = {
    idp,
    origin,
    gateway,
    resourceUrl,
    metadataUrl: `${gateway.url}/.well-known/oauth-protected-resource/mcp`,
    tokens,
    /** Keeps a token in mind, so that `tokensInLog()` looks for it. */
    keep(token) {
      tokens.push(token);
      return token;
    },
    token: async ({ audience = resourceUrl, ...changed } = {}) =>
      scene.keep(await idp.token(audience, changed)),
    /** The fields of a good POST. */
    async fields(more = {}, token = undefined) {
      const bearer = `Bearer ${token ?? (await scene.token())}`;
      return { Authorization: bearer, "Content-Type": "application/json", ...more };
    },
    /** A POST with a good token, unless told otherwise. */
    async post({ token, fields, body = JSON.stringify(CALL), ...rest } = {}) {
      return send(gateway, { method: "POST", fields: await scene.fields(fields, token), body, ...rest });
    },
    /** The lines of the log that hold a token, or a part of one that could be used. */
    tokensInLog() {
      const parts = tokens.flatMap((token) => [token, ...token.split(".").slice(1)]);
      const telling = parts.filter((part) => part.length >= 16);
      return gateway.logs.filter((line) => telling.some((part) => line.includes(part)));
    },
    close: () => Promise.all([gateway.close(), idp.close(), origin.close()]),
  };
  return scene;
}

/** A test's function: it runs `work` with a scene of its own. */
export const withScene = (options, work) => async () => {
  const scene = await startScene(options);
  try {
    await work(scene);
  } finally {
    await scene.close();
  }
};

/** Runs `work` with a scene whose origin server is real, and with the recorder before that server. */
export async function withReal(start, options, work) {
  const real = await start();
  const recorder = await startRecorder(real.url);
  const scene = await startScene({ ...options, origin: recorder.url });
  try {
    await work(scene, recorder);
  } finally {
    await scene.close();
    await recorder.close();
    await real.close();
  }
}
