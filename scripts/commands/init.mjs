// `npx portcullis init`: writes the configuration of a gateway for one MCP server, with values from the identity provider's
// metadata, and prints what to do next. Asks for what the flags do not say.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { parse, stringify } from "smol-toml";
import { CANNOT, readOptions, refuse as refuseCall } from "../lib/options.mjs";
import { fail, printJson, say, UNUSABLE } from "../lib/run.mjs";
import { root } from "../lib/tools.mjs";
import { ask } from "./doctor/http.mjs";
import { isUrl, LOCAL } from "./doctor/requests.mjs";

export const INIT = {
  name: "portcullis init",
  about: "Writes the configuration of a gateway for your MCP server and identity provider.",
  options: {
    "public-url": {
      value: "URL",
      about: "The URL where clients will reach the gateway, for example https://mcp.example.com",
    },
    origin: { value: "URL", about: "The URL of your MCP server" },
    provider: {
      value: "ISSUER",
      about: "The issuer identifier of your identity provider; its metadata shows which provider it is",
    },
    path: { value: "PATH", about: "The path of the resource at the gateway", default: "/mcp" },
    scopes: {
      value: "SCOPES",
      about: "The scopes that a token must have, separated by spaces",
      default: "mcp:tools",
    },
    "authorization-server": {
      about:
        "The gateway logs people in at that provider and issues its own tokens: for providers that do not register MCP clients",
    },
    config: { value: "FILE", about: "The file to write the table into", otherwise: "wrangler.toml" },
    replace: { about: "Also replaces a table for a gateway that is not on this machine" },
    print: { about: "Prints the table instead of writing it" },
    json: { about: "Prints what was written, and the next steps, as JSON" },
  },
  notes: [
    "If standard input is a terminal, the command asks for the URLs that no option gives. It writes [vars.PORTCULLIS] and replaces a table for a gateway on this machine, such as the one for `npm start`. Rules, limits and all other settings that are not about the server or the provider stay, and so does the rest of the file.",
  ],
  statuses: { 0: "the table was written or printed", 2: CANNOT },
};

const refuse = (why) => fail(why, UNUSABLE);

/** The profile of a provider, by the host of its issuer. */
const PROFILES = [
  [/(^|\.)login\.microsoftonline\.(com|us)$|(^|\.)sts\.windows\.net$/, "entra_id"],
  [/(^|\.)auth0\.com$/, "auth0"],
  [/(^|\.)(okta|oktapreview|okta-emea)\.com$/, "okta"],
  [/^accounts\.google\.com$/, "google"],
  [/^cognito-idp\.[\w-]+\.amazonaws\.com$/, "cognito"],
  [/\.cloudflareaccess\.com$/, "cloudflare_access"],
];

