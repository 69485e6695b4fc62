// wrangler's configuration file: wrangler.toml, wrangler.jsonc or wrangler.json.
import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parse as parseJsonc, printParseErrorCode } from "jsonc-parser";
import { parse as parseToml } from "smol-toml";
import { fail, UNUSABLE } from "./run.mjs";
import { project } from "./tools.mjs";

const NAMES = ["wrangler.toml", "wrangler.jsonc", "wrangler.json"];

/** The path of the file: the one that an option names, or the one that is in the project. */
export function settingsFile(given) {
  if (given) return resolve(given);
  const [one, other] = NAMES.map((name) => join(project, name)).filter((path) => existsSync(path));
  if (other)
    fail(
      `${relative(project, one)} and ${relative(project, other)} are both here: remove one, or name one with --config`,
      UNUSABLE,
    );
  return one ?? join(project, NAMES[0]);
}

/** Whether a text is JSON, with or without comments, and not TOML. */
export const isJson = (text) => /^\s*(\{|\/[/*])/.test(text);

/** The settings in a text; throws where it is neither TOML nor JSON. */
export function parseSettings(text) {
  if (!isJson(text)) return parseToml(text);
  const mistakes = [];
  const settings = parseJsonc(text, mistakes, { allowTrailingComma: true });
  const [first] = mistakes;
  if (first) {
    const before = text.slice(0, first.offset).split("\n");
    throw new Error(
      `line ${before.length}, column ${before.at(-1).length + 1}: ${printParseErrorCode(first.error)}`,
    );
  }
  return settings;
}

/** The settings in a file; throws where there are none. */
export function loadSettings(file) {
  try {
    return parseSettings(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`${file}: ${error.message}`);
  }
}

/** The same for a command that ends where there are none. */
export function readSettings(file) {
  try {
    return loadSettings(file);
  } catch (error) {
    return fail(error.message, UNUSABLE);
  }
}

/** The settings of an environment. */
export const ofEnvironment = (settings, env) => (env ? settings.env?.[env] : settings);
