// Asks running MCP servers for their lists, for commands whose Rust part reads them from files.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail, UNUSABLE } from "../lib/run.mjs";
import { takeOption } from "./arguments.mjs";

/** Most pages of one list: a server may never end its list. */
const PAGES = 1_000;

/** An error with its most frequent cause. */
function inWords(error) {
  if (error.message.endsWith("fetch failed"))
    return `no HTTP server answers at this URL; is the server running? (${error.message})`;
  if (/not found|\b404\b/i.test(error.message))
    return `the server has no MCP endpoint at this path (${error.message})`;
  return error.message;
}

/** All lists of a server, read page by page. */
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
    let pages = 0;
    do {
      pages += 1;
      const page = await list(cursor === undefined ? {} : { cursor });
      all[name].push(...page[name]);
      cursor = page.nextCursor;
    } while (cursor !== undefined && pages < PAGES);
  }
  await client.close();
  return all;
}

/** The fields of the options `--origin-header-from`, each of which names an environment variable: other users of the machine can see arguments. */
function fieldsFrom(names) {
  return Object.fromEntries(
    names.map((name) => {
      const field = process.env[name] ?? fail(`the environment variable ${name} is not set`, UNUSABLE);
      const [, key, value] =
        field.match(/^([\w-]+):\s*(.*)$/) ??
        fail(
          `the environment variable ${name} must have a header field, for example "Authorization: Bearer …"`,
          UNUSABLE,
        );
      return [key, value];
    }),
  );
}

/**
 * Replaces the options `--origin URL` and `--origin-header-from VARIABLE` by `--list FILE` with what those servers have, and runs
 * `work` with the arguments.
 */
export async function withLists(given, work) {
  const args = [...given];
  const origins = takeOption(args, "--origin");
  const headers = fieldsFrom(takeOption(args, "--origin-header-from"));
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  try {
    for (const [at, url] of origins.entries()) {
      const file = join(folder, `list-${at}.json`);
      const found = await lists(url, headers).catch((error) => {
        rmSync(folder, { recursive: true, force: true });
        return fail(`the lists of ${url} cannot be read: ${inWords(error)}`, UNUSABLE);
      });
      // Servers behind one resource have names of their own, by which the Rust part knows them.
      writeFileSync(file, JSON.stringify({ origin: url, ...found }));
      args.push("--list", file);
    }
    return await work(args);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
