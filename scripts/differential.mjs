// Compares three verifiers on the same tokens: the portable implementation (native Rust), WebCrypto through the Worker's own
// JavaScript, and npm `jose`. All three must accept or refuse a token alike, except where one of our rules that docs/security.md
// names is stricter than jose's. This script checks by itself that the rule applies to the token, and does not rely on the
// reason that our verifier gives.
import { spawn } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { createInterface } from "node:readline";
import { calculateJwkThumbprint, createLocalJWKSet, exportJWK, jwtVerify } from "jose";
import { checked } from "../src/worker/signatures.js";
import { ALGORITHMS } from "./lib/algorithms.mjs";
import { readOptions, refuse } from "./lib/options.mjs";
import { fail, run, say } from "./lib/run.mjs";
import { root, rust } from "./lib/tools.mjs";

const DIFFERENTIAL = {
  name: "npm run differential",
  about: "Compares three verifiers on the same generated tokens: portable Rust, WebCrypto and npm jose.",
  operands: [
    { name: "COUNT", about: "The number of tokens [default: 2000]" },
    { name: "SEED", about: "The seed of the generator, a whole number [default: 1]" },
  ],
  statuses: { 0: "the verifiers agree", 1: "they disagree", 2: "the command cannot be used" },
};
const [count = 2_000, seed = 1] = readOptions(process.argv.slice(2), DIFFERENTIAL).operands.map(Number);
if (!Number.isSafeInteger(count) || count < 1) refuse(DIFFERENTIAL, "COUNT must be a whole number from 1");
if (!Number.isSafeInteger(seed)) refuse(DIFFERENTIAL, "SEED must be a whole number");

/** Time, issuer and audience that the Rust program `judge` uses: see tests/gate/support. */
const NOW = 1_795_435_200;
const ISSUER = "https://login.example";
const AUDIENCE = "https://gate.example/mcp";
/** Number of tokens for each key set. */
const BATCH = 250;

// ---- pseudorandom numbers from the seed (mulberry32)
let state = seed;
function chance() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
}
const below = (limit) => Math.floor(chance() * limit);
const pick = (list) => list[below(list.length)];

const HASH = { 256: "sha256", 384: "sha384", 512: "sha512" };
const pairs = [
  ["rsa", "rsa", { modulusLength: 2048 }, ALGORITHMS.slice(0, 6)],
  ["rsa-3072", "rsa", { modulusLength: 3072 }, ALGORITHMS.slice(0, 6)],
  ["p256", "ec", { namedCurve: "P-256" }, ["ES256"]],
  ["p384", "ec", { namedCurve: "P-384" }, ["ES384"]],
  ["p521", "ec", { namedCurve: "P-521" }, ["ES512"]],
  ["ed", "ed25519", {}, ["EdDSA", "Ed25519"]],
].map(([kid, type, options, algorithms]) => {
  const { publicKey, privateKey } = generateKeyPairSync(type, options);
  return { kid, algorithms, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig" } };
});

function signWith({ privateKey }, alg, input) {
  const data = Buffer.from(input);
  if (alg === "EdDSA") return sign(null, data, privateKey);
  const hash = HASH[alg.slice(2)];
  if (alg.startsWith("ES")) return sign(hash, data, { key: privateKey, dsaEncoding: "ieee-p1363" });
  const pss = alg.startsWith("PS") ? { padding: 6, saltLength: Number(alg.slice(2)) / 8 } : {};
  return sign(hash, data, { key: privateKey, ...pss });
}

const encode = (text) => Buffer.from(text).toString("base64url");
const good = () => ({
  iss: ISSUER,
  sub: pick(["ada", "ben", "ç", "x".repeat(200)]),
  aud: pick([AUDIENCE, [AUDIENCE], ["https://other.example", AUDIENCE]]),
  client_id: "client",
  scope: pick(["mcp:tools", "mcp:tools x y", ["mcp:tools"]]),
  iat: NOW - below(100),
  exp: NOW + 1 + below(1000),
  jti: `${below(1e9)}`,
  ...(chance() < 0.2 && { nbf: NOW - below(50) }),
  ...(chance() < 0.1 && { extra: { deep: [1, 2, { three: null }] } }),
});

const ODD = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e300,
  "",
  "x",
  [],
  ["x"],
  [1],
  {},
  { a: 1 },
  NOW,
  `${NOW + 100}`,
];
const EDGES = [-31, -30, -29, -1, 0, 1, 29, 30, 31, 0.5, -30.5, 1e12];

