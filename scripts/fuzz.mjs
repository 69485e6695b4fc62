// Fuzzes the parsers of untrusted input, on stable Rust: with the compiler's coverage instrumentation and libFuzzer.
//
//   npm run fuzz                       every target for 20 seconds
//   npm run fuzz -- TARGET [SECONDS]   one of them, or "all", for longer
//
// Inputs that fail go to fuzz/artifacts/; each file there must become a test. Needs a C++ compiler.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fail, run, say } from "./lib/run.mjs";
import { root, rust } from "./lib/tools.mjs";

const folder = join(root, "fuzz");
const targets = readdirSync(join(folder, "targets")).map((name) => name.replace(/\.rs$/, ""));
const [chosen = "all", seconds = 20] = process.argv.slice(2);
if (chosen !== "all" && !targets.includes(chosen))
  fail(`there is no target ${chosen}; the targets are ${targets.join(", ")}`);
if (!(Number(seconds) >= 1)) fail(`SECONDS must be a number of at least 1, got ${seconds}`);

const compiler = process.env.CXX ?? "c++";
try {
  execFileSync(compiler, ["--version"], { stdio: "ignore" });
} catch {
  fail(`libFuzzer needs a C++ compiler, and there is no ${compiler} (Debian: apt install g++; or set CXX)`);
}

await rust();
const host = /host: (.*)/.exec(execFileSync("rustc", ["-vV"], { encoding: "utf8" }))[1];
const coverage = [
  "--cfg=fuzzing",
  "-Cpasses=sancov-module",
  "-Ccodegen-units=1",
  ...["level=4", "inline-8bit-counters", "pc-table", "trace-compares"].map(
    (option) => `-Cllvm-args=-sanitizer-coverage-${option}`,
  ),
].join(" ");
say("building the fuzz targets (some minutes the first time)");
// With --target, cargo does not instrument build scripts and macros.
await run("cargo", ["build", "--quiet", "--locked", "--release", "--target", host], {
  cwd: folder,
  env: { RUSTFLAGS: coverage },
});

let passed = 0;
for (const target of chosen === "all" ? targets : [chosen]) {
  const [corpus, seeds, artifacts] = ["corpus", "seeds", "artifacts"].map((kind) =>
    join(folder, kind, target),
  );
  for (const path of [corpus, artifacts]) mkdirSync(path, { recursive: true });
  say(`fuzzing ${target} for ${seconds} s`);
  const options = [
    `-max_total_time=${seconds}`,
    "-max_len=4096",
    "-timeout=10",
    "-print_final_stats=1",
    "-verbosity=0",
  ];
  const dictionary = join(folder, "dictionary.txt");
  await run(
    join(folder, "target", host, "release", target),
    [
      corpus,
      ...(existsSync(seeds) ? [seeds] : []),
      ...options,
      `-dict=${dictionary}`,
      `-artifact_prefix=${artifacts}/`,
    ],
    { cwd: folder },
  ).catch((error) =>
    fail(`${target}: ${error.message.split("\n")[0]}; the input is in fuzz/artifacts/${target}/`),
  );
  passed += 1;
}
process.stdout.write(`${passed} passed, 0 failed\n`);
