// Checks the metadata of an authorization server, and the endpoints that it names.
import { ask, isJson } from "./http.mjs";
import { isProtected, issuerPlaces, isUrl, LEGACY, shaped, show } from "./requests.mjs";

const RSA_BITS = 2048;
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

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
      "serve RFC 8414 or OpenID metadata there; is it reachable from where clients are?",
    );
    return;
  }
  const wrong = good.find(({ json }) => json.issuer !== issuer);
  if (wrong) {
    const slash = wrong.json.issuer?.replace(/\/$/, "") === issuer.replace(/\/$/, "");
    error(
      slash ? "issuer-slash" : "issuer-differs",
      "server",
      `its metadata says issuer ${show(wrong.json.issuer)}, and the resource names ${show(issuer)}`,
      "make both the same, byte for byte: clients refuse it otherwise (RFC 8414 §3.3)",
    );
  }
  if (good.length > 1 && new Set(good.map(({ json }) => json.token_endpoint)).size > 1) {
    warn(
      "metadata-disagree",
      "server",
      "its metadata is not the same in all places",
      "serve one document in each: which one a client reads is its own choice",
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
        `${issuer} has no ${name}`,
        "name it in the metadata",
      );
    } else if (!isProtected(metadata[name])) {
      error(
        "endpoint-not-https",
        name === "token_endpoint" ? "token" : "authorize",
        `${name} is ${show(metadata[name])}`,
        "serve it over https (A8)",
      );
    }
  }
  const methods = metadata.code_challenge_methods_supported;
  if (!Array.isArray(methods)) {
    error(
      "no-pkce",
      "authorize",
      `${issuer} does not say that it does PKCE`,
      'add "code_challenge_methods_supported": ["S256"]: clients refuse a server without it (A2)',
    );
  } else if (!methods.includes("S256")) {
    error("no-s256", "authorize", `${issuer} does PKCE with ${show(methods.join(", "))} alone`, "add S256");
  }
  if (metadata.response_types_supported && !metadata.response_types_supported.includes("code")) {
    error(
      "no-code",
      "authorize",
      `${issuer} gives no codes: response_types_supported is ${show(metadata.response_types_supported.join(", "))}`,
      "add code",
    );
  }
  if (metadata.grant_types_supported && !metadata.grant_types_supported.includes("authorization_code")) {
    error(
      "no-code-grant",
      "token",
      `${issuer} redeems no codes`,
      "add authorization_code to grant_types_supported",
    );
  }
  if (metadata.grant_types_supported && !metadata.grant_types_supported.includes("refresh_token")) {
    warn(
      "no-refresh",
      "token",
      `${issuer} gives no refresh tokens: users log in again when a token ends`,
      "add refresh_token",
    );
  }
  const document = metadata.client_id_metadata_document_supported === true;
  const dynamic = isUrl(metadata.registration_endpoint);
  const ways = [document && "document", dynamic && "dynamic"].filter(Boolean);
  if (ways.length === 0) {
    error(
      "no-registration",
      "registration",
      `${issuer} registers no clients and takes no metadata documents`,
      "let clients register, configure each client's id by hand, or let the gateway be the authorization server (docs/authorization-server.md)",
    );
  } else if (!dynamic) {
    error(
      "no-dynamic-registration",
      "registration",
      `${issuer} takes metadata documents and registers nobody`,
      "let clients register, too, as long as some know nothing else",
      { without: "document" },
    );
  }
  const auth = metadata.token_endpoint_auth_methods_supported;
  if (Array.isArray(auth) && !auth.includes("none")) {
    error(
      "no-public-clients",
      "registration",
      `${issuer} takes no clients without a secret: token_endpoint_auth_methods_supported has no none`,
      "add none: most MCP clients are public, with PKCE",
    );
  }
  if (metadata.authorization_response_iss_parameter_supported !== true) {
    warn(
      "no-iss",
      "authorize",
      `${issuer} does not name itself in its answers (RFC 9207)`,
      "add iss, and authorization_response_iss_parameter_supported",
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
      `${metadata.jwks_uri}: ${answer.failed?.words ?? `status ${answer.status}, or no JWK set`}`,
      "serve the keys there: without them no token can be verified",
    );
    return;
  }
  const isKey = (key) => key !== null && typeof key === "object" && typeof key.kty === "string";
  if (!set.every(isKey) || set.some(({ n }) => n !== undefined && typeof n !== "string")) {
    error(
      "key-form",
      "keys",
      `${metadata.jwks_uri} has keys that are none`,
      "each must be a JWK (RFC 7517): an object with kty, and text in its members",
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
        `${metadata.jwks_uri} shows a private key (${show(key.kid)})`,
        "replace that key at once, and whatever it signed",
      );
    }
    if (key.kty === "RSA" && Buffer.from(key.n ?? "", "base64url").length * 8 < RSA_BITS) {
      error(
        "weak-key",
        "keys",
        `the key ${show(key.kid)} has less than ${RSA_BITS} bits`,
        "make a new one: tokens signed with it are refused",
      );
    }
    if (key.alg !== undefined && !ALGORITHMS.includes(key.alg)) {
      warn(
        "odd-algorithm",
        "keys",
        `the key ${show(key.kid)} is for ${show(key.alg)}`,
        "tokens signed so are refused: use RS256, ES256 or EdDSA",
      );
    }
  }
  if (set.length > 1 && set.some(({ kid }) => kid === undefined)) {
    warn(
      "no-kid",
      "keys",
      "it has several keys, and not all have a kid",
      "give each one: nobody can tell which signed a token",
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
      "it must be reachable from where clients are",
    );
  } else if (answer.status < 400 || answer.status >= 500 || answer.json?.error === undefined) {
    warn(
      "token-endpoint-answer",
      "token",
      `${url} answers nonsense with ${answer.status} and ${isJson(answer) ? "other JSON" : "no JSON"}`,
      "answer with an error of RFC 6749 §5.2: clients tell by it what to do next",
    );
  }
}
