// A real authorization server (npm `oidc-provider`) for what the example's does not do: opaque tokens that a gateway
// asks about under each way to authenticate, signed answers (RFC 9701), tokens bound to keys (RFC 9449).
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { calculateJwkThumbprint } from "jose";
import Provider from "oidc-provider";
import { createStore } from "../../../examples/identity-provider/store.mjs";
import { makeProof } from "./dpop.mjs";
import { makeKey } from "./issuer.mjs";

const SCOPES = ["mcp:tools", "files:read"];
const ROUTES = { token: "/token", introspection: "/introspect", revocation: "/revoke", jwks: "/jwks" };

const secret = () => randomBytes(24).toString("base64url");

/**
 * Starts the server. `format` is `opaque` or `jwt`, or a function that says which for each token; `ttl` the life of access tokens in
 * seconds; `scopes` those that there are.
 *
 * `gateways` are clients that may introspect: `basic`, `post` and `key` by how they authenticate (`basic` has a secret
 * that means something else where it is not form-encoded), each `{ clientId, secret }`. `requests(path)` gives what came
 * in at a path: `introspections()` at the one for introspection.
 */
export async function startAuthorizationServer({ format = "opaque", ttl = 300, scopes = SCOPES } = {}) {
  const signingKey = await makeKey("RS256");
  // The secret as `npx portcullis keys make` makes it; the server knows the public half by the id that the gateway gives it.
  const clientKey = await makeKey("ES256");
  const kid = await calculateJwkThumbprint(clientKey.jwk);
  const machine = { clientId: "machine", secret: secret() };
  const gateways = {
    basic: { clientId: "gate:basic", secret: `${secret()}+/%41 &=:` },
    post: { clientId: "gate-post", secret: `${secret()}+/%41 &=:` },
    key: { clientId: "gate-key", secret: JSON.stringify(clientKey.privateJwk) },
  };
  const noGrant = { grant_types: [], response_types: [], redirect_uris: [] };
  const requests = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url, authorization: request.headers.authorization });
    provider.callback()(request, response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;

  const provider = new Provider(issuer, {
    adapter: createStore(),
    jwks: { keys: [{ ...signingKey.privateJwk, kid: signingKey.kid, alg: "RS256", use: "sig" }] },
    cookies: { keys: [secret()] },
    routes: ROUTES,
    scopes,
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt"],
    clients: [
      {
        ...noGrant,
        client_id: machine.clientId,
        client_secret: machine.secret,
        token_endpoint_auth_method: "client_secret_basic",
        grant_types: ["client_credentials"],
      },
      {
        ...noGrant,
        client_id: gateways.basic.clientId,
        client_secret: gateways.basic.secret,
        token_endpoint_auth_method: "client_secret_basic",
      },
      {
        ...noGrant,
        client_id: gateways.post.clientId,
        client_secret: gateways.post.secret,
        token_endpoint_auth_method: "client_secret_post",
      },
      {
        ...noGrant,
        client_id: gateways.key.clientId,
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [{ ...clientKey.jwk, kid }] },
      },
    ],
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId.startsWith("gate") },
      jwtIntrospection: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, audience) => ({
          audience,
          scope: scopes.join(" "),
          accessTokenFormat: typeof format === "function" ? format() : format,
          accessTokenTTL: ttl,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    ttl: { ClientCredentials: ttl },
  });
  provider.on("server_error", (_ctx, error) => console.error(`authorization server: ${error.stack}`));

  const basic = Buffer.from(`${machine.clientId}:${machine.secret}`).toString("base64");
  const post = async (path, form, headers = {}) => {
    const response = await fetch(`${issuer}${path}`, {
      method: "POST",
      headers: { Authorization: `Basic ${basic}`, ...headers },
      body: new URLSearchParams(form),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };

  return {
    issuer,
    jwksUri: `${issuer}${ROUTES.jwks}`,
    gateways,
    introspections: () => requests.filter(({ path }) => path === ROUTES.introspection).length,
    /** What nobody may find in a log. */
    secrets: [
      machine.secret,
      basic,
      ...Object.values(gateways).map(({ secret: one }) => one),
      clientKey.privateJwk.d,
    ],
    /** An access token for `resource`, bound to `proofKey` where there is one. */
    async token(resource, { scope = "mcp:tools", proofKey } = {}) {
      const form = { grant_type: "client_credentials", scope, resource };
      const proof =
        proofKey && (await makeProof(proofKey, { method: "POST", url: `${issuer}${ROUTES.token}` }));
      const { access_token: token, token_type: type } = await post(
        ROUTES.token,
        form,
        proof ? { DPoP: proof } : {},
      );
      if (type !== (proofKey ? "DPoP" : "Bearer")) throw new Error(`a ${type} token`);
      return token;
    },
    revoke: (token) => post(ROUTES.revocation, { token }),
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
