// Runs the layers of the test suite: all of them, or those named. Each prints its own count; the last line is the total.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { readOptions, refuse } = await import("./lib/options.mjs");
const { ask, fail, say, step } = await import("./lib/run.mjs");
const { watch: watchFor } = await import("./lib/watch.mjs");
const { hasWasmBindgen, npmBin, root, rust, wasmBindgen } = await import("./lib/tools.mjs");

const FEATURES = ["--features", "portable,schema,command"];
const node = npmBin("node");

/** Time limit of a layer: with empty caches and two cores every layer takes less, so one that takes longer hangs. */
const LAYER_MINUTES = 25;
/** Time limit of a file of tests: the longest takes three minutes. */
const FILE_MINUTES = 8;
/** Time limit in milliseconds of a test or hook that sets none itself. */
const TEST_LIMIT = 180_000;

const watch = (command, args, env = {}) =>
  watchFor(command, args, { cwd: root, env, minutes: LAYER_MINUTES });

/** Adds up every match of a pattern with the groups `passed`, `failed` and `skipped`. */
function count(output, pattern) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { groups } of output.matchAll(pattern)) {
    sum.passed += Number(groups.passed ?? 0);
    sum.failed += Number(groups.failed ?? 0);
    sum.skipped += Number(groups.skipped ?? 0);
  }
  return sum;
}

/** What runners said of failed tests, which is repeated at the end: a log that is cut has its end. */
const failures = [];
/** Lines that are repeated of a failed runner. */
const FAILURE_LINES = 60;
/** What a runner's account of its failures begins with: that of Node's, of cargo's. */
const ACCOUNT = /^(?:✖ failing tests:|failures:)$/m;

/** The result of a layer whose runner counts. A layer that ran no test, or failed without naming one, counts as a failure. */
function counted({ code, output }, pattern) {
  const sum = count(output, pattern);
  if (sum.passed === 0 || (code !== 0 && sum.failed === 0)) sum.failed += 1;
  if (sum.failed > 0) {
    const at = output.search(ACCOUNT);
    const lines = output.slice(Math.max(at, 0)).trimEnd().split("\n");
    failures.push((at < 0 ? lines.slice(-FAILURE_LINES) : lines.slice(0, FAILURE_LINES)).join("\n"));
  }
  return sum;
}

/** The result of a file of tests, whose runner does not count groups of tests that are skipped as a whole. */
function withSkipped(sum, { code, output }) {
  const groups = (output.match(/^\ufe63 /gm) ?? []).length;
  if (code !== 0 || sum.passed > 0 || groups === 0) return sum;
  return { passed: 0, failed: 0, skipped: sum.skipped + groups };
}

/** The result of a layer of commands, each of which passes or fails as a whole. */
async function commands(list) {
  const sum = { passed: 0, failed: 0 };
  for (const [command, args, env] of list) {
    say(`$ ${command.split("/").pop()} ${args.join(" ")}`);
    const { code } = await watch(command, args, env);
    if (code === 0) sum.passed += 1;
    else sum.failed += 1;
  }
  return sum;
}

const words = ({ passed, failed, skipped = 0 }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

const CARGO = /test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/g;
const NODE = /^ℹ (?:pass (?<passed>\d+)|(?:fail|cancelled) (?<failed>\d+)|skipped (?<skipped>\d+))$/gm;
const PLAIN = /^(?<passed>\d+) passed, (?<failed>\d+) failed$/gm;

/** Files that mostly wait for time to pass: they run beside the others. */
const WAITING = ["provider-time", "revocation", "rotation", "stored-configuration"].map(
  (name) => `${name}.test.mjs`,
);

/**
 * Runs files of tests, `lanes` at a time, each in a process of its own. The process ends with its last test, so handles that a test
 * leaves open do not delay the rest.
 */
async function testFiles(files, { minutes = FILE_MINUTES, lanes = 2 } = {}) {
  const waiting = [...files];
  const results = [];
  const args = ["--test-force-exit", `--test-timeout=${TEST_LIMIT}`, "--test-reporter=spec"];
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const begun = Date.now();
      const ended = await watchFor(node, [...args, file], { cwd: root, minutes, held: true });
      const result = withSkipped(counted(ended, NODE), ended);
      say(`${file}: ${words(result)} (${Math.round((Date.now() - begun) / 1000)} s)`);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: lanes }, work));
  return results;
}

