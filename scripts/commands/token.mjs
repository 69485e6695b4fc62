// `portcullis token`: decodes a token, and lets the Worker itself verify it, with the user's configuration but without its origin
// servers: a stub answers in their place.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { build, VARIANTS } from "../lib/build.mjs";
import { readInput } from "../lib/input.mjs";
import { checkBuilt } from "../lib/integrity.mjs";
import { CANNOT, CONFIG, ENV, JSON_OUTPUT, readOptions } from "../lib/options.mjs";
import { fail, plain, printJson, step, UNUSABLE } from "../lib/run.mjs";
import { readSettings } from "../lib/settings.mjs";
import { isPackage, project, root } from "../lib/tools.mjs";
import { documentOf } from "./rust.mjs";

export const TOKEN = {
  name: "portcullis token",
  about:
    "Decodes a token, and says for each resource whether the gateway would accept it and, if not, the exact reason.",
  input: "TOKEN",
  options: {
    from: {
      value: "VARIABLE",
      about: "Reads the token from this environment variable",
      otherwise: "from standard input",
    },
    resource: { value: "PATH", about: "Checks only the resource at this path", otherwise: "all resources" },
    config: CONFIG,
    env: ENV,
    json: JSON_OUTPUT,
  },
  notes: ["The command fetches the keys of the issuer. It never prints the token."],
  statuses: {
    0: "a resource accepts the token",
    1: "no resource accepts the token",
    2: `${CANNOT}, or the keys cannot be fetched`,
  },
};

const PATIENCE = 60_000;

