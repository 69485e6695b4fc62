// What a contestant with `jose` signs and hides for the caller: the identity assertion and the pseudonym in the log.
import { base64url, importJWK, SignJWT } from "jose";
import { GATE } from "../names.mjs";

/** Seconds for which an assertion is valid, as Portcullis's. */
const LIFETIME = 60;

const encoder = new TextEncoder();
const HMAC = { name: "HMAC", hash: "SHA-256" };

let signing;
let hiding;

async function signingKey({ ASSERTION_KEY }) {
  if (signing === undefined) {
    const jwk = JSON.parse(ASSERTION_KEY);
    signing = {
      key: await importJWK(jwk),
      header: { alg: jwk.alg, kid: jwk.kid, typ: "portcullis-assertion+jwt" },
    };
  }
  return signing;
}

/** SHA-256 of a call's arguments. Portcullis puts their members in order first. */
async function argumentsDigest({ params }) {
  const text = encoder.encode(JSON.stringify(params?.arguments ?? {}));
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", text)));
}

/** The identity assertion for a request, with the claims that Portcullis's has. */
export async function assertionFor({ id, message, claims }, env) {
  const { key, header } = await signingKey(env);
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    iss: GATE,
    aud: env.ORIGIN,
    sub: claims.sub,
    subject_issuer: claims.iss,
    scope: claims.scope,
    iat: now,
    exp: now + LIFETIME,
    jti: id,
    client_id: claims.client_id,
    mcp_method: message.method,
    mcp_name: message.params?.name,
    arguments_sha256: await argumentsDigest(message),
  })
    .setProtectedHeader(header)
    .sign(key);
}

/** 64 bits of HMAC-SHA-256 over issuer and subject, keyed with the gateway's URL: what Portcullis's log has by default. */
export async function pseudonym({ iss, sub }) {
  hiding ??= await crypto.subtle.importKey("raw", encoder.encode(GATE), HMAC, false, ["sign"]);
  const digest = await crypto.subtle.sign("HMAC", hiding, encoder.encode(`${iss}\0${sub}`));
  return new Uint8Array(digest, 0, 8).toHex();
}
