// Endpoints with one fault each: a real gateway behind a proxy that changes its answers, and some that are not a gateway.
// `named` is the id of the finding that the doctor must report; `failing` is false where the finding is only a warning.
import { createServer as createTlsServer } from "node:https";

/** Changes the answers to one path: `change` gets `{ status, headers, body }` and returns the answer to send. */
const at = (path, change) => (request, answer) => (request.path === path ? change(answer, request) : answer);
const field = (name, value) => (answer) => {
  const headers = { ...answer.headers };
  if (value === undefined) delete headers[name];
  else headers[name] = typeof value === "function" ? value(headers[name] ?? "") : value;
  return { ...answer, headers };
};
const json = (change) => (answer) => {
  const document = JSON.parse(answer.body);
  return { ...answer, body: JSON.stringify(change(document) ?? document) };
};
const status = (code) => (answer) => ({ ...answer, status: code });
const answerWith = (code, headers, body) => () => ({ status: code, headers, body });

const MCP = "/mcp";
const PRM = "/.well-known/oauth-protected-resource/mcp";
const PRM_ROOT = "/.well-known/oauth-protected-resource";
const AS = "/.well-known/oauth-authorization-server";
const OIDC = "/.well-known/openid-configuration";
const JWKS = "/jwks";

const all =
  (...changes) =>
  (request, answer) =>
    changes.reduce((spoiled, change) => change(request, spoiled), answer);
const both = (change) => all(at(PRM, change), at(PRM_ROOT, change));
const server = (change) => all(at(AS, json(change)), at(OIDC, json(change)));
const post = (change) =>
  at(MCP, (answer, request) => (request.method === "POST" ? change(answer, request) : answer));

