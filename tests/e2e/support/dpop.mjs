// What a DPoP client does (RFC 9449): a key of its own, and a proof for each request.
import { createHash, randomUUID } from "node:crypto";
import { CompactSign, exportJWK, generateKeyPair } from "jose";

/** A key for proofs. */
export async function makeProofKey(alg = "ES256") {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, privateKey, privateJwk: await exportJWK(privateKey), jwk: await exportJWK(publicKey) };
}

/** `ath`: the digest of a token. */
export const hashOf = (token) => createHash("sha256").update(token).digest("base64url");

/**
 * A proof for a request, with `token` where it goes to a resource. Members of `claims` and `header` that are changed to
 * `undefined` are left out.
 */
export async function makeProof(key, { method = "POST", url, token, nonce, claims = {}, header = {} }) {
  const said = {
    jti: randomUUID(),
    htm: method,
    htu: url,
    iat: Math.floor(Date.now() / 1000),
    ...(token === undefined ? {} : { ath: hashOf(token) }),
    ...(nonce === undefined ? {} : { nonce }),
    ...claims,
  };
  const fields = { alg: key.alg, typ: "dpop+jwt", jwk: key.jwk, ...header };
  return new CompactSign(new TextEncoder().encode(JSON.stringify(said)))
    .setProtectedHeader(JSON.parse(JSON.stringify(fields)))
    .sign(key.secret ?? key.privateKey);
}
