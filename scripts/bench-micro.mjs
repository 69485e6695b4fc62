// `npm run bench:micro`: measures parts of the gateway separately, natively, and writes bench/MICRO.md.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { readOptions } from "./lib/options.mjs";
import { run } from "./lib/run.mjs";
import { root, rust } from "./lib/tools.mjs";

readOptions(process.argv.slice(2), {
  name: "npm run bench:micro",
  about: "Measures parts of the gateway separately, natively, and writes bench/MICRO.md.",
  statuses: { 0: "the report was written", 1: "a measurement failed", 2: "the command cannot be used" },
});

await rust();
const folder = join(root, "bench", "micro");
await run("cargo", ["bench", "--quiet", "--locked"], { cwd: folder });

/** The estimates that criterion writes, by group and parameter. */
const results = join(folder, "target", "criterion");
const rows = [];
for (const group of readdirSync(results).filter((name) => name !== "report")) {
  if (!statSync(join(results, group)).isDirectory()) continue;
  const sizes = readdirSync(join(results, group)).filter((name) => name !== "report");
  const of = (size) => {
    const estimates = readFileSync(join(results, group, size, "new", "estimates.json"), "utf8");
    return JSON.parse(estimates).median.point_estimate;
  };
  sizes.sort((one, other) => Number(one) - Number(other));
  const base = of(sizes[0]);
  for (const size of sizes) rows.push([group, size, of(size), of(size) / base]);
}
const time = (ns) => (ns < 10_000 ? `${Math.round(ns)} ns` : `${(ns / 1000).toFixed(1)} µs`);
const text = `# Parts of the gateway, measured separately

Native release build, medians of criterion; written by \`npm run bench:micro\` on ${new Date().toISOString().slice(0, 10)}
(${cpus()[0].model}, ${cpus().length} cores). Look at how the time grows with the size, not at the nanoseconds.

| part | size | time | ratio to the smallest size |
|---|---:|---:|---:|
${rows.map(([group, size, ns, ratio]) => `| ${group.replaceAll("_", " ")} | ${size} | ${time(ns)} | ${ratio.toFixed(2)} |`).join("\n")}
`;
writeFileSync(join(root, "bench", "MICRO.md"), text);
process.stdout.write(text);
