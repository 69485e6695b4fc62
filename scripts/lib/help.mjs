// `npx portcullis --help` and the --help of its commands. The texts are in scripts/help.json, so that help needs neither the npm packages
// nor a compiler; tests/e2e/commands-look.test.mjs compares them with the commands (`UPDATE=1` writes them).
import { readFileSync } from "node:fs";

const HELP = ["--help", "-h"];

/** The text that these arguments ask for; undefined if they ask for something else. */
export function help(args) {
  const texts = () => JSON.parse(readFileSync(new URL("../help.json", import.meta.url), "utf8"));
  const [first, second, ...more] = args;
  if (first === undefined || more.length > 0) return undefined;
  if (second === undefined) return [...HELP, "help"].includes(first) ? texts()[""] : undefined;
  const name = first === "help" ? second : HELP.includes(second) ? first : undefined;
  return name && Object.hasOwn(texts(), name) ? texts()[name] : undefined;
}