const part = (text) => {
  try {
    const value = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    // Throws where the value is nested too deeply to print: the gateway would not accept it either.
    JSON.stringify(value);
    return value !== null && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
};

/** Header and claims of a JWT; undefined where the token is no JWT. */
export function decode(token) {
  const [header, claims, signature, ...more] = token.split(".");
  if (signature === undefined || more.length > 0) return undefined;
  const decoded = { header: part(header), claims: part(claims) };
  return decoded.header && decoded.claims ? decoded : undefined;
}

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** A span of time in the largest unit of which it has at least two, or in seconds. */
export function span(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= 2 * size) ?? UNITS.at(-1);
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

const moment = (seconds, now) => {
  const away = Math.round(seconds - now / 1000);
  const text = span(Math.abs(away));
  return `${new Date(seconds * 1000).toISOString()}, ${away < 0 ? `${text} ago` : `in ${text}`}`;
};

/** Header and claims as readable lines. */
function describe({ header, claims }, now) {
  const lines = [`header  ${JSON.stringify(header)}`];
  for (const [name, value] of Object.entries(claims)) {
    const time =
      ["exp", "iat", "nbf", "auth_time"].includes(name) && Number.isFinite(value) && Math.abs(value) < 1e11;
    lines.push(`${name.padEnd(6)}  ${JSON.stringify(value)}${time ? `  (${moment(value, now)})` : ""}`);
  }
  return lines;
}

/**
 * A sentence for each reason of the log with which the gateway can reject the request of this command. The request itself has no
 * mistake, so reasons such as `malformed_message` are not among them; a test compares the table with the Worker's code.
 */
export const REASONS = {
  api_key_unknown: "No API key of the configuration has this id and this secret.",
  api_keys_unavailable: "The namespace with the API keys cannot be read.",
  fields_too_large: "The token is larger than the header fields of a request may be.",
  forbidden: "The rules do not allow this caller to open a stream or to end a session.",
  identity_too_large: "The claims of the caller for the origin server have more than 8 KB.",
  insufficient_scope: "The token lacks a scope that the resource requires.",
  internal: "The gateway failed: this is a bug of the gateway.",
  introspection_unavailable:
    "The introspection endpoint of the issuer cannot be reached, or its answer cannot be read.",
  issuer_unavailable: "The metadata or the keys of the issuer cannot be fetched.",
  malformed_credentials: "The value of the Authorization field is not a credential.",
  misconfigured: "The configuration has mistakes: `npx portcullis check` names them.",
  no_credentials: "The resource does not accept a credential of this kind under the scheme Bearer.",
  proof_access_token_hash: "The DPoP proof is for another access token.",
  proof_algorithm: "The algorithm of the DPoP proof is not accepted, or does not fit its key.",
  proof_claims: "The DPoP proof lacks a claim, or a claim has the wrong form.",
  proof_expired: "The DPoP proof is too old, or is from the future.",
  proof_key: "The key in the DPoP proof cannot be used.",
  proof_malformed: "The DPoP proof is not a JWT of the type dpop+jwt.",
  proof_method: "The DPoP proof is for another HTTP method.",
  proof_missing: "The token needs a DPoP proof in each request, and this command has no key to make one.",
  proof_nonce: "The DPoP proof lacks the nonce of the gateway.",
  proof_other_key: "The token is bound to another key than that of the DPoP proof.",
  proof_replayed: "The DPoP proof was used before.",
  proof_signature: "The signature of the DPoP proof is wrong.",
  proof_url: "The DPoP proof is for another URL.",
  replay_memory_unavailable: "The memory of used DPoP proofs cannot be reached.",
  revocations_unavailable: "The revocation list cannot be read.",
  token_algorithm:
    "The token is signed with an algorithm that the configuration does not accept for this issuer.",
  token_audience:
    "The token is for another service: aud names neither the resource nor a configured audience.",
  token_bound_under_bearer: "The token is bound to a DPoP key, and was sent under the scheme Bearer.",
  token_certificate: "The token is bound to a client certificate, and the request has another one or none.",
  token_claim_malformed: "A claim of the token has the wrong form.",
  token_claim_missing: "The token lacks a claim that the gateway needs.",
  token_claim_not_accepted:
    "A claim has a value that claims of the issuer in the configuration does not accept.",
  token_claims_not_json: "The claims of the token are not a JSON object that can be read without doubt.",
  token_claims_too_many: "The token has more claims than the gateway reads.",
  token_expired: "The token has expired: the client must get a new one.",
  token_forbidden_header: "The header of the token has a member that would change how the token is verified.",
  token_header_malformed: "The header of the token is not that of a signed JWT.",
  token_inactive:
    "The issuer or the verifier says that the token is not active: it has expired or was revoked.",
  token_is_id_token:
    "This is an ID token, or lacks the claims of access tokens: the client must send its access token.",
  token_issued_in_future: "iat is in the future: a clock is wrong.",
  token_issuer: "No issuer of the resource has the identifier in iss.",
  token_key_ambiguous: "Several keys of the issuer fit the token, and its kid does not choose one of them.",
  token_key_does_not_fit: "The key that kid names is for another algorithm or another use.",
  token_key_unknown:
    "The key that signed the token is unknown: it may be new, withdrawn, or a key of another issuer.",
  token_key_unusable: "The key that kid names is malformed, or too weak.",
  token_malformed: "The token is not a JWT, and the resource accepts no other token of this form.",
  token_not_bound:
    "The resource requires tokens that are bound to a key or a certificate, and this one is not.",
  token_not_for_this_resource:
    "The resource does not accept credentials of this kind; another resource of this gateway does.",
  token_not_yet_valid: "nbf is in the future: the token is not valid yet, or a clock is wrong.",
  token_revoked: "The token, its client or its user is on the revocation list.",
  token_sender_constrained: "The token is bound in a way that the resource does not check.",
  token_signature: "The signature is wrong: the token was changed, or another key signed it.",
  token_tenant:
    "The token is from a tenant that the configuration does not accept, or does not name its tenant.",
  token_too_long: "The token is longer than the gateway reads.",
  token_type:
    "The token is not an access token: typ in the header, or introspection, describes another kind.",
  verifier_unavailable: "The verifier of the configuration cannot be reached.",
};

/** The values in the token and in the configuration that lead to a reason of the log. */
function because(reason, { header = {}, claims = {} } = {}, document, resource) {
  const audiences = [`${document.public_url}${resource.path}`, ...(resource.audiences ?? [])];
  const issuers = (document.issuers ?? [])
    .filter(({ name }) => resource.issuers?.includes(name))
    .map(({ issuer }) => issuer);
  return {
    token_audience: `aud is ${JSON.stringify(claims.aud)}, and must name ${audiences.join(" or ")}`,
    token_issuer: `iss is ${JSON.stringify(claims.iss)}; ${resource.path} accepts tokens of ${issuers.join(", ") || "no issuer"}`,
    token_key_unknown: `the issuer publishes no key with the kid ${JSON.stringify(header.kid)}`,
    token_type: `typ is ${JSON.stringify(header.typ)}; token_types of the issuer lists the types of access tokens`,
    token_algorithm: `alg is ${JSON.stringify(header.alg)}; algorithms of the issuer lists the accepted algorithms`,
    token_expired: `exp is ${JSON.stringify(claims.exp)}`,
    insufficient_scope: `scope is ${JSON.stringify(claims.scope ?? claims.scp ?? "")}; ${resource.path} requires ${(resource.scopes ?? []).join(" ")}`,
  }[reason];
}

/** The configuration with a stub for each origin server, and without what cannot be reached from here; adds a note for each. */
function standIn(document, notes) {
  const { decision_log: _, revocation, log: __, ...rest } = document;
  if (revocation) notes.push("the revocation list is in KV, and this command does not read it");
  if ((document.api_keys ?? []).some(({ kv }) => kv)) notes.push("this command does not read API keys in KV");
  if (document.verifiers?.some(({ service }) => service))
    notes.push("this command cannot call verifiers behind a service binding");
  if (rest.dpop) delete rest.dpop.replay_binding;
  if (rest.authorization_server) delete rest.authorization_server.registration_limit_binding;
  const resources = document.resources.map(
    ({ origin: _, limits: __, rules: ___, labels: ____, rules_mode: _____, ...resource }) => ({
      ...resource,
      service: "NO_ORIGIN",
    }),
  );
  return { ...rest, resources, public_page: false, public_paths: [] };
}

/** The names of the Worker secrets in a configuration. */
function secretNames(value, key = "") {
  if (typeof value === "string") return /(^|_)secrets?$/.test(key) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item) => secretNames(item, key));
  if (value !== null && typeof value === "object")
    return Object.entries(value).flatMap(([name, item]) => secretNames(item, name));
  return [];
}