const CLAIMS = {
  none: (claims) => claims,
  drop: (claims) => {
    delete claims[pick(Object.keys(claims))];
    return claims;
  },
  odd: (claims) => ({ ...claims, [pick(Object.keys(claims))]: pick(ODD) }),
  edge: (claims) => ({ ...claims, [pick(["exp", "nbf", "iat"])]: NOW + pick(EDGES) }),
  added: (claims) => ({
    ...claims,
    [pick(["nonce", "at_hash", "cnf", "token_use", "typ", "azp", "act"])]: pick(["id", "x", {}]),
  }),
  stranger: (claims) => ({
    ...claims,
    [pick(["iss", "aud"])]: pick(["https://evil.example", `${ISSUER}/`, `${AUDIENCE}/`, "*"]),
  }),
  many: (claims) => ({
    ...claims,
    ...Object.fromEntries(Array.from({ length: 140 }, (_, at) => [`c${at}`, at])),
  }),
};
const HEADERS = {
  none: (header) => header,
  drop: (header) => {
    delete header[pick(["alg", "typ", "kid"])];
    return header;
  },
  odd: (header) => ({ ...header, [pick(["alg", "typ", "kid"])]: pick(ODD) }),
  typ: (header) => ({ ...header, typ: pick(["JWT", "AT+JWT", "application/at+jwt", "dpop+jwt", "at+jwt "]) }),
  alg: (header) => ({ ...header, alg: pick([...ALGORITHMS, "none", "HS256", "ES256K", "es256"]) }),
  kid: (header) => ({ ...header, kid: pick([...pairs.map(({ kid }) => kid), "unknown", "RSA"]) }),
  added: (header) => ({
    ...header,
    [pick(["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "cty", "x"])]: pick([
      ["exp"],
      ["b64"],
      false,
      true,
      "x",
      {},
    ]),
  }),
  many: (header) => ({
    ...header,
    ...Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`h${at}`, at])),
  }),
};
const TEXTS = {
  none: (text) => text,
  twice: (text) =>
    `{${pick(['"sub":"eve"', '"exp":9999999999', '"alg":"none"', '"x":1,"x":2', '"x":{"y":1,"y":1}'])},${text.slice(1)}`,
  spaces: (text) => `\n ${text}\t`,
  escaped: (text) => text.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
  cut: (text) => text.slice(0, -1 - below(5)),
  behind: (text) => `${text}${pick([" ", "x", "{}", "\0"])}`,
  deep: (text) => `{"deep":${"[".repeat(90)}${"]".repeat(90)},${text.slice(1)}`,
  bom: (text) => `\ufeff${text}`,
};
const COMPACT = {
  none: (parts) => parts,
  bit: (parts) => {
    const at = below(3);
    const bytes = Buffer.from(parts[at], "base64url");
    if (bytes.length > 0) bytes[below(bytes.length)] ^= 1 << below(8);
    return parts.with(at, bytes.toString("base64url"));
  },
  character: (parts) => {
    const at = below(3);
    const where = below(parts[at].length);
    const letter = pick([..."ABCxyz019-_"]);
    return parts.with(at, parts[at].slice(0, where) + letter + parts[at].slice(where + 1));
  },
  last: (parts) => {
    // Changes the unused bits of the last character.
    const at = below(3);
    return parts.with(at, parts[at].slice(0, -1) + pick([..."ABCDEFGHQRSTghijwxyz0123"]));
  },
  shorter: (parts) => {
    const at = below(3);
    return parts.with(at, parts[at].slice(0, -1 - below(4)));
  },
  longer: (parts) => {
    const at = below(3);
    return parts.with(at, parts[at] + pick(["A", "AA", "AAAA", "_", "="]));
  },
  empty: (parts) => parts.with(below(3), ""),
  negated: (parts) => {
    const signature = Buffer.from(parts[2], "base64url");
    return parts.with(
      2,
      Buffer.concat([
        signature.subarray(0, signature.length / 2).reverse(),
        signature.subarray(signature.length / 2),
      ]).toString("base64url"),
    );
  },
};
/** One of `changes` with probability `share`, otherwise no change. */
const sometimes = (changes, share) => (chance() < share ? pick(Object.values(changes)) : changes.none);

