// Walks a gateway as clients walk it, from the first request to the point where a person would have to log in, and past it
// with a token. What is found is a list of findings: `{ id, step, level, what, cure, clients }`.
import { ask, challenges, isJson } from "./http.mjs";

const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";
const SKEW_SECONDS = 30;
const RSA_BITS = 2048;
const CERTIFICATE_DAYS = 14;
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

const FIELDS = { "content-type": "application/json", accept: "application/json, text/event-stream" };
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: LEGACY,
    capabilities: {},
    clientInfo: { name: "portcullis-doctor", version: "1" },
  },
};
const DISCOVER = {
  jsonrpc: "2.0",
  id: 1,
  method: "server/discover",
  params: {
    _meta: {
      "io.modelcontextprotocol/protocolVersion": MODERN,
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
};
const DISCOVER_FIELDS = { ...FIELDS, "mcp-protocol-version": MODERN, "mcp-method": "server/discover" };

/** The places where a well-known document of `url` may be: before the path, and at the root. */
function wellKnown(url, name) {
  const { origin, pathname } = new URL(url);
  const path = pathname === "/" ? "" : pathname.replace(/\/$/, "");
  return [...new Set([`${origin}/.well-known/${name}${path}`, `${origin}/.well-known/${name}`])];
}

/** Where metadata of an issuer may be (RFC 8414 §3.1, OpenID Connect Discovery §4), in the order of most clients. */
function issuerPlaces(issuer) {
  const { origin, pathname } = new URL(issuer);
  const path = pathname === "/" ? "" : pathname.replace(/\/$/, "");
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]),
  ];
}

const isUrl = (text) => typeof text === "string" && URL.parse(text) !== null;
const isProtected = (text) => {
  const url = URL.parse(text);
  return url?.protocol === "https:" || (url?.protocol === "http:" && LOCAL.test(url.hostname));
};
const show = (text) => JSON.stringify(text);

/** Walks. `token` is an access token to go on with; `onStep` is told what is looked at. */
export async function walk(url, { token, webOrigin, onStep = () => {} } = {}) {
  const findings = [];
  const facts = {};
  const note = (level) => (id, step, what, cure, more) =>
    findings.push({ id, step, level, what, cure, ...more });
  const error = note("error");
  const warn = note("warning");
  const state = { url, token, webOrigin, error, warn, facts };

  onStep("the first request");
  const first = await reach(state);
  if (first === undefined) return { findings, facts };
  onStep("the challenge");
  await challenge(state, first);
  onStep("the resource's metadata");
  const issuers = await resource(state);
  for (const issuer of issuers) {
    onStep(`the authorization server ${issuer}`);
    await server(state, issuer);
  }
  onStep("both eras, and requests of pages");
  await probes(state);
  await browser(state);
  if (token !== undefined) {
    onStep("calls with your token");
    await call(state);
  }
  return { findings, facts };
}

