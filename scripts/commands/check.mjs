// `portcullis check`, with servers that are asked what they list.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "../lib/run.mjs";
import { native } from "./native.mjs";
import { UNUSABLE } from "./options.mjs";

/** Takes an option and its values out of the arguments. */
function take(args, name) {
  const values = [];
  for (let at = args.indexOf(name); at !== -1; at = args.indexOf(name)) {
    const [, value] = args.splice(at, 2);
    values.push(value ?? fail(`${name} needs a value`, UNUSABLE));
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

/** `--origin URL` (and `--origin-header "Name: value"`) asks a server that runs; the rest is Rust's. */
export async function check(given) {
  const args = [...given];
  const origins = take(args, "--origin");
  const headers = Object.fromEntries(
    take(args, "--origin-header").map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).trim(), field.slice(colon + 1).trim()];
    }),
  );
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  try {
    for (const [at, url] of origins.entries()) {
      const file = join(folder, `list-${at}.json`);
      const found = await lists(url, headers).catch((error) => {
        rmSync(folder, { recursive: true, force: true });
        return fail(`${url} could not be asked: ${error.message}`, UNUSABLE);
      });
      writeFileSync(file, JSON.stringify(found));
      args.push("--list", file);
    }
    process.exitCode = (await native(["check", ...args])).status;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