export const FAULTS = [
  {
    name: "open to any client",
    named: "open",
    spoil: post(answerWith(200, { "content-type": "application/json" }, "{}")),
  },
  { name: "403 instead of 401", named: "not-401", spoil: post(status(403)) },
  { name: "400 instead of 401", named: "not-401", spoil: post(status(400)) },
  { name: "no challenge", named: "no-challenge", spoil: at(MCP, field("www-authenticate", undefined)) },
  {
    name: "a Basic challenge",
    named: "other-scheme",
    spoil: at(MCP, field("www-authenticate", 'Basic realm="x"')),
  },
  {
    name: "no resource_metadata",
    named: "no-resource-metadata",
    failing: false,
    spoil: at(MCP, field("www-authenticate", 'Bearer scope="mcp:tools"')),
  },
  {
    name: "no login",
    named: "no-login",
    spoil: all(at(MCP, field("www-authenticate", 'Bearer realm="https://mcp.example"')), both(status(404))),
  },
  {
    name: "a resource that is a number",
    named: "metadata-form",
    spoil: both(json((it) => ({ ...it, resource: 5 }))),
  },
  {
    name: "scopes that are a number",
    named: "metadata-form",
    spoil: both(json((it) => ({ ...it, scopes_supported: 5 }))),
  },
  {
    name: "metadata that is null",
    named: "metadata-form",
    spoil: both((answer) => ({ ...answer, body: "null" })),
  },
  {
    name: "an issuer that is a number",
    named: "metadata-form",
    spoil: server((it) => ({ ...it, issuer: 5 })),
  },
  {
    name: "response types that are an object",
    named: "metadata-form",
    spoil: server((it) => ({ ...it, response_types_supported: { code: true } })),
  },
  {
    name: "keys that are null",
    named: "key-form",
    spoil: at(
      JWKS,
      json(() => ({ keys: [null] })),
    ),
  },
  {
    name: "a key with a number in place of a string",
    named: "key-form",
    spoil: at(
      JWKS,
      json(() => ({ keys: [{ kty: "RSA", n: 5, e: "AQAB" }] })),
    ),
  },
  {
    name: "a redirect to an invalid URL",
    named: "redirect",
    spoil: at(MCP, answerWith(302, { location: "http://[" }, "")),
  },
  {
    name: "a relative resource_metadata",
    named: "resource-metadata-relative",
    spoil: at(MCP, field("www-authenticate", `Bearer resource_metadata="${PRM}"`)),
  },
  {
    name: "resource_metadata of another scheme",
    named: "resource-metadata-elsewhere",
    spoil: at(
      MCP,
      field("www-authenticate", (value) => value.replace("http://", "https://")),
    ),
  },
  {
    name: "an error code in the first challenge",
    named: "challenge-error",
    failing: false,
    spoil: at(
      MCP,
      field("www-authenticate", (value) => `${value}, error="invalid_token"`),
    ),
  },
  {
    name: "an HTML page as the body of the 401",
    named: "body-not-json",
    failing: false,
    spoil: post((answer) => ({ ...answer, body: "<h1>401</h1>" })),
  },
  { name: "no resource metadata", named: "resource-metadata-missing", spoil: at(PRM, status(404)) },
  { name: "resource metadata behind a login", named: "resource-metadata-missing", spoil: both(status(302)) },
  {
    name: "resource metadata as text/plain",
    named: "resource-metadata-type",
    spoil: both(field("content-type", "text/plain")),
  },
  {
    name: "a slash at the end of resource",
    named: "resource-slash",
    spoil: both(json((it) => ({ ...it, resource: `${it.resource}/` }))),
  },
  {
    name: "http instead of https in resource",
    named: "resource-differs",
    spoil: both(json((it) => ({ ...it, resource: it.resource.replace("http:", "https:") }))),
  },
  {
    name: "no authorization server",
    named: "no-authorization-server",
    spoil: both(json((it) => ({ ...it, authorization_servers: [] }))),
  },
  {
    name: "an issuer that is not a URL",
    named: "issuer-form",
    spoil: both(json((it) => ({ ...it, authorization_servers: ["acme"] }))),
  },
  {
    name: "no tokens in header fields",
    named: "bearer-methods",
    spoil: both(json((it) => ({ ...it, bearer_methods_supported: ["body"] }))),
  },
  {
    name: "scopes that differ",
    named: "scopes-differ",
    failing: false,
    spoil: both(json((it) => ({ ...it, scopes_supported: ["other"] }))),
  },
  {
    name: "no metadata of the authorization server",
    named: "no-server-metadata",
    spoil: all(at(AS, status(404)), at(OIDC, status(404))),
  },
  {
    name: "a slash at the end of issuer",
    named: "issuer-slash",
    spoil: server((it) => ({ ...it, issuer: `${it.issuer}/` })),
  },
  {
    name: "another issuer",
    named: "issuer-differs",
    spoil: server((it) => ({ ...it, issuer: "https://login.example" })),
  },
  {
    name: "two metadata documents that differ",
    named: "metadata-disagree",
    failing: false,
    spoil: at(
      OIDC,
      json((it) => ({ ...it, token_endpoint: `${it.token_endpoint}2` })),
    ),
  },
  {
    name: "no PKCE in the metadata",
    named: "no-pkce",
    spoil: server((it) => ({ ...it, code_challenge_methods_supported: undefined })),
  },
  {
    name: "PKCE with plain only",
    named: "no-s256",
    spoil: server((it) => ({ ...it, code_challenge_methods_supported: ["plain"] })),
  },
  {
    name: "no client registration",
    named: "no-registration",
    spoil: server((it) => ({
      ...it,
      registration_endpoint: undefined,
      client_id_metadata_document_supported: false,
    })),
  },
  {
    name: "client ID metadata documents only",
    named: "no-dynamic-registration",
    spoil: server((it) => ({ ...it, registration_endpoint: undefined })),
    only: ["Cursor", "mcp-remote"],
  },
  {
    name: "no public clients",
    named: "no-public-clients",
    spoil: server((it) => ({ ...it, token_endpoint_auth_methods_supported: ["client_secret_basic"] })),
  },
  {
    name: "no token endpoint",
    named: "no-token-endpoint",
    spoil: server((it) => ({ ...it, token_endpoint: undefined })),
  },
  {
    name: "an authorization endpoint over plain HTTP",
    named: "endpoint-not-https",
    spoil: server((it) => ({ ...it, authorization_endpoint: "http://login.example/authorize" })),
  },
  {
    name: "no refresh tokens",
    named: "no-refresh",
    failing: false,
    spoil: server((it) => ({ ...it, grant_types_supported: ["authorization_code"] })),
  },
  {
    name: "no iss in authorization responses",
    named: "no-iss",
    failing: false,
    spoil: server((it) => ({ ...it, authorization_response_iss_parameter_supported: undefined })),
  },
  { name: "no key set", named: "keys-unreachable", spoil: at(JWKS, status(500)) },
  {
    name: "no signature keys",
    named: "no-keys",
    spoil: at(
      JWKS,
      json((it) => ({ keys: it.keys.map((key) => ({ ...key, use: "enc" })) })),
    ),
  },
  {
    name: "a weak key",
    named: "weak-key",
    spoil: at(
      JWKS,
      json(() => ({
        keys: [{ kty: "RSA", n: Buffer.alloc(128, 255).toString("base64url"), e: "AQAB", kid: "weak" }],
      })),
    ),
  },
  {
    name: "a published private key",
    named: "private-key",
    spoil: at(
      JWKS,
      json((it) => ({ keys: it.keys.map((key) => ({ ...key, d: "AAAA" })) })),
    ),
  },
  {
    name: "a token endpoint that answers with HTML pages",
    named: "token-endpoint-answer",
    failing: false,
    spoil: at("/token", answerWith(400, { "content-type": "text/html" }, "<h1>no</h1>")),
  },
  {
    name: "404 for the modern probe",
    named: "modern-probe",
    spoil: at(MCP, (answer, request) =>
      request.headers["mcp-method"] ? { ...answer, status: 404 } : answer,
    ),
  },
  {
    name: "404 for GET",
    named: "get-probe",
    spoil: at(MCP, (answer, request) => (request.method === "GET" ? { ...answer, status: 404 } : answer)),
  },
  {
    name: "pages of any web origin may call",
    named: "foreign-origin",
    spoil: at(MCP, (answer, request) =>
      request.headers.origin?.includes("doctor") ? { ...answer, status: 200 } : answer,
    ),
  },
  {
    name: "no preflight",
    named: "no-cors",
    page: true,
    spoil: at(MCP, (answer, request) => (request.method === "OPTIONS" ? { ...answer, status: 405 } : answer)),
    only: ["Inspector, pages"],
  },
  {
    name: "a preflight response without the header fields of MCP",
    named: "cors-fields",
    page: true,
    spoil: at(MCP, field("access-control-allow-headers", "content-type")),
    only: ["Inspector, pages"],
  },
  {
    name: "a wrong clock",
    named: "clock",
    failing: false,
    spoil: at(MCP, field("date", new Date(Date.now() - 3_600_000).toUTCString())),
  },
  {
    name: "a redirect to another URL",
    named: "redirect",
    spoil: post(answerWith(308, { location: "/mcp/" }, "")),
  },
  {
    name: "a redirect loop",
    named: "redirect-loop",
    spoil: (_request, _answer) => ({ status: 307, headers: { location: "/mcp" }, body: "" }),
  },
  { name: "a configuration that is not valid", named: "closed", spoil: at(MCP, status(503)) },
  {
    name: "a website that is not a gateway",
    named: "not-a-gateway",
    spoil: () => ({ status: 200, headers: { "content-type": "text/html" }, body: "<h1>Welcome</h1>" }),
  },
  { name: "a path that does not exist", named: "not-found", spoil: at(MCP, status(404)) },
  { name: "no answer", named: "timeout", spoil: () => undefined },
  { name: "nothing listens", named: "unreachable", url: () => "http://127.0.0.1:1/mcp" },
  { name: "plain HTTP to another machine", named: "not-https", url: () => "http://gateway.invalid/mcp" },
  { name: "a token that is not valid", named: "token-refused", token: "nonsense" },
  {
    name: "an origin server that is down",
    named: "origin-down",
    token: true,
    spoil: at(MCP, (answer, request) =>
      request.headers.authorization ? { ...answer, status: 502 } : answer,
    ),
  },
  {
    name: "an account of the origin server that the user has not connected",
    named: "not-connected",
    failing: false,
    token: true,
    spoil: post((answer, request) =>
      request.headers.authorization
        ? {
            status: 403,
            headers: { "content-type": "application/json" },
            body: '{"jsonrpc":"2.0","id":1,"error":{"code":-32003,"message":"Connect your account: http://127.0.0.1/connect?link=x"}}',
          }
        : answer,
    ),
  },
  { name: "a certificate that has expired", named: "tls", tls: "expired" },
];

/** A server with a self-signed certificate that has expired. */
export async function startTls({ key, cert }) {
  const tls = createTlsServer({ key, cert }, (_request, response) => response.end());
  await new Promise((resolve) => tls.listen(0, "127.0.0.1", resolve));
  return {
    url: `https://localhost:${tls.address().port}/mcp`,
    close: () => new Promise((resolve) => tls.close(resolve)),
  };
}