/** The first request that every client sends, in one era or the other: without a token. */
async function reach({ url, error, warn, facts }) {
  const target = new URL(url);
  if (target.protocol === "http:" && !LOCAL.test(target.hostname)) {
    error(
      "not-https",
      "reach",
      `${url} is plain HTTP`,
      "serve it over https: clients refuse anything else but loopback",
    );
  }
  if (target.hash || target.username) {
    error(
      "url-form",
      "reach",
      `${url} has a fragment or user information`,
      "give clients the URL without it",
    );
  }
  const answer = await ask(url, { method: "POST", headers: FIELDS, body: JSON.stringify(INITIALIZE) });
  if (answer.failed) {
    const { kind, words } = answer.failed;
    if (kind === "tls") {
      error(
        "tls",
        "reach",
        `${target.host}: ${words}`,
        "give it a certificate that browsers trust, for this name",
      );
    } else if (kind === "timeout") {
      error(
        "timeout",
        "reach",
        `${url}: ${words}`,
        "look at the gateway's log: does the request arrive, and does its origin server answer?",
      );
    } else {
      error(
        "unreachable",
        "reach",
        `${target.host}: ${words}`,
        "check the name, its DNS record and the route to the Worker",
      );
    }
    return undefined;
  }
  facts.first = answer.status;
  if (answer.slow) {
    warn(
      "slow",
      "reach",
      `the first answer took ${(answer.milliseconds / 1000).toFixed(1)} seconds`,
      "look at what it waits for: nothing has to be asked for a 401",
    );
  }
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (!Number.isNaN(date) && Math.abs(date - Date.now()) > SKEW_SECONDS * 1000) {
    const seconds = Math.round((date - Date.now()) / 1000);
    warn(
      "clock",
      "call",
      `its clock is ${Math.abs(seconds)} seconds ${seconds > 0 ? "ahead of" : "behind"} this machine's`,
      "set both clocks: tokens are judged by their times",
    );
  }
  await certificate(target, warn);
  const { status } = answer;
  if (status >= 300 && status < 400) {
    const to = answer.headers.get("location");
    if (await circles(url, to)) {
      error(
        "redirect-loop",
        "reach",
        `${url} redirects in a circle`,
        "end the circle: two rules send requests to each other",
      );
    } else {
      error(
        "redirect",
        "reach",
        `${url} redirects to ${show(to)}`,
        "give clients that URL: with a token they follow no redirect, and the resource would be another",
      );
    }
    return undefined;
  }
  if (status === 200 && /text\/html/i.test(answer.headers.get("content-type") ?? "")) {
    error(
      "not-a-gateway",
      "reach",
      `${url} answers a POST with a page`,
      "name the URL of the MCP endpoint, path included",
    );
    return undefined;
  }
  if (status === 404) {
    error(
      "not-found",
      "reach",
      `${url} is not there (404)`,
      "name the whole URL of the endpoint, as in resources[].path",
    );
    return undefined;
  }
  if (status === 503) {
    error(
      "closed",
      "reach",
      "it answers 503: its configuration is not valid, or what it depends on is down",
      "its log says which: `npx wrangler tail`",
    );
    return undefined;
  }
  if (status >= 500) {
    error("server-error", "reach", `it answers ${status}`, "its log says why");
    return undefined;
  }
  return answer;
}

/** Whether redirects lead back to where they began, or on without end. */
async function circles(from, to) {
  const seen = new Set([from]);
  let next = to && new URL(to, from).href;
  for (let hop = 0; next && hop < 10; hop += 1) {
    if (seen.has(next)) return true;
    seen.add(next);
    const answer = await ask(next, { method: "POST", headers: FIELDS, body: "{}" });
    const location = answer.headers?.get("location");
    if (!(answer.status >= 300 && answer.status < 400) || !location) return false;
    next = new URL(location, next).href;
  }
  return next !== undefined;
}

async function certificate({ protocol, hostname, port }, warn) {
  if (protocol !== "https:") return;
  const { connect } = await import("node:tls");
  const ends = await new Promise((resolve) => {
    const socket = connect({ host: hostname, port: port || 443, servername: hostname }, () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to));
      socket.end();
    });
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("error", () => resolve(undefined)).on("close", () => resolve(undefined));
  });
  if (ends === undefined) return;
  const days = Math.floor((ends - Date.now()) / 86_400_000);
  if (days < CERTIFICATE_DAYS) warn("tls-soon", "reach", `its certificate ends in ${days} days`, "renew it");
}

