// `npx portcullis init`: writes the configuration of a gateway for one MCP server, with values from the identity provider's
// metadata, and prints what to do next. Asks for what the flags do not say.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { isDeepStrictEqual } from "node:util";
import { applyEdits, modify } from "jsonc-parser";
import { parse } from "smol-toml";
import { CANNOT, readOptions, refuse as refuseCall } from "../lib/options.mjs";
import { fail, printJson, say, UNUSABLE } from "../lib/run.mjs";
import { isJson, parseSettings, readSettings, settingsFile } from "../lib/settings.mjs";
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
    "If standard input is a terminal, the command asks for the URLs that no option gives. It asks again after a wrong answer. It writes [vars.PORTCULLIS], and a route for the host of the public URL if the file has no route and the host is not on workers.dev. It replaces a table for a gateway on this machine, such as the one for `npm start`. Rules, limits and all other settings that are not about the server or the provider stay as they are, with their comments, and so does the rest of the file.",
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
      'redirect_schemes = ["cursor"]    # a redirect URI of Cursor',
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

/** The parts of a document that `init` writes anew. It keeps everything else, such as rules and limits. */
const NEW = ["public_url", "development", "issuers", "authorization_server"];
const NEW_IN_RESOURCE = ["path", "origin", "service", "issuers", "scopes", "name"];

/** The names above the only value in a table that has one value. */
function pathOf(value) {
  const [only, ...more] = Object.entries(value);
  if (only === undefined || more.length > 0) return [];
  const inner = Array.isArray(only[1]) ? only[1][0] : only[1];
  const isTable = inner !== null && typeof inner === "object" && !Array.isArray(inner);
  return [only[0], ...(isTable ? pathOf(inner) : [])];
}

/**
 * The statements of a TOML file, each with the comments directly above it: `{ text, table, key }`. `table` is the path of the table
 * that the statement is in or begins; `key` is the first name of a statement `key = value`, and undefined for a table's header.
 */
function statements(content) {
  const lines = content.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const found = [];
  let table = [];
  let above = "";
  for (let at = 0; at < lines.length; ) {
    // A value may have several lines: a statement ends with the first line after which it is valid TOML.
    let text = "";
    let value;
    while (value === undefined) {
      if (at === lines.length) return undefined;
      text += lines[at];
      at += 1;
      try {
        value = parse(text);
      } catch {
        // It continues on the next line.
      }
    }
    if (Object.keys(value).length === 0) {
      above += text;
      // A blank line ends a block of comments: it belongs to no statement.
      if (text.trim() === "") {
        found.push({ text: above, table });
        above = "";
      }
      continue;
    }
    const isHeader = text.trimStart().startsWith("[");
    if (isHeader) table = pathOf(value);
    found.push({ text: above + text, table, key: isHeader ? undefined : Object.keys(value)[0], isHeader });
    above = "";
  }
  if (above !== "") found.push({ text: above, table });
  return found;
}

/**
 * The text of wrangler.toml in parts, none of which is changed: `rest`, which is not the configuration document, and what `init`
 * keeps of the document: `own`, keys of the document itself; `resource`, keys of its resource; `tables`, everything else. Undefined
 * where the document is in another notation, as an inline table is.
 */
export function parts(content) {
  const rest = [];
  const kept = { own: "", resource: "", tables: "" };
  for (const statement of statements(content) ?? [{ text: content, table: [] }]) {
    const { text, table, key, isHeader } = statement;
    const [vars, name, ...below] = table;
    if (vars !== "vars" || name !== "PORTCULLIS") rest.push(statement);
    else if (below.length === 0) {
      if (!isHeader && !NEW.includes(key)) kept.own += text;
    } else if (below.length === 1 && below[0] === "resources") {
      if (!isHeader && !NEW_IN_RESOURCE.includes(key)) kept.resource += text;
    } else if (!NEW.includes(below[0])) kept.tables += text;
  }
  for (const part of Object.keys(kept)) kept[part] = kept[part].replace(/^([^\S\n]*\n)+/, "").trimEnd();
  return { rest, kept };
}

/** The parts of a document that `init` keeps, as values. */
function whatStays(document) {
  const without = (table, names) =>
    Object.fromEntries(Object.entries(table).filter(([name]) => !names.includes(name)));
  const [resource = {}] = document.resources ?? [];
  return { rest: without(document, [...NEW, "resources"]), resource: without(resource, NEW_IN_RESOURCE) };
}

/** The new table with the kept parts in it: TOML requires the keys of a table before the tables below it. */
function whole(written, { own, resource, tables }) {
  const [head, ...below] = written.trimEnd().split("\n\n");
  return `${[[head, own], ...below.slice(0, -1), [below.at(-1), resource], tables]
    .map((part) => [part].flat().filter(Boolean).join("\n"))
    .filter(Boolean)
    .join("\n\n")}\n`;
}

