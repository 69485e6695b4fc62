// `portcullis test` and `portcullis diff`: find the files of examples, and pass them to the Rust part, which decides.
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fail, failAsJson, UNUSABLE } from "../lib/run.mjs";
import { project } from "../lib/tools.mjs";
import { takeOption } from "./arguments.mjs";
import { runRust } from "./rust.mjs";

/** The files of examples of a project: the JSON files in tests/. */
function exampleFiles() {
  const folder = join(project, "tests");
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.sort().map((name) => relative(process.cwd(), join(folder, name)));
}

/** Options of `test` that have a value. */
const VALUES = ["--config", "--env"];

/** Whether the arguments name a file: a word that is neither an option nor the value of one. */
const namesFile = (args) => args.some((word, at) => !word.startsWith("-") && !VALUES.includes(args[at - 1]));

/** Text for XML 1.0, which has no way to write most control characters. */
const escaped = (text) =>
  `${text}`
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"\t\n\r]/g, (character) => `&#${character.codePointAt(0)};`);

/** The result as JUnit XML, which CI systems show. */
export function junit({ cases, failed }) {
  const byFile = Map.groupBy(cases, ({ file }) => file);
  const suites = [...byFile].map(([file, cases]) => {
    const lines = cases.map(({ caller, request, expected, decision, by, ok }) => {
      const name = `<testcase classname="${escaped(file)}" name="${escaped(`${caller}: ${request}`)}"`;
      if (ok) return `    ${name}/>`;
      const why = escaped(`${decision}, by ${by}; expected ${expected}`);
      return `    ${name}><failure message="${why}"/></testcase>`;
    });
    const failures = cases.filter(({ ok }) => !ok).length;
    const head = `name="${escaped(file)}" tests="${cases.length}" failures="${failures}"`;
    return `  <testsuite ${head}>\n${lines.join("\n")}\n  </testsuite>`;
  });
  const head = `tests="${cases.length}" failures="${failed}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${head}>\n${suites.join("\n")}\n</testsuites>\n`;
}

export async function test(given) {
  const args = [...given];
  const asks = args.includes("--help") || args.includes("-h");
  const file = takeOption(args, "--junit").at(-1);
  if (!asks && !namesFile(args)) args.push(...exampleFiles());
  if (file === undefined || asks) {
    process.exitCode = (await runRust(["test", ...args])).status;
    return;
  }
  if (args.includes("--json")) failAsJson();
  const put = (text) => {
    try {
      writeFileSync(file, text);
    } catch (error) {
      fail(`--junit ${JSON.stringify(file)} cannot be written: ${error.message}`, UNUSABLE);
    }
  };
  // The report of an earlier run is none of this one.
  put("");
  const { stdout, status } = await runRust(["test", "--json", ...args.filter((word) => word !== "--json")], {
    quiet: true,
  });
  const result = JSON.parse(stdout);
  if (result.cases) put(junit(result));
  else rmSync(file, { force: true });
  process.exitCode = (await runRust(["test", ...args])).status ?? status;
}

export async function diff(given) {
  const args = [...given];
  const has = (name) => args.some((word) => word === name || word.startsWith(`${name}=`));
  if (!["--help", "-h", "--log", "--examples"].some(has))
    args.push(...exampleFiles().flatMap((file) => ["--examples", file]));
  process.exitCode = (await runRust(["diff", ...args])).status;
}