/** What an issuer's metadata says: its exact identifier, its profile, and whether it registers clients; or why there is none. */
export async function detect(issuer) {
  const { origin, pathname, hostname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  let metadata;
  let why = "";
  for (const place of places) {
    const answer = await ask(place, { headers: { accept: "application/json" } });
    if (answer.status === 200 && isUrl(answer.json?.issuer)) {
      metadata = answer.json;
      break;
    }
    why = answer.failed?.words ?? `status ${answer.status}`;
  }
  if (metadata === undefined) return { why };
  const keycloak = /\/realms\/[^/]+$/.test(new URL(metadata.issuer).pathname);
  const profile = PROFILES.find(([host]) => host.test(hostname))?.[1] ?? (keycloak ? "keycloak" : "generic");
  const registers =
    metadata.registration_endpoint !== undefined || metadata.client_id_metadata_document_supported === true;
  return { issuer: metadata.issuer, profile, registers };
}

const quoted = (value) => JSON.stringify(value);

/** The TOML text of the configuration. */
export function table({ publicUrl, origin, issuer, profile, path, scopes, server }) {
  const loopback = publicUrl.startsWith("http://");
  const lines = ["[vars.PORTCULLIS]", `public_url = ${quoted(publicUrl)}`];
  if (loopback) lines.push("development = true");
  if (server) {
    lines.push(
      "",
      "[vars.PORTCULLIS.authorization_server]",
      'key_secrets = ["SIGNING_KEY"]',
      'secrets = ["SEALING_SECRET"]',
      'binding = "AUTHORIZATION"',
      'registration = "open"',
      "",
      "[vars.PORTCULLIS.authorization_server.login]",
      ...(["generic", "cognito", "cloudflare_access"].includes(profile)
        ? []
        : [`profile = ${quoted(profile)}`]),
      `issuer = ${quoted(issuer)}`,
      'client_id = "CLIENT-ID"          # the client id that the provider gave you',
      'secret = "LOGIN_SECRET"',
      "anyone = true                    # every user of that provider; or allowed_domains, allowed_groups, allowed_users",
    );
  } else {
    lines.push(
      "",
      "[[vars.PORTCULLIS.issuers]]",
      'name = "login"',
      `issuer = ${quoted(issuer)}`,
      ...(profile === "generic" ? [] : [`profile = ${quoted(profile)}`]),
    );
  }
  lines.push(
    "",
    "[[vars.PORTCULLIS.resources]]",
    `path = ${quoted(path)}`,
    `origin = ${quoted(origin)}`,
    `issuers = [${quoted(server ? "portcullis" : "login")}]`,
  );
  if (scopes.length > 0) lines.push(`scopes = [${scopes.map(quoted).join(", ")}]`);
  return `${lines.join("\n")}\n`;
}

const BINDINGS = `
[[durable_objects.bindings]]
name = "AUTHORIZATION"
class_name = "AuthorizationRecords"

[[migrations]]
tag = "authorization-server"
new_sqlite_classes = ["AuthorizationRecords"]
`;

/** Matches the header of a table of the configuration document. */
const OWN = /^\s*\[\[?\s*vars\s*\.\s*PORTCULLIS\s*[.\]]/;
const HEADER = /^\s*\[/;

/** wrangler.toml without the configuration document and the comments directly above its tables; everything else stays in place. */
export function withoutDocument(content) {
  const kept = [];
  let own = false;
  for (const line of content.split("\n")) {
    if (HEADER.test(line)) {
      own = OWN.test(line);
      if (own) while (kept.at(-1)?.startsWith("#")) kept.pop();
    }
    if (!own) kept.push(line);
  }
  const rest = kept.join("\n");
  // A document in another notation, as an inline table, is still there: then the file is left alone.
  return parse(rest).vars?.PORTCULLIS === undefined ? rest : undefined;
}

/** The parts of a document that `init` keeps: everything but the server, its clients and its identity provider, such as rules. */
function whatStays(document) {
  const {
    public_url: _,
    development: __,
    issuers: ___,
    resources = [],
    authorization_server: ____,
    ...rest
  } = document;
  const { path: _p, origin: _o, issuers: _i, scopes: _s, name: _n, ...resource } = resources[0] ?? {};
  return { rest, resource };
}

/** The kept parts of the resource as TOML, to go below the new resource: TOML requires plain keys before tables. */
function resourceTables(resource) {
  const text = stringify({ vars: { PORTCULLIS: { resources: [resource] } } });
  const [, ...lines] = text
    .trim()
    .split("\n")
    .slice(text.trim().split("\n").indexOf("[[vars.PORTCULLIS.resources]]"));
  const below = lines.join("\n").trim();
  return below === "" ? "" : `${below.startsWith("[") ? "\n" : ""}${below}\n`;
}

/** The kept parts of the document as TOML tables of the file. */
const tables = (document) =>
  Object.keys(document).length === 0
    ? ""
    : `\n${stringify({ vars: { PORTCULLIS: document } })
        .replace("[vars]\n", "")
        .replace("[vars.PORTCULLIS]\n", "")
        .trim()}\n`;

function checkUrl(name, value, { path = true } = {}) {
  const url = URL.parse(value);
  if (!["http:", "https:"].includes(url?.protocol))
    refuse(`--${name} must be an http or https URL, got ${quoted(value)}`);
  const local = LOCAL.test(url.hostname);
  if (url.protocol === "http:" && !local)
    refuse(`--${name} must be https, except on this machine, got ${quoted(value)}`);
  if (!path && (url.pathname !== "/" || url.search))
    refuse(`--${name} must have only a scheme and a host, got ${quoted(value)}`);
  return path ? value : url.origin;
}

export async function init(args) {
  const { values } = readOptions(args, INIT);
  const prompt = process.stdin.isTTY
    ? createInterface({ input: process.stdin, output: process.stdout })
    : undefined;
  const want = async (name, question) => {
    if (values[name]) return values[name];
    if (!prompt) refuseCall(INIT, `--${name} is required, because standard input is not a terminal`);
    return (await prompt.question(`  ${question}: `)).trim();
  };
  const publicUrl = checkUrl(
    "public-url",
    await want(
      "public-url",
      "The URL where clients will reach the gateway (for example https://mcp.example.com)",
    ),
    { path: false },
  );
  const origin = checkUrl(
    "origin",
    await want("origin", "The URL of your MCP server (for example https://tools.internal.example/mcp)"),
  );
  const asked = checkUrl(
    "provider",
    await want("provider", "The issuer identifier of your identity provider"),
  );
  prompt?.close();
  const { path } = values;
  if (!/^\/[\w./~-]*$/.test(path))
    refuse(`--path must begin with / and contain only letters, digits, / . _ ~ and -, got ${quoted(path)}`);
  const scopes = values.scopes.split(" ").filter(Boolean);

  const found = await detect(asked);
  if (found.why !== undefined) {
    refuse(
      `${asked} has no metadata (${found.why}): is it the issuer identifier, as in \`iss\` of the provider's tokens?`,
    );
  }
  if (found.issuer !== asked)
    say(
      `the provider's metadata names the issuer ${found.issuer}: its tokens have this issuer, so the table has it too`,
    );
  if (publicUrl.startsWith("https:"))
    for (const url of [origin, found.issuer].filter((url) => url.startsWith("http:")))
      say(
        `warning: ${url} works only on this machine; a gateway at ${publicUrl} needs https`,
        process.stderr,
      );
  const server = values["authorization-server"];
  const written = table({ publicUrl, origin, ...found, path, scopes, server });
  if (values.print) return values.json ? printJson({ table: written }) : process.stdout.write(written);

  const file = resolve(values.config ?? join(root, "wrangler.toml"));
  const content = existsSync(file) ? readFileSync(file, "utf8") : refuse(`${file} does not exist`);
  let before;
  try {
    before = parse(content).vars?.PORTCULLIS;
  } catch (error) {
    refuse(`${file}: ${error.message}`);
  }
  if (before?.stored !== undefined)
    refuse(
      `${file} has its document in KV: use --print, and put the table into the file that you push there`,
    );
  const local = /^http:\/\/(localhost|127\.|\[::1\])/.test(before?.public_url ?? "");
  if (before !== undefined && !local && !values.replace)
    refuse(
      `${file} has a [vars.PORTCULLIS] for ${quoted(before.public_url)}: --replace replaces it and keeps rules and other settings; --print prints the new table`,
    );
  if ((before?.resources ?? []).length > 1)
    refuse(`${file} has several resources: use --print, and put the new table in by hand`);
  const rest = withoutDocument(content);
  if (rest === undefined)
    refuse(`${file} has its document in a notation that init does not change: --print prints the new table`);
  const stays = whatStays(before ?? {});
  const kept = [
    ...Object.keys(stays.rest),
    ...Object.keys(stays.resource).map((name) => `resources.${name}`),
  ];
  const whole = `${written}${resourceTables(stays.resource)}${tables(stays.rest)}`;
  const bindings =
    server && !content.includes('class_name = "AuthorizationRecords"') ? `${BINDINGS.trimStart()}\n` : "";
  writeFileSync(file, `${rest.trimEnd()}\n\n${bindings}${whole}`);
  if (kept.length > 0 && !values.json) say(`kept unchanged: ${kept.join(", ")}`);
  if (!values.json)
    say(
      `wrote [vars.PORTCULLIS] in ${file}, for ${found.profile === "generic" ? "an OpenID provider" : found.profile}`,
    );
  const next = [];
  if (server) {
    next.push(
      `register a web application at the provider, with the redirect URI ${publicUrl}/callback, and write its client id into client_id`,
      "npm run --silent keys | npx wrangler secret put SIGNING_KEY",
      "openssl rand -base64 32 | npx wrangler secret put SEALING_SECRET",
      "npx wrangler secret put LOGIN_SECRET",
    );
  } else {
    if (!found.registers)
      next.push(
        "the provider does not register MCP clients: run this command again with --authorization-server --replace, or configure each client with a client id by hand",
      );
    next.push(
      `configure the provider so that aud of its tokens names ${publicUrl}${path} (docs/identity-providers.md, ${found.profile})`,
    );
  }
  next.push(
    "npx portcullis check",
    "npx wrangler login, to your Cloudflare account",
    `route ${new URL(publicUrl).host} to the Worker: routes = [{ pattern = ${quoted(new URL(publicUrl).host)}, custom_domain = true }]; the zone of this host must be in that account`,
    "npm run deploy",
    `npx portcullis doctor ${publicUrl}${path}`,
  );
  if (values.json) return printJson({ file, profile: found.profile, table: whole, kept, next });
  process.stdout.write(`\n  Next:\n${next.map((step, at) => `    ${at + 1}. ${step}`).join("\n")}\n`);
}
