// What commands take: known options alone, and an answer for people or for programs.
import { parseArgs } from "node:util";
import { fail, failAsJson } from "../lib/run.mjs";

/** Where the command or what it works with cannot be used. */
export const UNUSABLE = 2;

/**
 * Reads arguments. `usage` is shown where they are wrong, and by --help, which ends the command. Every command takes
 * --json.
 */
export function readOptions(args, usage, options, { positionals = 0 } = {}) {
  // Also where the rest cannot be read.
  if (args.includes("--json")) failAsJson();
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...options,
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    fail(`${error.message}\n\n${usage}`, UNUSABLE);
  }
  if (parsed.values.help) {
    process.stdout.write(`${usage.trimEnd()}\n`);
    process.exit(0);
  }
  if (parsed.positionals.length > positionals)
    fail(`what is ${parsed.positionals.slice(positionals).join(" ")}?\n\n${usage}`, UNUSABLE);
  return parsed;
}

/** An option that takes text. */
export const text = { type: "string" };

/** Prints JSON. */
export const printJson = (value) => process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
