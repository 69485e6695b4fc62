// What a user would write instead: `jose` with a cached key set, the checks that MCP asks for, and the token kept from
// the origin server.
import { createRemoteJWKSet, jwtVerify } from "jose";
import { ALGORITHMS, GATE, ISSUER, RESOURCE, SCOPE } from "../names.mjs";
import { forward } from "./forward.mjs";

let keys;

function refuse(status, error) {
  const metadata = `${GATE}/.well-known/oauth-protected-resource/mcp`;
  const challenge = `Bearer resource_metadata="${metadata}", scope="${SCOPE}"${error ? `, error="${error}"` : ""}`;
  return new Response(null, { status, headers: { "www-authenticate": challenge } });
}

export default {
  async fetch(request, env) {
    const [scheme, token] = request.headers.get("authorization")?.split(" ") ?? [];
    if (scheme?.toLowerCase() !== "bearer" || !token) return refuse(401);
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
    } catch {
      return refuse(401, "invalid_token");
    }
    if (!claims.scope?.split(" ").includes(SCOPE)) return refuse(403, "insufficient_scope");
    return forward(request, env);
  },
};
