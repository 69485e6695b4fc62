// Fuzzes the parsers of untrusted input, on stable Rust: with the compiler's coverage instrumentation and libFuzzer.
//
// Inputs that fail go to fuzz/artifacts/; each file there must become a test. Needs a C++ compiler.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readOptions, refuse } from "./lib/options.mjs";
import { fail, run, say, UNUSABLE } from "./lib/run.mjs";
import { root, rust } from "./lib/tools.mjs";

const folder = join(root, "fuzz");
const targets = readdirSync(join(folder, "targets")).map((name) => name.replace(/\.rs$/, ""));
const FUZZ = {
  name: "npm run fuzz",
  about: "Fuzzes the parsers of untrusted input with libFuzzer; needs a C++ compiler.",
  operands: [
    { name: "TARGET", about: `${targets.join(", ")}; or all [default: all]` },
    { name: "SECONDS", about: "How long each target is fuzzed [default: 20]" },
  ],
  notes: ["Inputs that fail go to fuzz/artifacts/; each file there must become a test."],
  statuses: { 0: "no input failed", 1: "an input failed", 2: "the command cannot be used" },
};
const {
  operands: [chosen = "all", seconds = 20],
} = readOptions(process.argv.slice(2), FUZZ);
if (chosen !== "all" && !targets.includes(chosen))
  refuse(FUZZ, `there is no target ${JSON.stringify(chosen)}`);
if (!(Number(seconds) >= 1))
  refuse(FUZZ, `SECONDS must be a number of at least 1, got ${JSON.stringify(seconds)}`);

const compiler = process.env.CXX ?? "c++";
try {
  execFileSync(compiler, ["--version"], { stdio: "ignore" });
} catch {
  fail(
    `libFuzzer needs a C++ compiler, and there is no ${compiler} (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install; or set CXX)`,
    UNUSABLE,
  );
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