async function challenge({ url, error, warn, facts }, first) {
  if (first.status !== 401) {
    if (first.status < 300) {
      error(
        "open",
        "challenge",
        `it answers ${first.status} without a token: anybody can use it`,
        "give the resource issuers, and see that nothing else serves this URL",
      );
    } else {
      error(
        "not-401",
        "challenge",
        `it answers ${first.status} without a token, not 401: no client logs in, and some take it for an old server`,
        "answer 401 with a challenge (RFC 6750 §3)",
      );
    }
    return;
  }
  const field = first.headers.get("www-authenticate");
  if (field === null) {
    error(
      "no-challenge",
      "challenge",
      "its 401 has no WWW-Authenticate",
      "send one with resource_metadata (R7); does a proxy in front drop it?",
    );
    return;
  }
  const bearer = challenges(field).find(({ scheme }) => /^(bearer|dpop)$/i.test(scheme));
  if (bearer === undefined) {
    error(
      "other-scheme",
      "challenge",
      `its challenge is of another scheme: ${show(field.slice(0, 80))}`,
      "challenge with Bearer (RFC 6750 §3)",
    );
    return;
  }
  const { resource_metadata: at, scope, error: code } = bearer.parameters;
  facts.scope = scope;
  if (at === undefined) {
    warn(
      "no-resource-metadata",
      "challenge",
      "its challenge does not say where the metadata is",
      "send resource_metadata (RFC 9728 §5.1): clients of 2025-06-18 look nowhere else",
    );
  } else if (!isUrl(at)) {
    error(
      "resource-metadata-relative",
      "challenge",
      `resource_metadata is no absolute URL: ${show(at)}`,
      "send the whole URL (RFC 9728 §5.1)",
    );
  } else if (new URL(at).origin !== new URL(url).origin) {
    error(
      "resource-metadata-elsewhere",
      "challenge",
      `resource_metadata is on another host than the endpoint: ${at}`,
      "set public_url to the URL that clients use, scheme and port included",
    );
  } else {
    facts.metadata = at;
  }
  if (code !== undefined) {
    warn(
      "challenge-error",
      "challenge",
      `its challenge has error=${show(code)}, though nothing was sent`,
      "leave it out (RFC 6750 §3.1): some clients take it for a refusal",
    );
  }
  if (first.json?.jsonrpc !== "2.0") {
    warn(
      "body-not-json",
      "challenge",
      "the body of its 401 is no JSON-RPC",
      "a page of somebody's in front answers; some clients show it to their users",
    );
  }
}

