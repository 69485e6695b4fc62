// An authorization server that has a metadata document, a JWK set and private keys, and is told what to answer:
// for the tokens and the failures that a real one does not make.
import { createPrivateKey, generateKeyPair, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { promisify } from "node:util";
import { base64url, CompactSign } from "jose";
import { remember } from "./secrets.mjs";

const generate = promisify(generateKeyPair);
const METADATA = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
const JWKS = "/jwks";
const INTROSPECTION = "/introspect";

const RSA = ["rsa", { modulusLength: 2048 }];
const KINDS = {
  ES256: ["ec", { namedCurve: "P-256" }],
  ES384: ["ec", { namedCurve: "P-384" }],
  ES512: ["ec", { namedCurve: "P-521" }],
  EdDSA: ["ed25519", {}],
  Ed25519: ["ed25519", {}],
  PS256: RSA,
  PS384: RSA,
  PS512: RSA,
  RS256: RSA,
  RS384: RSA,
  RS512: RSA,
};

/** Every algorithm that the gateway verifies, in the order in which it names them. */
export const ALGORITHMS = Object.keys(KINDS);

/** A fresh key pair with a key id: `jwk` is the public half, `privateJwk` the other. */
export async function makeKey(alg = "RS256", kid = `${alg.toLowerCase()}-${randomUUID()}`, bits) {
  const [kind, options] = KINDS[alg];
  const pair = await generate(kind, bits ? { modulusLength: bits } : options);
  return {
    alg,
    kid,
    privateKey: pair.privateKey,
    privateJwk: pair.privateKey.export({ format: "jwk" }),
    pem: pair.publicKey.export({ format: "pem", type: "spki" }),
    jwk: { ...pair.publicKey.export({ format: "jwk" }), kid, alg, use: "sig" },
  };
}

/** What an access token for `audience` says (RFC 9068 §2.2). A claim that is changed to `undefined` is left out. */
export function claimsFor(issuer, audience, changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: issuer,
    sub: "ada",
    aud: audience,
    client_id: "test-client",
    scope: "mcp:tools",
    iat: now,
    exp: now + 300,
    jti: randomUUID(),
    ...changes,
  };
}

/** Signs `claims`, which may be anything. A member of `header` that is `undefined` is left out. */
export async function signToken(claims, key, header = {}) {
  const fields = { alg: key.alg, kid: key.kid, typ: "at+jwt", ...header };
  const payload = typeof claims === "string" ? claims : JSON.stringify(claims);
  const signed = await new CompactSign(new TextEncoder().encode(payload))
    .setProtectedHeader(JSON.parse(JSON.stringify(fields)))
    .sign(key.secret ?? createPrivateKey({ key: key.privateJwk, format: "jwk" }));
  return remember(signed);
}

/** A token put together from its parts, whatever they are. */
export function assembleToken(header, claims, signature = "") {
  const part = (value) => base64url.encode(typeof value === "string" ? value : JSON.stringify(value));
  return `${part(header)}.${part(claims)}.${base64url.encode(signature)}`;
}

const json = (value, fields = {}) => ({
  status: 200,
  fields: { "content-type": "application/json", ...fields },
  body: JSON.stringify(value),
});

/**
 * Starts the server. `answers.metadata`, `answers.jwks` and `answers.introspection` may be replaced at any time: each is
 * a function of request and response that returns `{ status, fields, body }`, or nothing where it answers by itself or
 * not at all. `fetches` lists the paths that were asked for.
 */
export async function startStaticIssuer({ keys, port = 0 } = {}) {
  const published = keys ?? [await makeKey()];
  const fetches = [];
  const server = createServer((request, response) => {
    fetches.push(request.url);
    const kind = METADATA.includes(request.url)
      ? "metadata"
      : { [JWKS]: "jwks", [INTROSPECTION]: "introspection" }[request.url];
    const answer = kind ? answers[kind](request, response) : { status: 404, fields: {}, body: "" };
    if (answer) response.writeHead(answer.status, answer.fields).end(answer.body);
  });
  const listen = (on) =>
    new Promise((resolve, reject) => server.once("error", reject).listen(on, "127.0.0.1", resolve));
  await listen(port);
  const bound = server.address().port;
  const issuer = `http://127.0.0.1:${bound}`;
  const answers = {
    metadata: () =>
      json({
        issuer,
        jwks_uri: `${issuer}${JWKS}`,
        introspection_endpoint: `${issuer}${INTROSPECTION}`,
      }),
    jwks: () => json({ keys: published.map(({ jwk }) => jwk) }),
    introspection: () => json({ active: false }),
  };
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });

  return {
    issuer,
    jwksUri: `${issuer}${JWKS}`,
    port: bound,
    answers,
    fetches,
    keys: published,
    json,
    jwksFetches: () => fetches.filter((path) => path === JWKS).length,
    introspections: () => fetches.filter((path) => path === INTROSPECTION).length,
    /** An access token for `audience`; `claims`, `header` and `key` say what is different about it. */
    token: (audience, { claims, header, key = published[0] } = {}) =>
      signToken(claimsFor(issuer, audience, claims), key, header),
    close,
    /** Listens again, on the port that it had. */
    reopen: () => listen(bound),
  };
}
