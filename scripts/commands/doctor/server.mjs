// Checks the metadata of an authorization server, and the endpoints that it names.
import { ALGORITHMS } from "../../lib/algorithms.mjs";
import { ask, isJson } from "./http.mjs";
import { isProtected, issuerPlaces, isUrl, LEGACY, shaped, show } from "./requests.mjs";

const RSA_BITS = 2048;

/** Checks the metadata of an authorization server, its keys and its token endpoint. */
export async function server(state, issuer) {
  const { error, warn } = state;
  const places = issuerPlaces(issuer);
  const answers = [];
  for (const place of places)
    answers.push(
      await ask(place, { headers: { accept: "application/json", "mcp-protocol-version": LEGACY } }),
    );
  const good = answers
    .filter((answer) => !answer.failed && answer.status === 200 && answer.json?.issuer !== undefined)
    .map((answer) => ({ ...answer, json: shaped(answer.json, answer.url, "server", error) }));
  if (good.length === 0) {
    const why = answers.map((answer) => `${answer.url}: ${answer.failed?.words ?? answer.status}`).join("; ");
    error(
      "no-server-metadata",
      "server",
      `${issuer} has no metadata (${why})`,
      "serve RFC 8414 or OpenID Connect metadata at one of these URLs; can clients reach it?",
    );
    return;
  }
  const wrong = good.find(({ json }) => json.issuer !== issuer);
  if (wrong) {
    const slash = wrong.json.issuer?.replace(/\/$/, "") === issuer.replace(/\/$/, "");
    error(
      slash ? "issuer-slash" : "issuer-differs",
      "server",
      `the metadata names the issuer ${show(wrong.json.issuer)}, and the resource names ${show(issuer)}`,
      "make both identical, byte for byte: clients reject the metadata otherwise (RFC 8414 §3.3)",
    );
  }
  if (good.length > 1 && new Set(good.map(({ json }) => json.token_endpoint)).size > 1) {
    warn(
      "metadata-disagree",
      "server",
      `the metadata of ${issuer} differs between its locations`,
      "serve the same document at each location: each client chooses the one that it reads",
    );
  }
  const metadata = good[0].json;
  if (good[0].headers.get("access-control-allow-origin") === null) {
    warn(
      "server-metadata-cors",
      "browser",
      `pages cannot read the metadata of ${issuer}`,
      "send Access-Control-Allow-Origin: * with it",
    );
  }
  endpoints(state, issuer, metadata);
  await keys(state, metadata);
  await tokens(state, metadata);
}

function endpoints({ error, warn }, issuer, metadata) {
  for (const name of ["authorization_endpoint", "token_endpoint"]) {
    if (!isUrl(metadata[name])) {
      error(
        `no-${name.replace("_", "-")}`,
        name === "token_endpoint" ? "token" : "authorize",
        `the metadata of ${issuer} has no ${name}`,
        "add it to the metadata",
      );
    } else if (!isProtected(metadata[name])) {
      error(
        "endpoint-not-https",
        name === "token_endpoint" ? "token" : "authorize",
        `${name} must be an https URL, got ${show(metadata[name])}`,
        "serve the endpoint over https (A8)",
      );
    }
  }
  const methods = metadata.code_challenge_methods_supported;
  if (!Array.isArray(methods)) {
    error(
      "no-pkce",
      "authorize",
      `the metadata of ${issuer} does not say that it supports PKCE`,
      'add "code_challenge_methods_supported": ["S256"]: clients reject a server without it (A2)',
    );
  } else if (!methods.includes("S256")) {
    error(
      "no-s256",
      "authorize",
      `${issuer} supports PKCE only with ${show(methods.join(", "))}`,
      "add S256 to code_challenge_methods_supported",
    );
  }
  if (metadata.response_types_supported && !metadata.response_types_supported.includes("code")) {
    error(
      "no-code",
      "authorize",
      `${issuer} issues no authorization codes: response_types_supported is ${show(metadata.response_types_supported.join(", "))}`,
      "add code to response_types_supported",
    );
  }
  if (metadata.grant_types_supported && !metadata.grant_types_supported.includes("authorization_code")) {
    error(
      "no-code-grant",
      "token",
      `${issuer} does not exchange authorization codes for tokens`,
      "add authorization_code to grant_types_supported",
    );
  }
  if (metadata.grant_types_supported && !metadata.grant_types_supported.includes("refresh_token")) {
    warn(
      "no-refresh",
      "token",
      `${issuer} issues no refresh tokens: users log in again when a token expires`,
      "add refresh_token to grant_types_supported",
    );
  }
  const document = metadata.client_id_metadata_document_supported === true;
  const dynamic = isUrl(metadata.registration_endpoint);
  const ways = [document && "document", dynamic && "dynamic"].filter(Boolean);
  if (ways.length === 0) {
    error(
      "no-registration",
      "registration",
      `${issuer} supports neither dynamic client registration nor client ID metadata documents`,
      "enable client registration, configure a client id in each client by hand, or make the gateway the authorization server (docs/authorization-server.md)",
    );
  } else if (!dynamic) {
    error(
      "no-dynamic-registration",
      "registration",
      `${issuer} supports client ID metadata documents, but no dynamic client registration`,
      "enable dynamic client registration too, as long as some clients support nothing else",
      { without: "document" },
    );
  }
  const auth = metadata.token_endpoint_auth_methods_supported;
  if (Array.isArray(auth) && !auth.includes("none")) {
    error(
      "no-public-clients",
      "registration",
      `${issuer} accepts no clients without a secret: token_endpoint_auth_methods_supported does not contain "none"`,
      'add "none" to it: most MCP clients are public clients with PKCE',
    );
  }
  if (metadata.authorization_response_iss_parameter_supported !== true) {
    warn(
      "no-iss",
      "authorize",
      `${issuer} does not send iss in its authorization responses (RFC 9207)`,
      "send iss, and add authorization_response_iss_parameter_supported to the metadata",
    );
  }
}

