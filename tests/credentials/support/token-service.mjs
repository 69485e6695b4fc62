// A real authorization server (npm `oidc-provider`) that also exchanges tokens (RFC 8693), issues and redeems identity assertions
// (ID-JAG), and knows Entra's on-behalf-of: it checks each subject token with the keys of the issuer that it trusts.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { calculateJwkThumbprint, createRemoteJWKSet, jwtVerify, SignJWT } from "jose";
import Provider, { errors } from "oidc-provider";
import { createStore } from "../../../examples/identity-provider/store.mjs";
import { makeKey } from "../../e2e/support/issuer.mjs";
import { remember } from "../../e2e/support/secrets.mjs";

const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const ID_JAG = "urn:ietf:params:oauth:token-type:id-jag";
const SCOPES = ["tools:call", "tools:admin"];

const secret = () => remember(randomBytes(24).toString("base64url"));

/**
 * Starts the service. `trusted` has the issuers of subject tokens, each `{ issuer, jwksUri }`; `ttl` is the life of its tokens in
 * seconds. `clients` are those of the gateway: `basic`, `post` and `key` by how they authenticate, each `{ clientId, secret }`.
 * `requests` are the forms that came to the token endpoint, with the status of the answer.
 */
export async function startTokenService({ trusted = [], ttl = 300, port = 0 } = {}) {
  const signingKey = await makeKey("RS256");
  const clientKey = await makeKey("ES256");
  const clients = {
    basic: { clientId: "gate:basic", secret: `${secret()}+/%41 &=:` },
    post: { clientId: "gate-post", secret: secret() },
    key: { clientId: "gate-key", secret: JSON.stringify(clientKey.privateJwk) },
  };
  const requests = [];
  const server = createServer(async (request, response) => {
    if (request.method === "POST") {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      const record = { form: new URLSearchParams(text), fields: request.headers };
      requests.push(record);
      response.on("finish", () => {
        record.status = response.statusCode;
      });
      request.body = Object.fromEntries(record.form);
    }
    provider.callback()(request, response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const keys = new Map(trusted.map((one) => [one.issuer, createRemoteJWKSet(new URL(one.jwksUri))]));

  const base = {
    grant_types: ["client_credentials", TOKEN_EXCHANGE, JWT_BEARER],
    response_types: [],
    redirect_uris: [],
  };
  const provider = new Provider(issuer, {
    adapter: createStore(),
    jwks: { keys: [{ ...signingKey.privateJwk, kid: signingKey.kid, alg: "RS256", use: "sig" }] },
    cookies: { keys: [secret()] },
    routes: { token: "/token", jwks: "/jwks" },
    scopes: SCOPES,
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt"],
    clients: [
      {
        ...base,
        client_id: clients.basic.clientId,
        client_secret: clients.basic.secret,
        token_endpoint_auth_method: "client_secret_basic",
      },
      {
        ...base,
        client_id: clients.post.clientId,
        client_secret: clients.post.secret,
        token_endpoint_auth_method: "client_secret_post",
      },
      {
        ...base,
        client_id: clients.key.clientId,
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [{ ...clientKey.jwk, kid: await calculateJwkThumbprint(clientKey.jwk) }] },
      },
    ],
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => oneOf,
        getResourceServerInfo: (_ctx, audience) => ({
          audience,
          scope: SCOPES.join(" "),
          accessTokenFormat: "jwt",
          accessTokenTTL: ttl,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    ttl: { ClientCredentials: ttl, AccessToken: ttl },
  });
  provider.on("server_error", (_ctx, error) => console.error(`token service: ${error.stack}`));

  /** The claims of a subject token, if a trusted issuer signed it and it is valid. */
  async function subjectOf(token) {
    try {
      const { iss } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      const known = keys.get(iss);
      if (known === undefined) throw new Error("the issuer is not trusted");
      return (await jwtVerify(token, known)).payload;
    } catch (error) {
      throw new errors.InvalidGrant(`subject token: ${error.message}`);
    }
  }

  async function issue(ctx, { sub, resource, scope }) {
    const { client, provider } = ctx.oidc;
    const grant = new provider.Grant({ accountId: sub, clientId: client.clientId });
    grant.addResourceScope(resource, scope);
    const token = new provider.AccessToken({
      accountId: sub,
      client,
      grantId: await grant.save(),
      gty: "exchange",
      scope,
    });
    token.resourceServer = new provider.ResourceServer(resource, {
      audience: resource,
      scope,
      accessTokenFormat: "jwt",
      accessTokenTTL: ttl,
      jwt: { sign: { alg: "RS256" } },
    });
    return {
      access_token: remember(await token.save()),
      issued_token_type: ACCESS_TOKEN,
      token_type: "Bearer",
      expires_in: token.expiration,
      scope,
    };
  }

  const sign = (claims, typ) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", kid: signingKey.kid, typ })
      .setIssuer(issuer)
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(signingKey.privateKey);

  provider.registerGrantType(
    TOKEN_EXCHANGE,
    async (ctx) => {
      const { params } = ctx.oidc;
      const subject = await subjectOf(params.subject_token);
      // The name of a caller who may not use what is behind the gateway.
      if (subject.sub === "mallory") throw new errors.AccessDenied("policy does not admit this user");
      if (params.actor_token) await subjectOf(params.actor_token);
      const scope = params.scope ?? "tools:call";
      if (params.requested_token_type === ID_JAG) {
        const claims = {
          sub: subject.sub,
          aud: params.audience,
          client_id: ctx.oidc.client.clientId,
          resource: params.resource,
          scope,
          jti: secret(),
        };
        ctx.body = {
          access_token: remember(await sign(claims, "oauth-id-jag+jwt")),
          issued_token_type: ID_JAG,
          token_type: "N_A",
          expires_in: 300,
        };
        return;
      }
      ctx.body = await issue(ctx, { sub: subject.sub, resource: params.resource, scope });
    },
    [
      "subject_token",
      "subject_token_type",
      "requested_token_type",
      "actor_token",
      "actor_token_type",
      "resource",
      "audience",
      "scope",
    ],
  );
  provider.registerGrantType(
    JWT_BEARER,
    async (ctx) => {
      const { params } = ctx.oidc;
      const claims = await subjectOf(params.assertion);
      const isObo = params.requested_token_use === "on_behalf_of";
      if (!isObo && claims.aud !== issuer)
        throw new errors.InvalidGrant("the assertion is for another server");
      // Entra names the resource in the scope.
      const resource = isObo ? params.scope.replace(/\/\.default$/, "") : claims.resource;
      const scope = isObo ? "tools:call" : (params.scope ?? claims.scope);
      ctx.body = await issue(ctx, { sub: claims.sub, resource, scope });
    },
    ["assertion", "requested_token_use", "scope"],
  );

  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    tokenEndpoint: `${issuer}/token`,
    clients,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