/** Runs the files of a folder of tests, and adds up their results. */
async function testFolder(name, options) {
  const folder = join("tests", name);
  const files = readdirSync(join(root, folder)).filter((name) => name.endsWith(".test.mjs"));
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const result of await testFiles(
    files.map((name) => join(folder, name)),
    options,
  ))
    for (const what of Object.keys(sum)) sum[what] += result[what];
  return sum;
}

let built;
/** Builds the Worker with all features, once for all layers that need it. */
function build() {
  built ??= watch(node, ["scripts/build.mjs", "--full"]).then(({ code }) => {
    if (code !== 0) fail("the Worker could not be built");
  });
  return built;
}

/** Compiles the command line, so that compiling does not count towards the time limit of a test. */
async function buildCommand() {
  const { build } = await import("./lib/build.mjs");
  await build("command").catch((error) => fail(`the command line could not be compiled: ${error.message}`));
}

const layers = {
  lint: async () =>
    commands([
      ["cargo", ["fmt", "--all", "--check"]],
      ["cargo", ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]],
      ["cargo", ["fmt", "--manifest-path", "examples/compiled-verifier/Cargo.toml", "--check"]],
      ["cargo", ["clippy", "--locked", "--all-targets", ...FEATURES, "--", "--deny", "warnings"]],
      ["cargo", ["clippy", "--locked", "--target", "wasm32-unknown-unknown", "--", "--deny", "warnings"]],
      ["cargo", ["doc", "--locked", "--no-deps", "--lib", ...FEATURES], { RUSTDOCFLAGS: "--deny warnings" }],
      [npmBin("biome"), ["check", "--error-on-warnings", "."]],
      // The advisories need a database from the network: the workflow checks those.
      ...((await ask("cargo", ["deny", "--version"])) === undefined
        ? []
        : [["cargo", ["deny", "check", "bans", "licenses", "sources"]]]),
    ]),

  unit: async () => counted(await watch("cargo", ["test", "--locked", ...FEATURES]), CARGO),

  wasm: async () => {
    const what = "compiling wasm-bindgen, once for this machine";
    const { runner } = await (hasWasmBindgen()
      ? wasmBindgen()
      : step({ number: 1, of: 1, what, expected: 100 }, () => wasmBindgen()));
    const target = ["--target", "wasm32-unknown-unknown", "--test", "gate"];
    const env = {
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: runner,
      PATH: `${join(root, "node_modules", ".bin")}:${process.env.PATH}`,
    };
    return counted(await watch("cargo", ["test", "--locked", ...FEATURES, ...target], env), CARGO);
  },

  // A small run, to see that all three verifiers still agree; large runs have a command of their own (docs/testing.md).
  differential: () => commands([[node, ["scripts/differential.mjs", "2000"]]]),

  fuzz: async () => counted(await watch(node, ["scripts/fuzz.mjs", "all", "5"]), PLAIN),

  e2e: async () => {
    await build();
    await buildCommand();
    const folder = join("tests", "e2e");
    const files = readdirSync(join(root, folder)).filter((name) => name.endsWith(".test.mjs"));
    // `npm start` builds the Worker again while other tests would read it, so its test runs after them.
    const rebuilds = (name) => name === "start.test.mjs";
    const sum = { passed: 0, failed: 0, skipped: 0 };
    const waits = (name) => WAITING.includes(name);
    const run = (chosen, lanes) =>
      testFiles(
        chosen.map((name) => join(folder, name)),
        { lanes },
      );
    const batches = [
      () =>
        Promise.all([
          run(files.filter((name) => !rebuilds(name) && !waits(name))),
          run(files.filter(waits), 1),
        ]),
      () => Promise.all([run(files.filter(rebuilds))]),
    ];
    for (const batch of batches)
      for (const result of (await batch()).flat())
        for (const what of Object.keys(sum)) sum[what] += result[what];
    return sum;
  },

  credentials: async () => {
    await build();
    const sum = await testFolder("credentials");
    say(`credentials: ${sum.passed} scenarios passed, ${sum.failed} failed`);
    return sum;
  },

  federation: async () => {
    await build();
    const sum = await testFolder("federation");
    say(`federation: ${sum.passed} scenarios passed, ${sum.failed} failed`);
    return sum;
  },

  trust: async () => {
    await build();
    await buildCommand();
    const sum = await testFolder("trust");
    say(`trust: ${sum.passed} scenarios passed, ${sum.failed} failed`);
    return sum;
  },

  identity: async () => {
    await build();
    // Half of their time they wait for something to take effect.
    const sum = await testFolder("identity", { lanes: 3 });
    say(`identity: ${sum.passed} scenarios passed, ${sum.failed} failed`);
    return sum;
  },

  conformance: async () => {
    await build();
    return counted(await watch(node, ["tests/conformance/run.mjs"]), PLAIN);
  },

  doctor: async () => {
    await build();
    return counted(await watch(node, ["tests/doctor/run.mjs"]), PLAIN);
  },

  package: async () => {
    await build();
    const packed = mkdtempSync(join(tmpdir(), "portcullis-package-"));
    say("packing and installing, once for all files");
    const { code } = await watch(node, ["tests/package/prepare.mjs", packed]);
    if (code !== 0) return { passed: 0, failed: 1 };
    process.env.PORTCULLIS_PACKED = packed;
    const sum = await testFolder("package", { minutes: LAYER_MINUTES });
    delete process.env.PORTCULLIS_PACKED;
    rmSync(packed, { recursive: true, force: true });
    say(`package: ${sum.passed} checks passed, ${sum.failed} failed`);
    return sum;
  },

  deploy: async () => {
    await build();
    return commands([[node, ["scripts/deploy.mjs", "--dry-run"]]]);
  },
};

