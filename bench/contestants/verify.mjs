// How the contestants with `jose` check a token: a cached key set, and the checks that MCP asks for.
import { createRemoteJWKSet, jwtVerify } from "jose";
import { ALGORITHMS, GATE, ISSUER, RESOURCE, SCOPE } from "../names.mjs";

export const METADATA = `${GATE}/.well-known/oauth-protected-resource/mcp`;

let keys;

/** Returns the claims of a request's token, or else the status, the OAuth error and the reason of the refusal. */
export async function verify(request, env) {
  const [scheme, token] = request.headers.get("authorization")?.split(" ") ?? [];
  if (scheme?.toLowerCase() !== "bearer" || !token) return { status: 401, reason: "no_credentials" };
  keys ??= createRemoteJWKSet(new URL(env.JWKS_URI));
  let claims;
  try {
    const verified = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: RESOURCE,
      algorithms: ALGORITHMS,
      typ: "at+jwt",
      requiredClaims: ["exp"],
    });
    claims = verified.payload;
  } catch ({ code }) {
    const reason = code === "ERR_JWT_EXPIRED" ? "token_expired" : "token_invalid";
    return { status: 401, error: "invalid_token", reason };
  }
  if (claims.scope?.split(" ").includes(SCOPE)) return { claims };
  return { status: 403, error: "insufficient_scope", reason: "insufficient_scope" };
}

/** The shortest refusal: a status and a challenge. */
export function refuse({ status, error }) {
  const challenge = `Bearer resource_metadata="${METADATA}", scope="${SCOPE}"${error ? `, error="${error}"` : ""}`;
  return new Response(null, { status, headers: { "www-authenticate": challenge } });
}