/** Values of secrets: those of .dev.vars, and for the rest a generated value that is valid both as a private key and as a text. */
async function secretsOf(document, notes) {
  const file = join(project, ".dev.vars");
  const own = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const { privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", privateKey);
  const names = [...new Set(secretNames(document))];
  const missing = names.filter((name) => own[name] === undefined);
  if (missing.length > 0)
    notes.push(`.dev.vars has no ${missing.join(", ")}: this command cannot check what depends on them`);
  return Object.fromEntries(names.map((name) => [name, own[name] ?? JSON.stringify({ kty, crv, x, y, d })]));
}

/** A Worker that forwards requests to the gateway with the URL of the public host. */
const DOOR = `export default {
  fetch(request, env) {
    const inner = new Request(request.headers.get("x-door"), request);
    inner.headers.delete("x-door");
    inner.headers.delete("host");
    return env.GATE.fetch(inner);
  },
}`;

/** The settings with which the gateway runs, here as in production. */
const SETTINGS = readSettings(join(root, "wrangler.toml"));

/** The folder of the Worker with all features: that of the package, or one that is built where it is not current. */
async function worker() {
  if (isPackage) {
    checkBuilt(VARIANTS.full.folder);
    return join(root, VARIANTS.full.folder);
  }
  const work = (at) => build("start", { quiet: true, onCrate: (crate) => at(`compiling ${crate}`) });
  const isNew = !existsSync(join(root, VARIANTS.start.folder));
  const about = { number: 1, of: 1, what: "building the Worker, once", expected: 100, to: process.stderr };
  return (isNew ? step(about, work) : work(() => {})).catch((error) => fail(error.message, UNUSABLE));
}

/** Starts the gateway with a stub as origin server; lines of its log are appended to `lines`. */
async function startGate(folder, document, secrets, lines) {
  const { convertV4MiniflareOptions, Log, LogLevel, Miniflare, Response } = await import("miniflare");
  const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags } = SETTINGS;
  const gate = new Miniflare(
    convertV4MiniflareOptions({
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }) => lines.push(message),
      workers: [
        {
          name: "door",
          modules: true,
          script: DOOR,
          compatibilityDate,
          serviceBindings: { GATE: "gate" },
        },
        {
          name: "gate",
          modules: [
            { type: "ESModule", path: join(folder, "index.js") },
            { type: "CompiledWasm", path: join(folder, "index_bg.wasm") },
          ],
          modulesRoot: folder,
          compatibilityDate,
          compatibilityFlags,
          bindings: { PORTCULLIS: document, ...secrets },
          kvNamespaces: (document.api_keys ?? []).map(({ kv }) => kv).filter(Boolean),
          serviceBindings: { NO_ORIGIN: () => Response.json({ jsonrpc: "2.0", id: 1, result: {} }) },
        },
      ],
    }),
  );
  await gate.ready;
  return gate;
}