async function keys({ error, warn }, metadata) {
  if (!isUrl(metadata.jwks_uri)) return;
  const answer = await ask(metadata.jwks_uri);
  const set = answer.json?.keys;
  if (answer.failed || answer.status !== 200 || !Array.isArray(set)) {
    error(
      "keys-unreachable",
      "keys",
      `${metadata.jwks_uri}: ${answer.failed?.words ?? `status ${answer.status}, or not a JWK set`}`,
      "serve a JWK set at that URL: without the keys no token can be verified",
    );
    return;
  }
  const isKey = (key) => key !== null && typeof key === "object" && typeof key.kty === "string";
  if (!set.every(isKey) || set.some(({ n }) => n !== undefined && typeof n !== "string")) {
    error(
      "key-form",
      "keys",
      `${metadata.jwks_uri} has entries that are not keys`,
      "make each entry a JWK (RFC 7517): an object whose kty is a string, and whose n, if it has one, is a string",
    );
  }
  const keys = set.filter((key) => isKey(key) && (key.n === undefined || typeof key.n === "string"));
  const signing = keys.filter(({ use }) => use === undefined || use === "sig");
  if (signing.length === 0) {
    error(
      "no-keys",
      "keys",
      `${metadata.jwks_uri} has no key for signatures`,
      "publish the keys that sign tokens",
    );
  }
  for (const key of signing) {
    if (key.d !== undefined || key.k !== undefined) {
      error(
        "private-key",
        "keys",
        `${metadata.jwks_uri} publishes a private or symmetric key (${show(key.kid)})`,
        "replace this key at once, and every token that it signed",
      );
    }
    if (key.kty === "RSA" && Buffer.from(key.n ?? "", "base64url").length * 8 < RSA_BITS) {
      error(
        "weak-key",
        "keys",
        `the RSA key ${show(key.kid)} has fewer than ${RSA_BITS} bits`,
        "make a new key: the gateway rejects tokens that this key signed",
      );
    }
    if (key.alg !== undefined && !ALGORITHMS.includes(key.alg)) {
      warn(
        "odd-algorithm",
        "keys",
        `the key ${show(key.kid)} is for the algorithm ${show(key.alg)}`,
        "use RS256, ES256 or EdDSA: the gateway rejects tokens that are signed with another algorithm",
      );
    }
  }
  if (set.length > 1 && set.some(({ kid }) => kid === undefined)) {
    warn(
      "no-kid",
      "keys",
      `${metadata.jwks_uri} has several keys, and not all of them have a kid`,
      "give each key a kid: without it the gateway cannot tell which key signed a token",
    );
  }
}

/** Checks the token endpoint's answer to a request that it must refuse. */
async function tokens({ error, warn }, { token_endpoint: url }) {
  if (!isUrl(url)) return;
  const answer = await ask(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    body: "grant_type=authorization_code&client_id=portcullis-doctor&code=none&code_verifier=none",
  });
  if (answer.failed) {
    error(
      "token-endpoint-unreachable",
      "token",
      `${url}: ${answer.failed.words}`,
      "make the endpoint reachable for clients",
    );
  } else if (answer.status < 400 || answer.status >= 500 || answer.json?.error === undefined) {
    warn(
      "token-endpoint-answer",
      "token",
      `${url} answers an invalid code with ${answer.status} and ${isJson(answer) ? "other JSON than an OAuth error" : "no JSON"}`,
      "answer with an error of RFC 6749 §5.2: clients decide by it what to do next",
    );
  }
}
