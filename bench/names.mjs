// The URLs of the gateway, its issuer and its origin server. workerd sends every fetch to one local server (see workerd.mjs), so a
// contestant can run with the configuration of a deployment, with `https` throughout. The gateway is on a loopback host, because
// Portcullis refuses Miniflare's plain HTTP on any other.
export const GATE = "https://localhost";
export const RESOURCE = `${GATE}/mcp`;
export const ISSUER = "https://login.example";
export const JWKS_URI = `${ISSUER}/jwks`;
export const ORIGIN = "https://tools.example/mcp";
/** The same server with lists that a cache may serve to any client. */
export const PUBLIC_ORIGIN = "https://tools.example/public";
/** The same server with a list of 400 tools that a cache may serve, and one of several servers with 40 each. */
export const LONG_ORIGIN = "https://tools.example/long";
export const SHORT_ORIGIN = "https://tools.example/short";
/** The token endpoint for the origin server. */
export const TOKENS = "https://tokens.example/token";
/** The token endpoint of the identity provider. */
export const LOGINS = `${ISSUER}/login-token`;
/** The authorization server of the origin server, at which users have accounts. It issues tokens at `TOKENS`. */
export const THIRD = "https://tokens.example/third";
export const SCOPE = "mcp:tools";
export const ALGORITHMS = ["RS256", "ES256", "EdDSA"];
/** The redirect URI of the client of workers-oauth-provider. */
export const REDIRECT = "https://client.example/callback";
