// `npm run test:policy`: checks the properties that must hold for every policy, with generated policies.
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { readOptions, refuse } = await import("./lib/options.mjs");
const { run } = await import("./lib/run.mjs");

const POLICY = {
  name: "npm run test:policy",
  about: "Checks the properties that must hold for every policy, with generated policies.",
  operands: [{ name: "CASES", about: "The number of cases for each property [default: 2000]" }],
  statuses: { 0: "every property held", 1: "a property is broken", 2: "the command cannot be used" },
};
const {
  operands: [cases = "2000"],
} = readOptions(process.argv.slice(2), POLICY);
if (!/^[1-9]\d*$/.test(cases))
  refuse(POLICY, `CASES must be a whole number of at least 1, got ${JSON.stringify(cases)}`);
const args = ["test", "--locked", "--features", "portable,schema,command", "--test", "gate", "properties::"];
const output = await run("cargo", args, { env: { PROPTEST_CASES: cases }, quiet: true }).catch(
  (error) => error.message,
);
// Only the tests of the module `properties`: the filter above also matches properties of other modules, whose names begin with
// those of their modules.
const results = [...output.matchAll(/^test properties::(\w+) \.\.\. (\w+)$/gm)];
const held = results.filter(([, , result]) => result === "ok").length;
for (const [, name, result] of results)
  process.stdout.write(`${result === "ok" ? "held  " : "broken"} ${name.replaceAll("_", " ")}\n`);
if (held < results.length || results.length === 0) process.stdout.write(output);
process.stdout.write(`policy: ${held} properties held, ${results.length - held} broken\n`);
process.exit(results.length > 0 && held === results.length ? 0 : 1);