function token(before) {
  const key = pick(pairs);
  const alg = pick(key.algorithms);
  const header = sometimes(HEADERS, 0.25)({ alg, typ: "at+jwt", kid: key.kid });
  const claims = sometimes(CLAIMS, 0.35)(good());
  const input = [
    sometimes(TEXTS, 0.12)(JSON.stringify(header)),
    sometimes(TEXTS, 0.15)(JSON.stringify(claims)),
  ]
    .map(encode)
    .join(".");
  // Sometimes signed with another algorithm or key than the header names, or with the signature of another token.
  const signer = chance() < 0.06 ? pick(pairs) : key;
  const signed = signer.algorithms.includes(alg) && chance() > 0.05 ? alg : pick(signer.algorithms);
  const signature =
    chance() < 0.03 && before ? before.split(".")[2] : signWith(signer, signed, input).toString("base64url");
  return sometimes(COMPACT, 0.3)([...input.split("."), signature]).join(".");
}

function keySet() {
  const keys = pairs.map(({ jwk }) => ({ ...jwk }));
  if (chance() < 0.3) keys.splice(below(keys.length), 1);
  if (chance() < 0.2) keys.push({ ...pick(keys) });
  if (chance() < 0.3)
    Object.assign(
      pick(keys),
      pick([
        { use: "enc" },
        { alg: "RS256" },
        { alg: "ES256" },
        { key_ops: ["sign"] },
        { key_ops: ["verify"] },
      ]),
    );
  if (chance() < 0.2) delete pick(keys).kid;
  return { keys };
}

// ---- jose
const OPTIONS = {
  algorithms: ALGORITHMS,
  issuer: ISSUER,
  audience: AUDIENCE,
  typ: "at+jwt",
  requiredClaims: ["exp", "sub", "iss", "aud"],
  clockTolerance: 30,
  currentDate: new Date(NOW * 1000),
};

/** The only key among several candidates of jose's: a key that is listed twice counts as one key. */
async function onlyKey(several) {
  const prints = new Map();
  for await (const key of several) prints.set(await calculateJwkThumbprint(await exportJWK(key)), key);
  return prints.size === 1 ? [...prints.values()][0] : undefined;
}

async function joseAccepts(text, keys) {
  try {
    return (await jwtVerify(text, keys, OPTIONS)).payload;
  } catch (error) {
    const key = error.code === "ERR_JWKS_MULTIPLE_MATCHING_KEYS" ? await onlyKey(error) : undefined;
    return key && joseAccepts(text, key);
  }
}

// ---- our rules that are stricter than jose's, each checked on the token itself
const decoded = (part) => Buffer.from(part, "base64url");
const read = (part) => JSON.parse(new TextDecoder().decode(decoded(part)));
const strictText = (part) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(decoded(part));
const depth = (value) =>
  value !== null && typeof value === "object" ? 1 + Math.max(0, ...Object.values(value).map(depth)) : 0;
/** Whether a JSON text repeats a member: then it has more member names than the parsed value has members. */
function repeats(text) {
  const members = (value) =>
    value !== null && typeof value === "object"
      ? (Array.isArray(value) ? 0 : Object.keys(value).length) +
        Object.values(value)
          .map(members)
          .reduce((a, b) => a + b, 0)
      : 0;
  const names = text.match(/"(?:[^"\\]|\\.)*"\s*:/g) ?? [];
  return names.length > members(JSON.parse(text));
}
const isText = (value) => value === undefined || typeof value === "string";
const isSeconds = (value) =>
  value === undefined || (typeof value === "number" && value >= 0 && value <= 253_402_300_799);
const isTexts = (value) =>
  value === undefined ||
  typeof value === "string" ||
  (Array.isArray(value) && value.every((item) => typeof item === "string"));
const canonical = (text) => text.split(".").every((part) => decoded(part).toString("base64url") === part);
const notStrict = (part) =>
  strictText(part).startsWith("\ufeff") || repeats(strictText(part)) || depth(read(part)) > 64;
const scopesOf = ({ scope }) =>
  (Array.isArray(scope) ? scope : [scope ?? ""]).flatMap((text) => String(text).split(" "));