const TEST = {
  name: "npm test",
  about: "Runs the layers of the test suite, and prints a count for each layer and the total.",
  operands: [
    { name: "LAYER", many: true, about: `${Object.keys(layers).join(", ")}; all of them without a name` },
  ],
  notes: [
    "docs/testing.md says what each layer is. All of them take about half an hour once everything is compiled, and 6 GB of disk.",
  ],
  statuses: { 0: "every test passed", 1: "a test failed", 2: "the command cannot be used" },
};
const { operands } = readOptions(process.argv.slice(2), TEST);
const unknown = operands.find((name) => !Object.hasOwn(layers, name));
if (unknown !== undefined) refuse(TEST, `there is no layer ${JSON.stringify(unknown)}`);
const names = operands.length > 0 ? operands : Object.keys(layers);

await rust();
const results = {};
for (const name of names) {
  say(`--- ${name} ---`);
  const begun = Date.now();
  const result = await layers[name]();
  results[name] = { ...result, seconds: Math.round((Date.now() - begun) / 1000) };
}
if (failures.length > 0) say(`--- failed ---\n${failures.join("\n\n")}`);
say("--- total ---");
const total = { passed: 0, failed: 0, skipped: 0 };
for (const [name, result] of Object.entries(results)) {
  say(`${name}: ${words(result)} (${result.seconds} s)`);
  for (const what of Object.keys(total)) total[what] += result[what] ?? 0;
}
process.stdout.write(`${words(total)}\n`);
process.exit(total.failed === 0 ? 0 : 1);
