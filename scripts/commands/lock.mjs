// `portcullis lock`: asks a running MCP server for its lists. The Rust part compares them with the lock file; this part asks which
// changes the lock takes, and writes it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { isatty } from "node:tty";
import { replaceFile } from "../lib/files.mjs";
import { fail, failAsJson, printJson, say, UNUSABLE } from "../lib/run.mjs";
import { withLists } from "./lists.mjs";
import { runRust } from "./rust.mjs";

/** An object with its members in order, so that a review of the file shows only what changed. */
const inOrder = (value) =>
  Array.isArray(value)
    ? value.map(inOrder)
    : value !== null && typeof value === "object"
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map((name) => [name, inOrder(value[name])]),
        )
      : value;

/** The table of that name in another one, which is made where there is none. */
function tableIn(table, name) {
  if (!Object.hasOwn(table, name)) put(table, name, {});
  return table[name];
}

/** Sets a member, whatever its name: a plain assignment to `__proto__` would set none. */
const put = (table, name, value) =>
  Object.defineProperty(table, name, { value, enumerable: true, configurable: true, writable: true });

/** The lock with these changes. */
function changed(lock, { version, resource, server, changes }) {
  const next = structuredClone(lock ?? { version, resources: {} });
  let place = tableIn(next.resources, resource);
  if (server) place = tableIn(tableIn(place, "servers"), server);
  for (const { list, name, entry } of changes) {
    const table = tableIn(place, list);
    if (entry === null) delete table[name];
    else put(table, name, entry);
  }
  return next;
}

function write(file, text) {
  try {
    if (existsSync(file)) replaceFile(file, text);
    else writeFileSync(file, text);
  } catch (error) {
    fail(`${file} cannot be written: ${error.message}`, UNUSABLE);
  }
}

/** The changes that the user takes. */
async function taken(changes, { update, yes }) {
  if (yes) return changes;
  if (!update) return [];
  if (!isatty(0))
    fail("--update asks for each change, and standard input is no terminal: --yes takes all", UNUSABLE);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const wanted = [];
  for (const change of changes) {
    const answer = await asking.question(`${change.change}\n  take it into the lock? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) wanted.push(change);
  }
  asking.close();
  return wanted;
}

export async function lock(args) {
  if (args.includes("--help") || args.includes("-h")) {
    process.exitCode = (await runRust(["lock", "--help"])).status;
    return;
  }
  const asJson = args.includes("--json");
  if (asJson) failAsJson();
  const has = (word) => args.includes(word);
  const rest = args.filter((word) => word !== "--json");
  const { stdout, status } = await withLists(rest, (args) =>
    runRust(["lock", ...args, "--json"], { quiet: true }),
  );
  const found = JSON.parse(stdout);
  if (status === UNUSABLE) fail(found.error, UNUSABLE);
  const { file, changes, warnings } = found;
  const isNew = !existsSync(file);
  const old = isNew ? undefined : JSON.parse(readFileSync(file, "utf8"));
  const firstOfPlace = isNew || placeOf(old, found) === undefined;
  const out = asJson ? process.stderr : process.stdout;
  for (const { change } of changes) if (!has("--update") || has("--yes")) out.write(`${shown(change)}\n`);
  for (const warning of warnings) out.write(`warning: ${shown(warning)}\n`);
  const wanted = firstOfPlace
    ? changes
    : await taken(changes, { update: has("--update"), yes: has("--yes") });
  if (wanted.length > 0 || firstOfPlace)
    write(file, `${JSON.stringify(inOrder(changed(old, { ...found, changes: wanted })), undefined, 2)}\n`);
  const left = changes.length - wanted.length;
  process.exitCode = left === 0 && warnings.length === 0 ? 0 : 1;
  if (asJson) return printJson({ ...found, taken: wanted.length });
  if (wanted.length > 0 || firstOfPlace) say(`wrote ${file}: ${wanted.length} changes`);
  if (left > 0) say(`${left} changes are not in the lock: --update asks for each, --yes takes all`);
  if (changes.length === 0 && !firstOfPlace) say(`${file} is as the server says`);
}

/** What the lock has of a resource, or of one of its servers. */
function placeOf(lock, { resource, server }) {
  const own = (table, name) => (table && Object.hasOwn(table, name) ? table[name] : undefined);
  const table = own(lock.resources, resource);
  return server ? own(own(table, "servers"), server) : table;
}

/** Text of a server, safe for a terminal. */
const shown = (text) =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