/** The metadata of the resource (RFC 9728): the issuers that it names. */
async function resource({ url, error, warn, facts }) {
  const places = wellKnown(url, "oauth-protected-resource");
  const wanted = [...new Set([facts.metadata, ...places].filter(Boolean))];
  const answers = new Map();
  for (const place of wanted)
    answers.set(place, await ask(place, { headers: { accept: "application/json" } }));
  const good = (answer) => answer && !answer.failed && answer.status === 200 && answer.json !== undefined;
  if (facts.metadata && !good(answers.get(facts.metadata))) {
    const { status, failed } = answers.get(facts.metadata);
    error(
      "resource-metadata-missing",
      "resource",
      `${facts.metadata}, where the challenge sends clients: ${failed?.words ?? `status ${status}, or no JSON`}`,
      "serve the document there (RFC 9728 §3.2), without a token and without redirects",
    );
  }
  if (!good(answers.get(places[0]))) {
    warn(
      "resource-metadata-place",
      "resource",
      `nothing is at ${places[0]}, where clients look that do not read the challenge`,
      "serve the metadata before the path, too (RFC 9728 §3.1)",
    );
  }
  const answer = [...answers.values()].find(good);
  if (answer === undefined) {
    if (!facts.metadata)
      error(
        "no-metadata",
        "resource",
        "there is no resource metadata at all",
        "serve RFC 9728 metadata: without it no client finds the authorization server",
      );
    return [];
  }
  if (!isJson(answer)) {
    error(
      "resource-metadata-type",
      "resource",
      `its metadata is ${show(answer.headers.get("content-type"))}`,
      "send application/json (RFC 9728 §3.2)",
    );
  }
  if (answer.headers.get("access-control-allow-origin") === null) {
    warn(
      "resource-metadata-cors",
      "browser",
      "pages cannot read its metadata",
      "send Access-Control-Allow-Origin: * with it",
    );
  }
  const metadata = answer.json;
  if (metadata.resource !== url) {
    const slash = metadata.resource?.replace(/\/$/, "") === url.replace(/\/$/, "");
    if (slash) {
      error(
        "resource-slash",
        "resource",
        `resource is ${show(metadata.resource)}, and clients use ${show(url)}: a slash more or less`,
        "make both the same, byte for byte: clients discard metadata of another resource (RFC 9728 §3.3)",
      );
    } else {
      error(
        "resource-differs",
        "resource",
        `resource is ${show(metadata.resource)}, and not ${show(url)}`,
        "set public_url and path to what clients use: they discard metadata of another resource (RFC 9728 §3.3)",
      );
    }
  }
  const issuers = metadata.authorization_servers;
  if (!Array.isArray(issuers) || issuers.length === 0) {
    error(
      "no-authorization-server",
      "resource",
      "its metadata names no authorization server",
      "name one in issuers; Google and Access are none to which clients can be sent",
    );
    return [];
  }
  for (const issuer of issuers.filter((it) => !isUrl(it) || !isProtected(it))) {
    error(
      "issuer-form",
      "resource",
      `an authorization server is ${show(issuer)}`,
      "it must be an https URL (RFC 9728 §2)",
    );
  }
  if (metadata.bearer_methods_supported && !metadata.bearer_methods_supported.includes("header")) {
    error(
      "bearer-methods",
      "resource",
      "bearer_methods_supported has no header",
      "add it: MCP clients send tokens in no other way",
    );
  }
  const offered = metadata.scopes_supported;
  const asked = facts.scope?.split(" ") ?? [];
  if (Array.isArray(offered) && asked.some((scope) => !offered.includes(scope))) {
    warn(
      "scopes-differ",
      "resource",
      `the challenge asks for ${show(facts.scope)}, and scopes_supported has ${show(offered.join(" "))}`,
      "name the same in both: clients ask for one or the other",
    );
  }
  if ([...asked, ...(offered ?? [])].includes("offline_access")) {
    warn(
      "offline-access",
      "resource",
      "it asks for offline_access",
      "leave that to client and authorization server (R11): the user is asked for it at each login",
    );
  }
  return issuers.filter((it) => isUrl(it) && isProtected(it)).slice(0, 4);
}