const STRICTER = {
  token_malformed: ({ text }) => !canonical(text),
  malformed_credentials: ({ text }) => !/^[\w.~+/-]+=*$/.test(text),
  token_header_malformed: ({ header, raw }) =>
    notStrict(raw[0]) || Object.keys(header).length > 16 || !isText(header.kid) || !isText(header.typ),
  token_forbidden_header: ({ header }) =>
    ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"].some((name) => name in header),
  token_claims_not_json: ({ raw }) => notStrict(raw[1]),
  token_claims_too_many: ({ claims }) => Object.keys(claims).length > 128,
  token_claim_malformed: ({ claims }) =>
    ![claims.sub, claims.jti, claims.client_id, claims.azp].every(isText) ||
    ![claims.exp, claims.nbf, claims.iat].every(isSeconds) ||
    ![claims.aud, claims.scope].every(isTexts),
  token_claim_missing: ({ claims }) => claims.sub === "",
  token_is_id_token: ({ claims }) =>
    claims.token_use === "id" ||
    claims.typ === "ID" ||
    ["nonce", "at_hash", "c_hash", "s_hash"].some((name) => name in claims),
  token_sender_constrained: ({ claims }) => "cnf" in claims,
  token_issued_in_future: ({ claims }) => claims.iat > NOW + 30,
  token_expired: ({ claims }) => Math.floor(claims.exp) + 30 <= NOW,
  token_not_yet_valid: ({ claims }) => Math.ceil(claims.nbf) > NOW + 30,
  insufficient_scope: ({ claims }) => !scopesOf(claims).includes("mcp:tools"),
  token_key_ambiguous: ({ header, keys }) =>
    keys.filter(({ kid }) => header.kid === undefined || kid === header.kid).length > 1,
  token_key_unknown: ({ header, keys }) =>
    header.kid !== undefined && keys.every(({ kid }) => kid !== header.kid),
};

await rust();
say("building the program judge");
await run(
  "cargo",
  ["build", "--quiet", "--locked", "--features", "portable,schema,command", "--example", "judge"],
  {
    cwd: root,
  },
);
const judge = spawn("target/debug/examples/judge", { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
const verdicts = createInterface({ input: judge.stdout })[Symbol.asyncIterator]();

const total = { accepted: 0, stricter: {}, disagreements: [] };
const disagree = (what, text) => total.disagreements.push(`${what}: ${text}`);

async function compare(text, keys, third) {
  const { value } = await verdicts.next();
  if (value === undefined) fail("the program judge has ended");
  const { accepted, reason, check } = JSON.parse(value);
  if (check !== null) {
    const second = await checked(
      JSON.stringify(check.jwk),
      check.alg,
      Buffer.from(check.signature, "base64url"),
      check.input,
    ).catch(() => null);
    // Both refuse a malformed key, WebCrypto by throwing.
    if ((second === true) !== (check.good === true))
      disagree(`WebCrypto: ${second}, portable implementation: ${check.good}`, text);
  }
  const payload = await joseAccepts(text, third);
  if (accepted) total.accepted += 1;
  if (accepted && payload === undefined) disagree("accepted by the gateway, rejected by jose", text);
  if (!accepted && payload !== undefined) {
    const raw = text.split(".");
    const applies = STRICTER[reason]?.({ text, raw, header: read(raw[0]), claims: payload, keys });
    if (applies) total.stricter[reason] = (total.stricter[reason] ?? 0) + 1;
    else disagree(`rejected by the gateway (${reason}), accepted by jose`, text);
  }
}

for (let done = 0; done < count; ) {
  const { keys } = keySet();
  judge.stdin.write(`${JSON.stringify({ jwks: { keys } })}\n`);
  const third = createLocalJWKSet({ keys });
  const batch = [];
  for (let at = 0; at < Math.min(BATCH, count - done); at += 1) batch.push(token(batch.at(-1)));
  for (const text of batch) judge.stdin.write(`${JSON.stringify({ token: text })}\n`);
  for (const text of batch) await compare(text, keys, third);
  done += batch.length;
  if (done % 10_000 < BATCH && done >= 10_000) say(`${done} tokens`);
}
judge.stdin.end();

for (const line of total.disagreements.slice(0, 10)) say(line);
for (const [reason, times] of Object.entries(total.stricter).sort()) say(`stricter: ${reason} ${times}`);
say(`${total.accepted} tokens accepted by all three`);
const stricter = Object.values(total.stricter).reduce((sum, times) => sum + times, 0);
process.stdout.write(
  `differential: ${count} tokens, ${total.disagreements.length} disagreements, ${stricter} documented stricter\n`,
);
if (total.disagreements.length > 0 || total.accepted === 0) process.exit(1);
