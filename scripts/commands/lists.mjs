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

/** The methods that list what a server has. */
const METHODS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];

/**
 * A `fetch` that keeps the answers to list methods as the server wrote them: a client drops members that it does not know, and
 * JavaScript rounds large integers.
 */
function keeping(kept) {
  return async (url, init) => {
    const response = await fetch(url, init);
    let asked;
    try {
      asked = JSON.parse(init?.body);
    } catch {}
    if (response.body === null || !METHODS.includes(asked?.method)) return response;
    const page = { id: asked.id, text: "" };
    kept.push(page);
    const decoder = new TextDecoder();
    const tap = new TransformStream({
      transform(chunk, controller) {
        page.text += decoder.decode(chunk, { stream: true });
        controller.enqueue(chunk);
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(tap), { status, statusText, headers });
  };
}

/** The message with that id in a body: the body itself, or the data of an event. */
function messageOf({ id, text }) {
  const events = text
    .replaceAll("\r\n", "\n")
    .split(/\n\n/)
    .map((event) => event.split("\n").filter((line) => line.startsWith("data:")))
    .map((data) => data.map((line) => line.slice(5)).join("\n"));
  return [text, ...events].find((candidate) => {
    try {
      const message = JSON.parse(candidate);
      return message.id === id && message.result !== undefined;
    } catch {
      return false;
    }
  });
}

/** The answers of a server to all list methods, page by page, as it wrote them. */
async function lists(url, headers) {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const client = new Client(
    { name: "portcullis-check", version: "1" },
    { versionNegotiation: { mode: "auto" } },
  );
  const kept = [];
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers },
    fetch: keeping(kept),
  });
  await client.connect(transport);
  const has = client.getServerCapabilities() ?? {};
  const kinds = [
    [has.tools, (params) => client.listTools(params)],
    [has.prompts, (params) => client.listPrompts(params)],
    [has.resources, (params) => client.listResources(params)],
    [has.resources, (params) => client.listResourceTemplates(params)],
  ];
  for (const [there, list] of kinds) {
    if (!there) continue;
    let cursor;
    let pages = 0;
    do {
      pages += 1;
      const page = await list(cursor === undefined ? {} : { cursor });
      cursor = page.nextCursor;
    } while (cursor !== undefined && pages < PAGES);
  }
  await client.close();
  return kept.map(messageOf).filter((message) => message !== undefined);
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
      const found = await lists(url, headers).catch((error) => {
        rmSync(folder, { recursive: true, force: true });
        return fail(`the lists of ${url} cannot be read: ${inWords(error)}`, UNUSABLE);
      });
      for (const [page, answer] of found.entries()) {
        const file = join(folder, `list-${at}-${page}.json`);
        // Servers behind one resource have names of their own, by which the Rust part knows them.
        writeFileSync(file, `{"origin":${JSON.stringify(url)},"answer":${answer}}`);
        args.push("--list", file);
      }
      if (found.length === 0) fail(`${url} has no tools, prompts or resources`, UNUSABLE);
    }
    return await work(args);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
