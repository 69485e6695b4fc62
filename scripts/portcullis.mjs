#!/usr/bin/env node
// `npx portcullis`: explains a decision, checks rules, decides a log again, and walks a gateway as clients do. The command
// itself is Rust, and the same code as the Worker's; what it cannot do, asking servers that run, is done here.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { fail, say } = await import("./lib/run.mjs");
const { root, rust } = await import("./lib/tools.mjs");

const HELP = `
  portcullis init           writes wrangler.toml for your server and identity provider (init --help)
  portcullis doctor URL     walks a gateway as MCP clients do, and says which would fail and why (doctor --help)

  With \`check\`, --origin URL asks a running MCP server what it lists, instead of --list; --origin-header "Name: value"
  is sent along.
`;

/** Takes an option and its values out of the arguments. */
function take(args, name) {
  const values = [];
  for (let at = args.indexOf(name); at !== -1; at = args.indexOf(name)) {
    const [, value] = args.splice(at, 2);
    values.push(value ?? fail(`${name} needs a value`));
  }
  return values;
}

/** Everything that a server lists, page by page. */
async function lists(url, headers) {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const client = new Client(
    { name: "portcullis-check", version: "1" },
    { versionNegotiation: { mode: "auto" } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  const has = client.getServerCapabilities() ?? {};
  const kinds = [
    ["tools", has.tools, (params) => client.listTools(params)],
    ["prompts", has.prompts, (params) => client.listPrompts(params)],
    ["resources", has.resources, (params) => client.listResources(params)],
    ["resourceTemplates", has.resources, (params) => client.listResourceTemplates(params)],
  ];
  const all = {};
  for (const [name, there, list] of kinds) {
    if (!there) continue;
    all[name] = [];
    let cursor;
    do {
      const page = await list(cursor === undefined ? {} : { cursor });
      all[name].push(...page[name]);
      cursor = page.nextCursor;
    } while (cursor !== undefined && all[name].length < 100_000);
  }
  await client.close();
  return all;
}

const args = process.argv.slice(2);
if (args[0] === "init") {
  const { init } = await import("./init.mjs");
  await init(args.slice(1));
  process.exit();
}
if (args[0] === "doctor") {
  const { doctor } = await import("./doctor/main.mjs");
  await doctor(args.slice(1));
  process.exit();
}
const origins = take(args, "--origin");
const headers = Object.fromEntries(
  take(args, "--origin-header").map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).trim(), field.slice(colon + 1).trim()];
  }),
);
const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const [at, url] of origins.entries()) {
  const file = join(folder, `list-${at}.json`);
  const found = await lists(url, headers).catch((error) =>
    fail(`${url} could not be asked: ${error.message}`),
  );
  writeFileSync(file, JSON.stringify(found));
  args.push("--list", file);
}
// Files are named from where the command is called.
const here = args.map((word, at) =>
  ["--config", "--claims", "--list", "--log"].includes(args[at - 1]) && word !== "-" ? resolve(word) : word,
);
await rust();
const { status, error } = spawnSync("cargo", ["run", "--quiet", "--locked", "--", ...here], {
  cwd: root,
  stdio: "inherit",
});
if (error) fail(error.message);
if (args.length === 0) say(HELP.trim());
process.exit(status ?? 1);
