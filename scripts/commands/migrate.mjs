// `portcullis migrate`: rewrites renamed keys of a configuration. The Rust part finds them; this part writes the file.
import { readFileSync, statSync } from "node:fs";
import { replaceFile } from "../lib/files.mjs";
import { fail, failAsJson, printJson, say, UNUSABLE } from "../lib/run.mjs";
import { takeOption } from "./arguments.mjs";
import { runRust } from "./rust.mjs";

/** Writes the file, with the byte order mark that it had. */
function write(file, text) {
  const mark = readFileSync(file, "utf8").startsWith("\ufeff") && !text.startsWith("\ufeff") ? "\ufeff" : "";
  try {
    replaceFile(file, `${mark}${text}`);
  } catch (error) {
    fail(`${file} cannot be written: ${error.message}`, UNUSABLE);
  }
}

export async function migrate(args) {
  if (args.includes("--help") || args.includes("-h")) {
    process.exitCode = (await runRust(["migrate", ...args])).status;
    return;
  }
  const asJson = args.includes("--json");
  if (asJson) failAsJson();
  // The file is written after it was read: a pipe has its text only once.
  const named = takeOption([...args], "--config").at(-1);
  if (named !== undefined && named !== "-" && statSync(named, { throwIfNoEntry: false })?.isFile() === false)
    fail(`${named} is no file: --config - reads standard input`, UNUSABLE);
  const { stdout, status } = await runRust(
    ["migrate", ...args.filter((word) => word !== "--json"), "--json"],
    {
      quiet: true,
    },
  );
  const { error, file, changes, text } = JSON.parse(stdout);
  if (status !== 0) fail(error, UNUSABLE);
  const isInput = file === "-";
  const writes = !isInput && !args.includes("--dry-run") && changes.length > 0;
  if (writes) write(file, text);
  if (asJson) return printJson({ file, changes, written: writes, ...(isInput && { text }) });
  // The text of a pipe goes on through a pipe.
  const out = isInput ? process.stderr : process.stdout;
  for (const { line, column, path, new: name } of changes)
    out.write(`${file}:${line}:${column}: ${path} is now called ${name}\n`);
  if (isInput) return process.stdout.write(text);
  if (changes.length === 0) return say(`${file} has no renamed keys`);
  const what = changes.length === 1 ? "1 key" : `${changes.length} keys`;
  say(writes ? `rewrote ${what} in ${file}; npx portcullis check checks the result` : `nothing was written`);
}
