// A company whose identity provider also manages access to the gateway: a real one (npm `oidc-provider`), which exchanges ID
// tokens for ID-JAGs (RFC 8693).
import { createPrivateKey, randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { send } from "../../e2e/support/http.mjs";
import { startLogin } from "../../e2e/support/login.mjs";

export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG = "urn:ietf:params:oauth:token-type:id-jag";

/** The client that the company knows at its provider and at the gateway. */
export const AGENT = { id: "agent", secret: "what the agent knows".padEnd(40, ".") };

/** A call of the tool `add` with a token, in the isolate at this port: status and text. */
export async function use(gateway, token, port = gateway.directPort) {
  const meta = "io.modelcontextprotocol";
  const message = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name: "add",
      // No request id has seven eights.
      arguments: { a: 1234567, b: 7654321 },
      _meta: {
        [`${meta}/protocolVersion`]: "2026-07-28",
        [`${meta}/clientInfo`]: { name: "agent", version: "1.0.0" },
        [`${meta}/clientCapabilities`]: {},
      },
    },
  };
  const fields = {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "add",
  };
  const answer = await send(gateway, { method: "POST", port, fields, body: JSON.stringify(message) });
  return { status: answer.status, text: answer.body };
}

/** Signs claims with the key of a provider. */
export const signed = (idp, claims, header = {}) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: idp.key.alg, kid: idp.key.kid, ...header })
    .sign(createPrivateKey({ key: idp.key, format: "jwk" }));

/** The claims of an ID-JAG for the gateway; `changes` replaces some. */
export function idJag(scene, changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: scene.idp.issuer,
    sub: scene.idp.user?.sub ?? "ada",
    aud: scene.issuer,
    client_id: AGENT.id,
    resource: scene.resource,
    scope: "mcp:tools",
    jti: randomUUID(),
    iat: now,
    exp: now + 300,
    ...changes,
  };
}

/** Has the provider exchange an ID token of its own for an ID-JAG, as the company's administrators allow. */
function exchanges(scene) {
  const { provider } = scene.idp;
  const parameters = [
    "audience",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
  ];
  provider.registerGrantType(
    TOKEN_EXCHANGE,
    async (ctx) => {
      const { params, client } = ctx.oidc;
      const refused = (error) => {
        ctx.status = 400;
        ctx.body = { error };
      };
      if (params.requested_token_type !== ID_JAG) return refused("invalid_request");
      const claims = JSON.parse(Buffer.from(params.subject_token.split(".")[1], "base64url"));
      if (claims.iss !== scene.idp.issuer || scene.idp.user?.sub !== claims.sub)
        return refused("invalid_grant");
      const { aud, resource, scope } = {
        aud: params.audience,
        resource: params.resource,
        scope: params.scope,
      };
      const said = { aud, resource, client_id: client.clientId, ...(scope ? { scope } : {}) };
      ctx.body = {
        issued_token_type: ID_JAG,
        access_token: await signed(scene.idp, idJag(scene, { groups: scene.idp.user.groups, ...said }), {
          typ: "oauth-id-jag+jwt",
        }),
        token_type: "N_A",
        expires_in: 300,
      };
    },
    parameters,
  );
}

/** Starts provider, origin server and gateway. The provider manages access: `id_jag` changes what the gateway accepts of it. */
export async function startCompany({ id_jag = {}, server = {}, secrets = {}, ...rest } = {}) {
  const scene = await startLogin({
    secrets: { AGENT_SECRET: AGENT.secret, ...secrets },
    server: (idp) => ({
      trusted_issuers: [{ name: "acme", issuer: idp.issuer, id_jag: { anyone: true, ...id_jag } }],
      token_claims: ["groups"],
      clients: [
        {
          client_id: AGENT.id,
          token_endpoint_auth_method: "client_secret_basic",
          secret: "AGENT_SECRET",
          grant_types: [JWT_BEARER],
        },
      ],
      ...server,
    }),
    clients: [
      {
        client_id: AGENT.id,
        client_secret: AGENT.secret,
        redirect_uris: ["http://127.0.0.1:9/agent"],
        grant_types: ["authorization_code", TOKEN_EXCHANGE],
        response_types: ["code"],
      },
    ],
    ...rest,
  });
  exchanges(scene);
  const basic = Buffer.from(`${AGENT.id}:${encodeURIComponent(AGENT.secret)}`).toString("base64");
  return {
    ...scene,
    get user() {
      return scene.idp.user;
    },
    set user(user) {
      scene.idp.user = user;
    },
    /** An ID token of the provider for the agent's user. */
    idToken() {
      const now = Math.floor(Date.now() / 1000);
      const { sub } = scene.idp.user;
      return signed(scene.idp, { iss: scene.idp.issuer, sub, aud: AGENT.id, iat: now, exp: now + 300 });
    },
    /** An ID-JAG with other claims than the provider would give. */
    jag: (changes = {}, header = {}) =>
      signed(scene.idp, idJag(scene, changes), { typ: "oauth-id-jag+jwt", ...header }),
    /** Sends an assertion to the token endpoint, in the isolate at this port. */
    async exchange(assertion, more = {}, port = scene.gateway.directPort) {
      const { status, body } = await send(scene.gateway, {
        method: "POST",
        target: "/token",
        port,
        fields: { Authorization: `Basic ${basic}`, "Content-Type": "application/x-www-form-urlencoded" },
        body: `${new URLSearchParams({ grant_type: JWT_BEARER, assertion, ...more })}`,
      });
      return { status, body: JSON.parse(body) };
    },
    use: (token, port) => use(scene.gateway, token, port),
  };
}
