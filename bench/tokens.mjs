// The identity provider's keys and tokens, all made before a measurement begins.
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { ALGORITHMS, ISSUER, RESOURCE, SCOPE } from "./names.mjs";

/** Seconds until a token expires: longer than any run. */
const LIFETIME = 24 * 3600;
/** Number of tokens that are signed in parallel. */
const BATCH = 500;

export async function makeIssuer(folder) {
  const keys = new Map();
  for (const alg of ALGORITHMS) keys.set(alg, await generateKeyPair(alg, { extractable: true }));
  const jwk = async (alg) => ({ ...(await exportJWK(keys.get(alg).publicKey)), kid: alg, alg, use: "sig" });
  let made = 0;

  /** An access token (RFC 9068); `changes` replaces claims. */
  function token(alg, changes = {}) {
    const now = Math.floor(Date.now() / 1000);
    made += 1;
    const claims = {
      iss: ISSUER,
      sub: `user-${made}`,
      aud: RESOURCE,
      client_id: "bench",
      scope: SCOPE,
      iat: now,
      exp: now + LIFETIME,
      jti: `token-${made}`,
      ...changes,
    };
    return new SignJWT(claims)
      .setProtectedHeader({ alg, kid: alg, typ: "at+jwt" })
      .sign(keys.get(alg).privateKey);
  }

  return {
    jwks: { keys: await Promise.all(ALGORITHMS.map(jwk)) },
    token,
    /** An ID token with these claims. */
    idToken(claims) {
      const header = { alg: "RS256", kid: "RS256" };
      return new SignJWT({ iss: ISSUER, ...claims })
        .setProtectedHeader(header)
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(keys.get("RS256").privateKey);
    },
    /** Writes a file with `count` different tokens, one in each line. */
    async file(alg, count) {
      const tokens = [];
      while (tokens.length < count) {
        const batch = Math.min(BATCH, count - tokens.length);
        tokens.push(...(await Promise.all(Array.from({ length: batch }, () => token(alg)))));
      }
      const name = join(folder, `${randomUUID()}.tokens`);
      writeFileSync(name, tokens.join("\n"));
      return name;
    },
  };
}
