// `npm run test:policy`: checks the properties that must hold for every policy, with generated policies. `-- CASES` sets the
// number of cases for each property.
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { fail, run } = await import("./lib/run.mjs");

const cases = process.argv[2] ?? "2000";
if (!/^[1-9]\d*$/.test(cases)) fail(`CASES must be a whole number of at least 1, got ${cases}`);
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
