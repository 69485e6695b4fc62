// `portcullis apikey`: makes an API key. Prints the key on standard output, once; and the record, which gives no access, on
// standard error.
import { createHmac, randomBytes } from "node:crypto";
import { CANNOT, readOptions, refuse as refuseCall } from "../lib/options.mjs";
import { printJson } from "../lib/run.mjs";

export const APIKEY = {
  name: "portcullis apikey",
  about: "Makes an API key and prints it once, with the record for the configuration or for KV.",
  options: {
    prefix: {
      value: "PREFIX",
      required: true,
      about: "The prefix of the set: 2 to 20 lower-case letters and digits",
    },
    label: {
      value: "TEXT",
      required: true,
      about: 'The owner of the key in the log, for example "CI of the tools team"',
    },
    scopes: { value: "SCOPES", about: "The scopes of the key, separated by spaces", otherwise: "none" },
    expires: {
      value: "MOMENT",
      about: "When the key expires, for example 2027-01-31T00:00:00Z",
      otherwise: "never",
    },
    json: { about: "Prints key and record as JSON on standard output" },
  },
  notes: ["The key is on standard output, the record on standard error. The record gives no access."],
  statuses: { 0: "the key was made", 2: CANNOT },
};

export function apikey(args) {
  const { values } = readOptions(args, APIKEY);
  const refuse = (why) => refuseCall(APIKEY, why);
  const { prefix, label } = values;
  if (!/^[a-z0-9]{2,20}$/.test(prefix) || prefix === "ey")
    refuse(`--prefix must be 2 to 20 lower-case letters and digits, got "${prefix}"`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters to refuse them
  if (label === "" || [...label].length > 100 || /[\u0000-\u001f\u007f-\u009f]/.test(label))
    refuse(`--label must be 1 to 100 characters without control characters, got ${JSON.stringify(label)}`);
  const scopes = (values.scopes ?? "").split(" ").filter((scope) => scope !== "");
  for (const scope of scopes)
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope))
      refuse(`--scopes must be scopes of RFC 6749 §3.3 (visible ASCII except " and \\), got "${scope}"`);
  const { expires } = values;
  if (expires !== undefined) {
    const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
    if (!form.test(expires) || Number.isNaN(Date.parse(expires)))
      refuse(`--expires must be a time in the form 2027-01-31T00:00:00Z (RFC 3339), got "${expires}"`);
    if (Date.parse(expires) <= Date.now()) refuse(`--expires must be in the future, got "${expires}"`);
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
  const key = `${prefix}_${id}_${secret}`;
  const storedAt = `apikey:${prefix}:${id}`;
  if (values.json) return printJson({ key, record, kv_key: storedAt });
  const toml = Object.entries(record).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  process.stdout.write(`${key}\n`);
  process.stderr.write(`
The key is on standard output only, and cannot be shown again. The record below gives no access; the gateway uses it to
recognize the key. Put the record either into wrangler.toml, below the set of this prefix:

  [[vars.PORTCULLIS.api_keys.keys]]
  ${toml.join("\n  ")}

or into KV, in the namespace whose binding "kv" of the set names:

  npx wrangler kv key put --remote --binding KV_BINDING "${storedAt}" '${JSON.stringify(record).replaceAll("'", "'\\''")}'
`);
}
