// `portcullis keys`: makes and shows signing keys, of identity assertions and of the authorization server, and prints the steps of
// their rotation.
import { calculateJwkThumbprint } from "jose";
import { readInput } from "../lib/input.mjs";
import { CANNOT, CONFIG, ENV, JSON_OUTPUT, readOptions, refuse } from "../lib/options.mjs";
import { fail, printJson, UNUSABLE } from "../lib/run.mjs";
import { documentOf } from "./rust.mjs";

export const KEYS = {
  name: "portcullis keys",
  about: "Makes and shows signing keys, and prints the steps of their rotation.",
  operands: [
    {
      name: "ACTION",
      required: true,
      about:
        "make: makes a private key and prints it as a JWK, with the steps to install it on standard error; show: reads private keys (JWK, one on each line) from standard input and prints their public key set as the gateway publishes it; rotate: prints the steps that change the signing keys of a configuration, so that no valid token is rejected",
    },
  ],
  options: {
    algorithm: { value: "NAME", about: "ES256 or EdDSA", default: "ES256", only: ["make"] },
    config: { ...CONFIG, only: ["rotate"] },
    env: { ...ENV, only: ["rotate"] },
    json: JSON_OUTPUT,
  },
  statuses: { 0: "the key or the steps were printed", 2: CANNOT },
};

const ALGORITHMS = {
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, ["kty", "crv", "x", "y", "d"]],
  EdDSA: [{ name: "Ed25519" }, ["kty", "crv", "x", "d"]],
};

/** A new private key as a JWK, for one of the algorithms. */
export async function signingKey(algorithm) {
  const [parameters, members] = ALGORITHMS[algorithm];
  const { privateKey } = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]);
  const jwk = await crypto.subtle.exportKey("jwk", privateKey);
  return Object.fromEntries(members.map((name) => [name, jwk[name]]));
}

async function make({ algorithm, json }) {
  if (!Object.hasOwn(ALGORITHMS, algorithm))
    refuse(KEYS, `--algorithm must be ES256 or EdDSA, got ${JSON.stringify(algorithm)}`);
  const key = await signingKey(algorithm);
  if (json) return printJson({ private_key: key, public_key: await publicOf(key) });
  process.stdout.write(`${JSON.stringify(key)}\n`);
  process.stderr.write(`
A private ${algorithm} key is on standard output. Store it as a Worker secret:

  npx portcullis keys make | npx wrangler secret put ASSERTION_KEY

and name the secret in wrangler.toml:

  [vars.PORTCULLIS.identity_assertion]
  key_secrets = ["ASSERTION_KEY"]

For "wrangler dev", put it into .dev.vars, which git ignores:

  echo "ASSERTION_KEY='$(npx portcullis keys make 2>/dev/null)'" >> .dev.vars

The gateway then publishes the public key at /.well-known/jwks.json.
`);
}

/** The public part of a private key, with the key id that the gateway gives it (RFC 7638). */
async function publicOf({ d: _, ...jwk }) {
  const kid = await calculateJwkThumbprint(jwk, "sha256");
  return { ...jwk, kid, use: "sig", alg: jwk.kty === "OKP" ? "EdDSA" : "ES256" };
}

async function show({ json }) {
  const input = await readInput("a private key (JWK) on each line");
  const lines = input.split("\n").filter((line) => line.trim() !== "");
  const keys = lines.map((line, at) => {
    let jwk;
    try {
      jwk = JSON.parse(line);
    } catch {
      fail(`line ${at + 1} must be a private key (JWK), and is not JSON`, UNUSABLE);
    }
    const known = Object.values(ALGORITHMS).some(
      ([{ namedCurve }, members]) =>
        jwk?.crv === (namedCurve ?? "Ed25519") && members.every((name) => typeof jwk[name] === "string"),
    );
    // The message does not repeat the line, which may contain a private key.
    if (!known) fail(`line ${at + 1} must be a private key (JWK) of P-256 or Ed25519`, UNUSABLE);
    return jwk;
  });
  const set = {
    keys: await Promise.all(
      keys.map(({ kty, crv, x, y }) => publicOf(y === undefined ? { kty, crv, x } : { kty, crv, x, y })),
    ),
  };
  if (json) return printJson(set);
  process.stdout.write(`${JSON.stringify(set)}\n`);
}

/** The default of `access_token_seconds` (docs/configuration.md), and how long an assertion lives. */
const ACCESS_TOKEN_SECONDS = 600;
const ASSERTION_SECONDS = 60;

/** The old name with the next number that is not taken. */
function nextName(name, taken) {
  const [, stem, number] = name.match(/^(.*?)(?:_(\d+))?$/);
  for (let next = Number(number ?? 1) + 1; ; next += 1) {
    if (!taken.includes(`${stem}_${next}`)) return `${stem}_${next}`;
  }
}

async function rotate({ config, env, json }) {
  const document = await documentOf({ config, env });
  const flag = env ? ` --env ${env}` : "";
  const put = (name) => `npx portcullis keys make 2>/dev/null | npx wrangler secret put ${name}${flag}`;
  const deploy = `npm run deploy${env ? ` -- --env ${env}` : ""}`;
  const table = {
    "authorization_server.key_secrets": [
      document.authorization_server?.key_secrets,
      document.authorization_server?.access_token_seconds ?? ACCESS_TOKEN_SECONDS,
    ],
    "identity_assertion.key_secrets": [document.identity_assertion?.key_secrets, ASSERTION_SECONDS],
  };
  const plans = Object.entries(table)
    .filter(([, [old]]) => old !== undefined)
    .map(([what, [old, seconds]]) => {
      const name = nextName(old[0], old);
      return {
        what,
        steps: [
          put(name),
          `key_secrets = ${JSON.stringify([...old, name])}: the gateway publishes the new key and does not sign with it yet; ${deploy}`,
          "wait an hour, until every cache of the published keys has the new key",
          `key_secrets = ${JSON.stringify([name, ...old])}: the gateway signs with the first key; ${deploy}`,
          `wait ${seconds} seconds, until the last token that the old key signed has expired`,
          `key_secrets = ${JSON.stringify([name])}; ${deploy}`,
          ...old.map((secret) => `npx wrangler secret delete ${secret}${flag}`),
        ],
      };
    });
  if (plans.length === 0)
    fail(
      "the configuration has no signing key: it has neither identity_assertion nor authorization_server",
      UNUSABLE,
    );
  if (json) return printJson({ plans });
  for (const { what, steps } of plans)
    process.stdout.write(`${what}\n${steps.map((step, at) => `  ${at + 1}. ${step}`).join("\n")}\n`);
}

const ACTIONS = new Map(Object.entries({ make, show, rotate }));

export async function keys(args) {
  const {
    values,
    operands: [action],
  } = readOptions(args, KEYS);
  const run =
    ACTIONS.get(action) ?? refuse(KEYS, `ACTION must be make, show or rotate, got ${JSON.stringify(action)}`);
  await run(values);
}
