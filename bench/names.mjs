// What the gate, its issuer and its origin server are called. workerd asks whatever it is told to fetch from one local
// server (see workerd.mjs), so that a gate can run with the configuration of a deployment, `https` throughout. The gate
// is on a loopback host because Portcullis would refuse Miniflare's plain HTTP elsewhere.
export const GATE = "https://localhost";
export const RESOURCE = `${GATE}/mcp`;
export const ISSUER = "https://login.example";
export const JWKS_URI = `${ISSUER}/jwks`;
export const ORIGIN = "https://tools.example/mcp";
/** The same server, whose lists say that anyone may be served them from a cache. */
export const PUBLIC_ORIGIN = "https://tools.example/public";
export const SCOPE = "mcp:tools";
export const ALGORITHMS = ["RS256", "ES256", "EdDSA"];
/** Where the client of workers-oauth-provider gets its code. */
export const REDIRECT = "https://client.example/callback";
