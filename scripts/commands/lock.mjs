// `portcullis lock`: asks a running MCP server for its lists. The Rust part compares them with the lock file; this part asks which
// changes the lock takes, and writes it.
import { existsSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { isatty } from "node:tty";
import { replaceFile } from "../lib/files.mjs";
import { fail, failAsJson, printJson, say, UNUSABLE } from "../lib/run.mjs";
import { withLists } from "./lists.mjs";
import { errorOf, runRust } from "./rust.mjs";

function write(file, text) {
  try {
    if (existsSync(file)) replaceFile(file, text);
    else writeFileSync(file, text);
  } catch (error) {
    fail(`${file} cannot be written: ${error.message}`, UNUSABLE);
  }
}

/** The numbers of the changes that the user takes. */
async function taken(changes, { update, yes }) {
  if (yes) return [...changes.keys()];
  if (!update) return [];
  if (!isatty(0))
    fail("--update asks for each change, and standard input is no terminal: --yes takes all", UNUSABLE);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const wanted = [];
  for (const [number, { change, entry }] of changes.entries()) {
    const whole = entry === null ? "" : `${lines(JSON.stringify(entry.definition, undefined, 2))}\n`;
    const answer = await asking.question(`${shown(change)}\n${whole}  take it into the lock? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) wanted.push(number);
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
  const [update, yes] = ["--update", "--yes"].map((word) => args.includes(word));
  await withLists(
    args.filter((word) => word !== "--json"),
    async (rest) => {
      const ask = async (...more) => {
        const { stdout } = await runRust(["lock", ...rest, "--json", ...more], { quiet: true });
        const found = JSON.parse(stdout);
        const error = errorOf(found);
        return error === undefined ? found : fail(error, UNUSABLE);
      };
      const { text: _, ...found } = await ask();
      const { file, changes, warnings, is_new: isNew } = found;
      const out = asJson ? process.stderr : process.stdout;
      if (!update || yes) for (const { change } of changes) out.write(`${shown(change)}\n`);
      for (const warning of warnings) out.write(`warning: ${shown(warning)}\n`);
      const wanted = isNew ? [...changes.keys()] : await taken(changes, { update, yes });
      // The text comes from the Rust part: JavaScript would round large integers.
      if (wanted.length > 0 || isNew) write(file, (await ask("--accept", wanted.join(","))).text);
      const left = changes.length - wanted.length;
      process.exitCode = left === 0 && warnings.length === 0 ? 0 : 1;
      if (asJson) return printJson({ ...found, taken: wanted.length });
      if (wanted.length > 0 || isNew) say(`wrote ${file}: ${wanted.length} changes`);
      if (left > 0) say(`${left} changes are not in the lock: --update asks for each, --yes takes all`);
      if (changes.length === 0 && !isNew) say(`${file} is as the server says`);
    },
  );
}

/** Text of a server, safe for a terminal. */
const shown = (text) =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

/** The same for several lines. */
const lines = (text) => text.split("\n").map(shown).join("\n");