const parsed = (lines) =>
  lines.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });

/** The gateway's verdict on a token at one resource. */
async function tryAt(gate, { token, document, resource, decoded, lines }) {
  const answer = await gate.dispatchFetch("http://door/", {
    method: "POST",
    headers: {
      "x-door": `${document.public_url}${resource.path}`,
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  await answer.text();
  const line =
    parsed(lines).findLast(({ event, resource: path }) => event === "request" && path === resource.path) ??
    {};
  const { reason, detail, issuer, client, credential } = line;
  const why = because(reason, decoded, document, resource);
  return {
    resource: resource.path,
    taken: answer.status === 200,
    status: answer.status,
    reason,
    ...(detail && { detail }),
    ...(answer.status !== 200 && { sentence: REASONS[reason] ?? "docs/log.md describes this reason." }),
    ...(why && { because: why }),
    ...(issuer && { issuer }),
    ...(client && { client }),
    ...(credential && { credential }),
  };
}

function readToken({ from, config }) {
  if (from !== undefined)
    return process.env[from] ?? fail(`the environment variable ${from} is not set`, UNUSABLE);
  if (config === "-")
    fail("standard input cannot have both the token and the configuration: use --from", UNUSABLE);
  return readInput("a token (or use --from)");
}

export async function token(args) {
  const { values } = readOptions(args, TOKEN);
  const token = (await readToken(values)).trim().replace(/^(Authorization:\s*)?(Bearer|DPoP)\s+/i, "");
  if (token === "" || /[^\x21-\x7e]/.test(token))
    fail("the token must be visible ASCII characters without spaces, and must not be empty", UNUSABLE);
  const document = await documentOf(values);
  if (document.stored)
    fail("the document is in KV: name the file that you push there with --config", UNUSABLE);
  const resources = document.resources.filter(
    ({ path }) => values.resource === undefined || path === values.resource,
  );
  if (resources.length === 0)
    fail(
      `there is no resource ${values.resource}; the resources are ${document.resources.map(({ path }) => path).join(", ")}`,
      UNUSABLE,
    );
  const folder = await worker();

  const [notes, lines] = [[], []];
  const decoded = decode(token);
  const inner = standIn(structuredClone(document), notes);
  const gate = await startGate(folder, inner, await secretsOf(inner, notes), lines);
  const found = [];
  try {
    for (const resource of resources)
      found.push(await tryAt(gate, { token, document, resource, decoded, lines }));
  } catch (error) {
    fail(`the request to the gateway failed: ${error.message}`, UNUSABLE);
  } finally {
    await gate.dispose();
  }
  const mistakes = parsed(lines).filter(({ reason }) => reason === "configuration_invalid");
  if (mistakes.length > 0) fail(mistakes.map(({ detail }) => detail).join("\n"), UNUSABLE);
  const gatewaySaid = parsed(lines).filter(({ event, level }) => event === "gateway" && level === "error");
  for (const { reason, detail } of gatewaySaid) notes.push(`${reason}: ${detail}`);

  if (values.json) {
    printJson({ ...decoded, resources: found, notes });
  } else {
    const say = (line) => process.stdout.write(`${plain(line, { oneLine: true })}\n`);
    if (decoded) describe(decoded, Date.now()).forEach(say);
    else say("the token is not a JWT: it is an API key, or a token that needs introspection at its issuer");
    say("");
    for (const { resource, taken, status, reason, detail, sentence, because, issuer, client } of found) {
      const who = [issuer && `issuer ${issuer}`, client && `client ${client}`].filter(Boolean).join(", ");
      say(
        taken
          ? `${resource}: accepted${who && `, ${who}`}`
          : `${resource}: rejected, ${status} ${reason}${detail ? `: ${detail}` : ""}`,
      );
      if (sentence) say(`  ${sentence}`);
      if (because) say(`  ${because}`);
    }
    for (const note of notes) say(`note: ${note}`);
    if (found.some(({ taken }) => taken) && document.resources.some(({ rules }) => rules))
      say("note: rules decide what the caller may do there: npx portcullis explain");
  }
  const unknown = found.every(({ status }) => status >= 500);
  process.exitCode = found.some(({ taken }) => taken) ? 0 : unknown ? UNUSABLE : 1;
}