/** Whether the kept parts of the document are in the new text, and no other document is. */
function isSame(text, stays) {
  try {
    return isDeepStrictEqual(whatStays(parseSettings(text).vars.PORTCULLIS), stays);
  } catch {
    return false;
  }
}

/** wrangler.toml with the new table: its text, the text of the document, and what `withRoute` says. */
function inToml(content, { written, needsBindings, host }) {
  const { rest, kept } = parts(content);
  const document = whole(written, kept);
  const { text, ...route } = host ? withRoute(rest, host) : { text: rest.map(({ text }) => text).join("") };
  const bindings = needsBindings ? `${BINDINGS.trimStart()}\n` : "";
  return { text: `${text.trimEnd()}\n\n${bindings}${document}`, document, ...route };
}

/** The same for wrangler.jsonc: everything that is not new stays as it is, with its comments. */
function inJson(content, { written, needsBindings, host }) {
  const settings = parseSettings(content);
  const { PORTCULLIS: document } = parse(written).vars;
  const formattingOptions = {
    insertSpaces: !/^\t/m.test(content),
    tabSize: /^ {4}\S/m.test(content) ? 4 : 2,
  };
  let text = content;
  const set = (path, value, more) => {
    text = applyEdits(text, modify(text, path, value, { formattingOptions, ...more }));
  };
  const add = (path, there, value) => {
    if (there === undefined) set(path, [value]);
    else set([...path, there.length], value, { isArrayInsertion: true });
  };
  const at = ["vars", "PORTCULLIS"];
  const old = settings.vars?.PORTCULLIS;
  if (old === undefined) set(at, document);
  else {
    const {
      resources: [resource],
      ...own
    } = document;
    for (const name of NEW)
      if (own[name] !== undefined || old[name] !== undefined) set([...at, name], own[name]);
    if (old.resources === undefined) set([...at, "resources"], [resource]);
    else
      for (const name of NEW_IN_RESOURCE)
        if (resource[name] !== undefined || old.resources[0][name] !== undefined)
          set([...at, "resources", 0, name], resource[name]);
  }
  if (needsBindings) {
    const { durable_objects, migrations } = parse(BINDINGS);
    add(["durable_objects", "bindings"], settings.durable_objects?.bindings, durable_objects.bindings[0]);
    add(["migrations"], settings.migrations, migrations[0]);
  }
  const { routes, route } = settings;
  const all = [routes ?? [], route ?? []].flat().map((one) => one?.pattern ?? one);
  const hasRoute = all.some((pattern) => pattern === host || `${pattern}`.startsWith(`${host}/`));
  const line = host !== undefined && all.length === 0;
  if (line) set(["routes"], [{ pattern: host, custom_domain: true }]);
  const shown = JSON.stringify(parseSettings(text).vars, undefined, 2);
  return { text, document: shown, routed: hasRoute || line, line };
}

/** The rest of wrangler.toml with a route for the host, where it has none; `routed` says whether it has one for the host now. */
function withRoute(rest, host) {
  const text = rest.map(({ text }) => text).join("");
  const { routes, route } = parse(text);
  if (routes !== undefined || route !== undefined) {
    const all = [routes, route].flat().map((one) => one?.pattern ?? one);
    return { text, routed: all.some((pattern) => pattern === host || `${pattern}`.startsWith(`${host}/`)) };
  }
  const line = `routes = [{ pattern = ${quoted(host)}, custom_domain = true }]\n`;
  const last = rest.findLastIndex(({ table, key }) => table.length === 0 && key !== undefined);
  const texts = rest.map(({ text }) => text);
  if (last >= 0 && !texts[last].endsWith("\n")) texts[last] += "\n";
  texts.splice(last + 1, 0, line);
  return { text: texts.join(""), routed: true, line };
}

/** What is wrong with a URL; undefined where nothing is. */
function wrongUrl(value, { path = true } = {}) {
  const url = URL.parse(value);
  if (!["http:", "https:"].includes(url?.protocol))
    return `must be an http or https URL, got ${quoted(value)}`;
  if (url.protocol === "http:" && !LOCAL.test(url.hostname))
    return `must be https, except on this machine, got ${quoted(value)}`;
  if (!path && (url.pathname !== "/" || url.search))
    return `must have only a scheme and a host, got ${quoted(value)}`;
  return undefined;
}