/** The metadata of an authorization server, and what it offers. */
async function server(state, issuer) {
  const { error, warn } = state;
  const places = issuerPlaces(issuer);
  const answers = [];
  for (const place of places)
    answers.push(
      await ask(place, { headers: { accept: "application/json", "mcp-protocol-version": LEGACY } }),
    );
  const good = answers.filter(
    (answer) => !answer.failed && answer.status === 200 && answer.json?.issuer !== undefined,
  );
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
  const signing = set.filter(({ use }) => use === undefined || use === "sig");
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

/** What the token endpoint says to a request that can get nothing. */
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

/** Requests by which clients find out the era: whatever is not 401 here makes them fall back, or give up. */
async function probes({ url, error, facts }) {
  const modern = await ask(url, { method: "POST", headers: DISCOVER_FIELDS, body: JSON.stringify(DISCOVER) });
  if (modern.failed || (modern.status !== 401 && facts.first === 401)) {
    error(
      "modern-probe",
      "probe",
      `server/discover of ${MODERN} gets ${modern.failed?.words ?? modern.status}, not 401`,
      "answer 401: clients take any other 4xx for an old server, and speak the old protocol from then on",
    );
  }
  const get = await ask(url, { headers: { accept: "text/event-stream" } });
  if (get.failed || (get.status !== 401 && get.status !== 405 && facts.first === 401)) {
    error(
      "get-probe",
      "probe",
      `GET gets ${get.failed?.words ?? get.status}, not 401`,
      "answer 401 to GET, too: mcp-remote asks so first",
    );
  }
}

/** What a page of another origin gets. */
async function browser({ url, warn, error, webOrigin }) {
  const foreign = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, origin: "https://portcullis-doctor.invalid" },
    body: JSON.stringify(INITIALIZE),
  });
  if (!foreign.failed && foreign.status !== 403 && foreign.status !== 401) {
    error(
      "foreign-origin",
      "probe",
      `a request from any page gets ${foreign.status}`,
      "answer 403 to a web origin that you do not know (T1)",
    );
  }
  if (webOrigin === undefined) return;
  const preflight = await ask(url, {
    method: "OPTIONS",
    headers: {
      origin: webOrigin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,mcp-method,mcp-protocol-version",
    },
  });
  const allowed = preflight.headers?.get("access-control-allow-headers")?.toLowerCase() ?? "";
  if (
    preflight.failed ||
    preflight.status >= 300 ||
    preflight.headers.get("access-control-allow-origin") === null
  ) {
    error(
      "no-cors",
      "browser",
      `pages of ${webOrigin} may not call: the preflight gets ${preflight.failed?.words ?? preflight.status}`,
      `add it to allowed_origins`,
    );
  } else if (!allowed.includes("mcp-protocol-version") || !allowed.includes("authorization")) {
    error(
      "cors-fields",
      "browser",
      `pages may not send all fields of MCP: ${show(allowed)}`,
      "allow Authorization and the Mcp-* fields",
    );
  }
  const refused = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, origin: webOrigin },
    body: JSON.stringify(INITIALIZE),
  });
  const exposed = refused.headers?.get("access-control-expose-headers")?.toLowerCase() ?? "";
  if (!refused.failed && refused.status === 401 && !exposed.includes("www-authenticate")) {
    warn(
      "cors-exposed",
      "browser",
      "pages cannot read its challenge",
      "expose WWW-Authenticate and Mcp-Session-Id",
    );
  }
}

/** Calls with a token: the gateway's verdict on it, and the origin server behind. */
async function call({ url, token, error, warn, facts }) {
  const authorization = `Bearer ${token}`;
  const hello = await ask(url, {
    method: "POST",
    headers: { ...FIELDS, authorization },
    body: JSON.stringify(INITIALIZE),
  });
  if (hello.failed) {
    error("call-failed", "call", `with your token: ${hello.failed.words}`, "look at the gateway's log");
    return;
  }
  facts.call = hello.status;
  if (hello.status === 401 || hello.status === 403) {
    const said = challenges(hello.headers.get("www-authenticate"))[0]?.parameters ?? {};
    error(
      hello.status === 401 ? "token-refused" : "scope-missing",
      "call",
      `your token gets ${hello.status}: ${said.error_description ?? said.error ?? "no reason given"}`,
      "the gateway's log has the reason; is aud the resource, and the issuer one of its issuers?",
    );
    return;
  }
  if (hello.status === 502 || hello.status === 504) {
    error(
      "origin-down",
      "call",
      `the origin server behind it gives no answer (${hello.status})`,
      "check origin, and that the Worker can reach it",
    );
    return;
  }
  if (hello.status !== 200) {
    error(
      "call-status",
      "call",
      `initialize with your token gets ${hello.status}`,
      "a server of the modern era alone refuses it: then this is right; else see the origin server's log",
      { clients: [] },
    );
  }
  const discover = await ask(url, {
    method: "POST",
    headers: { ...DISCOVER_FIELDS, authorization },
    body: JSON.stringify(DISCOVER),
  });
  if (hello.status !== 200 && discover.status !== 200) {
    error("no-era", "call", "neither era works with your token", "see the origin server's log");
  }
  if (
    discover.status === 200 &&
    discover.json?.result === undefined &&
    !/^(event|data|:|id)/.test(discover.text)
  ) {
    warn(
      "discover-answer",
      "call",
      "server/discover gets something else than a result",
      "the origin server does not know the modern era and does not say so",
    );
  }
}
