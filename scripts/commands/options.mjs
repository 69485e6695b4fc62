// Reads the options of a command, refuses unknown ones, and prints results for people or as JSON.
import { parseArgs } from "node:util";
import { fail, failAsJson } from "../lib/run.mjs";

/** Exit code where the arguments, or the files and servers that they name, cannot be used. */
export const UNUSABLE = 2;

/**
 * Reads the arguments of a command. `usage` is printed where they are wrong, and for --help, which ends the command. Every command
 * accepts --json.
 */
export function readOptions(args, usage, options, { positionals = 0 } = {}) {
  // Checked first, so that an error in the other arguments is JSON too.
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
    fail(`unexpected argument: ${parsed.positionals.slice(positionals).join(" ")}\n\n${usage}`, UNUSABLE);
  return parsed;
}

/** The definition of an option with a text value. */
export const text = { type: "string" };

export const printJson = (value) => process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
