// Makes a key for identity assertions: a private JWK on standard output, what to do with it on standard error.
import { parseArgs } from "node:util";
import { fail } from "./lib/run.mjs";

const ALGORITHMS = {
  ES256: [{ name: "ECDSA", namedCurve: "P-256" }, ["kty", "crv", "x", "y", "d"]],
  EdDSA: [{ name: "Ed25519" }, ["kty", "crv", "x", "d"]],
};

const { values } = parseArgs({ strict: false, options: { algorithm: { type: "string", default: "ES256" } } });
const unknown = Object.keys(values).filter((name) => name !== "algorithm");
if (unknown.length > 0)
  fail(`there is no option --${unknown.join(", --")}; --algorithm takes ES256 or EdDSA`);
const [parameters, members] =
  ALGORITHMS[values.algorithm] ?? fail(`--algorithm must be ES256 or EdDSA, got "${values.algorithm}"`);
const { privateKey } = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]);
const jwk = await crypto.subtle.exportKey("jwk", privateKey);
process.stdout.write(`${JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))}\n`);
process.stderr.write(`
A private ${values.algorithm} key is on standard output. Keep it as a Worker secret:

  npm run --silent keys | npx wrangler secret put ASSERTION_KEY

and name the secret in wrangler.toml:

  [vars.PORTCULLIS.identity_assertion]
  key_secret = "ASSERTION_KEY"

For "wrangler dev", put it into .dev.vars, which git ignores:

  echo "ASSERTION_KEY='$(npm run --silent keys 2>/dev/null)'" >> .dev.vars

The public key is then at /.well-known/jwks.json of the gateway.
`);