export async function init(args) {
  const { values } = readOptions(args, INIT);
  const prompt = process.stdin.isTTY
    ? createInterface({ input: process.stdin, output: process.stdout })
    : undefined;
  const ended = () => refuse("the command ended before all questions were answered");
  prompt?.on("close", ended);
  /** The value of an option, or an answer; `wrong` says what is wrong with it, and then an answer is asked for again. */
  const want = async (name, question, wrong) => {
    if (!values[name] && !prompt)
      refuseCall(INIT, `--${name} is required, because standard input is not a terminal`);
    for (;;) {
      const value = values[name] || (await prompt.question(`  ${question}: `)).trim();
      const why = await wrong(value);
      if (why === undefined) return value;
      if (values[name]) refuse(`--${name} ${why}`);
      say(`the answer ${why}`);
    }
  };
  const publicUrl = new URL(
    await want(
      "public-url",
      "The URL where clients will reach the gateway (for example https://mcp.example.com)",
      (value) => wrongUrl(value, { path: false }),
    ),
  ).origin;
  const origin = await want(
    "origin",
    "The URL of your MCP server (for example https://tools.internal.example/mcp)",
    (value) => wrongUrl(value),
  );
  let found;
  const asked = await want("provider", "The issuer identifier of your identity provider", async (value) => {
    const why = wrongUrl(value);
    if (why !== undefined) return why;
    found = await detect(value);
    return (
      found.why &&
      `must be the issuer identifier, as in \`iss\` of the provider's tokens: ${value} has no metadata (${found.why})`
    );
  });
  prompt?.off("close", ended);
  prompt?.close();
  const { path } = values;
  if (!/^\/[\w./~-]*$/.test(path))
    refuse(`--path must begin with / and contain only letters, digits, / . _ ~ and -, got ${quoted(path)}`);
  const scopes = values.scopes.split(" ").filter(Boolean);

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

  const file = settingsFile(values.config);
  const content = existsSync(file) ? readFileSync(file, "utf8") : refuse(`${file} does not exist`);
  const before = readSettings(file).vars?.PORTCULLIS;
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
  const stays = whatStays(before ?? {});
  const kept = [
    ...Object.keys(stays.rest),
    ...Object.keys(stays.resource).map((name) => `resources.${name}`),
  ];
  const needsBindings = server && !content.includes("AuthorizationRecords");
  const { host } = new URL(publicUrl);
  const here = publicUrl.startsWith("http:");
  const onWorkersDev = /\.workers\.dev$/.test(host);
  const change = { written, needsBindings, host: here || onWorkersDev ? undefined : host };
  const {
    text: after,
    document,
    routed,
    line,
  } = isJson(content) ? inJson(content, change) : inToml(content, change);
  if (!isSame(after, stays))
    refuse(`${file} has its document in a notation that init does not change: --print prints the new table`);
  writeFileSync(file, after);
  if (kept.length > 0 && !values.json) say(`kept unchanged: ${kept.join(", ")}`);
  if (!values.json)
    say(
      `wrote vars.PORTCULLIS${line ? " and the route" : ""} in ${file}, for ${found.profile === "generic" ? "an OpenID provider" : found.profile}`,
    );
  const next = [];
  if (server)
    next.push(
      `register a web application at the provider, with the redirect URI ${publicUrl}/callback, and write its client id into client_id`,
    );
  else if (!found.registers)
    next.push(
      "the provider does not register MCP clients: run this command again with --authorization-server --replace, or configure each client with a client id by hand",
    );
  if (!server)
    next.push(
      `configure the provider so that aud of its tokens names ${publicUrl}${path} (docs/identity-providers.md, ${found.profile})`,
    );
  next.push("npx portcullis check");
  if (here) {
    if (server) next.push("write SIGNING_KEY, SEALING_SECRET and LOGIN_SECRET into .dev.vars");
    next.push("npm start");
  } else {
    next.push(
      onWorkersDev
        ? "npx wrangler login, to the Cloudflare account that has this workers.dev subdomain"
        : `npx wrangler login, to the Cloudflare account that has the zone of ${host}`,
    );
    // wrangler sets secrets only after its login.
    if (server)
      next.push(
        "npx portcullis keys make | npx wrangler secret put SIGNING_KEY",
        "openssl rand -base64 32 | npx wrangler secret put SEALING_SECRET",
        "npx wrangler secret put LOGIN_SECRET",
      );
    if (onWorkersDev) next.push(`write workers_dev = true into ${file}`);
    else if (!routed)
      next.push(
        `route ${host} to the Worker: add { pattern = ${quoted(host)}, custom_domain = true } to routes in ${file}`,
      );
    next.push("npm run deploy");
  }
  next.push(`npx portcullis doctor ${publicUrl}${path}`);
  if (values.json) return printJson({ file, profile: found.profile, table: document, kept, next });
  process.stdout.write(`\n  Next:\n${next.map((step, at) => `    ${at + 1}. ${step}`).join("\n")}\n`);
}
