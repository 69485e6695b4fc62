// Makes an API key: the key on standard output, this once; the record, which opens nothing, on standard error.
import { createHmac, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { fail } from "./lib/run.mjs";

const USAGE =
  'npm run --silent apikey -- --prefix pk --label "CI of the tools team" [--scopes "mcp:tools"] [--expires 2027-01-31T00:00:00Z]';

const options = Object.fromEntries(
  ["prefix", "label", "scopes", "expires"].map((name) => [name, { type: "string" }]),
);
const { values, positionals } = parseArgs({ strict: false, allowPositionals: true, options });
const unknown = [...Object.keys(values).filter((name) => !(name in options)), ...positionals];
if (unknown.length > 0) fail(`what is ${unknown.join(", ")}? ${USAGE}`);
const text = (name) => (typeof values[name] === "string" ? values[name] : undefined);

const prefix = text("prefix") ?? fail(`--prefix is required: ${USAGE}`);
if (!/^[a-z0-9]{2,20}$/.test(prefix) || prefix === "ey")
  fail(`--prefix must be 2 to 20 lower-case letters and digits, got "${prefix}"`);
const label = text("label") ?? fail(`--label is required, it says in the log whose key it is: ${USAGE}`);
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
if (label === "" || [...label].length > 100 || /[\u0000-\u001f\u007f-\u009f]/.test(label))
  fail("--label must be 1 to 100 characters, none of them a control character");
const scopes = (text("scopes") ?? "").split(" ").filter((scope) => scope !== "");
for (const scope of scopes)
  if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) fail(`--scopes: "${scope}" is no scope (RFC 6749 §3.3)`);
const expires = text("expires");
if (expires !== undefined) {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
  if (!form.test(expires) || Number.isNaN(Date.parse(expires)))
    fail(`--expires must be a moment as 2027-01-31T00:00:00Z (RFC 3339), got "${expires}"`);
  if (Date.parse(expires) <= Date.now()) fail(`--expires has passed: ${expires}`);
}

const id = randomBytes(8).toString("hex");
const secret = randomBytes(32).toString("base64url");
const salt = randomBytes(16);
const digest = createHmac("sha256", salt).update(secret).digest("base64url");
const record = {
  id,
  label,
  hash: `hmac-sha256$${salt.toString("base64url")}$${digest}`,
  ...(scopes.length > 0 && { scopes }),
  ...(expires && { expires }),
};
const toml = Object.entries(record).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);

process.stdout.write(`${prefix}_${id}_${secret}\n`);
process.stderr.write(`
The key is on standard output, and nowhere else: it cannot be shown again. What follows opens nothing and is for the
gateway. Either into wrangler.toml, below the set of this prefix:

  [[vars.PORTCULLIS.api_keys.keys]]
  ${toml.join("\n  ")}

or into KV, where "kv" of the set names the binding:

  npx wrangler kv key put --remote --binding KV_BINDING "apikey:${prefix}:${id}" '${JSON.stringify(record).replaceAll("'", "'\\''")}'
`);
