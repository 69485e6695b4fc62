// Builds the Worker into build/. `wrangler` calls this too (see wrangler.toml).
//
// The Worker contains the authorization server only where wrangler.toml has a binding for its records: a Worker without it is a
// quarter smaller. `--full` builds a Worker with all features into build-full/, for tests and for
// `npm start -- --authorization-server`.
//
// cargo compiles the Worker, wasm-bindgen writes the JavaScript glue, wasm-opt makes the module smaller, esbuild bundles glue and
// entry. Only cargo runs if nothing has changed since the last build.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { readOptions } = await import("./lib/options.mjs");
const { ask, fail, run, say } = await import("./lib/run.mjs");
const { npmBin, root, rust, wasmBindgen } = await import("./lib/tools.mjs");
const { parse: parseToml } = await import("smol-toml");

const { values } = readOptions(process.argv.slice(2), {
  name: "npm run build",
  about: "Builds the Worker into build/.",
  options: {
    full: { about: "Builds a Worker with all features into build-full/, for tests" },
  },
  notes: [
    "The Worker contains the authorization server only where wrangler.toml has a binding for its records.",
  ],
  statuses: { 0: "the Worker was built", 1: "the build failed", 2: "the command cannot be used" },
});
const { full } = values;

/** Whether an environment of wrangler.toml has a binding for the records of the authorization server. */
function hasAuthorizationServer() {
  const { env = {}, ...top } = parseToml(readFileSync(join(root, "wrangler.toml"), "utf8"));
  const bindings = [top, ...Object.values(env)].flatMap(
    ({ durable_objects }) => durable_objects?.bindings ?? [],
  );
  return bindings.some(({ class_name }) => class_name === "AuthorizationRecords");
}

/** Paths of the intermediate files, in cargo's target directory. */
async function staging() {
  const metadata = JSON.parse(await ask("cargo", ["metadata", "--format-version=1", "--no-deps"]));
  const target = metadata.target_directory;
  return {
    compiled: join(target, "wasm32-unknown-unknown", "release", "portcullis.wasm"),
    glue: join(target, full ? "worker-full" : "worker"),
  };
}

/**
 * The glue in a form that esbuild understands: Workers import a module as it is, without source phase imports, and the
 * annotations let esbuild remove the classes of the `worker` crate that are not used.
 */
function withoutEffects(script) {
  return script
    .replace("import source ", "import ")
    .replaceAll(/^if \(Symbol\.dispose\) .*$/gm, "")
    .replaceAll("new FinalizationRegistry(", "/* @__PURE__ */ new FinalizationRegistry(");
}

/** The SHA-256 hash of the contents of files; undefined where one is not there. */
function hashOf(files) {
  if (!files.every((file) => existsSync(file))) return undefined;
  const hash = createHash("sha256");
  for (const file of files) hash.update(createHash("sha256").update(readFileSync(file)).digest());
  return hash.digest("hex");
}

/**
 * Messages of a panic name files. Without these flags they would name folders of this machine, and the same source would give other
 * bytes on another one.
 */
function withoutPaths() {
  const sources = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry", "src");
  const registries = existsSync(sources) ? readdirSync(sources).map((name) => join(sources, name)) : [];
  const names = [
    [root.replace(/[\\/]$/, ""), "portcullis"],
    ...registries.sort().map((path) => [path, "crates"]),
  ];
  const flags = names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`);
  return ["--config", `target.wasm32-unknown-unknown.rustflags=${JSON.stringify(flags)}`];
}

async function build() {
  await rust();
  const { bindgen } = await wasmBindgen();
  say("building the Worker (about two minutes the first time, about one minute after that)");
  process.chdir(root);
  const { compiled, glue } = await staging();
  // Builds only the cdylib: a library for other crates gets no link-time optimization (docs/decisions.md).
  const cargo = ["rustc", "--lib", "--crate-type=cdylib", "--release", "--target=wasm32-unknown-unknown"];
  if (!full && !hasAuthorizationServer()) cargo.push("--no-default-features");
  // First what is missing is fetched: where it is, is among the flags.
  await run("cargo", ["fetch", "--locked", "--quiet", "--target=wasm32-unknown-unknown"]);
  await run("cargo", [...withoutPaths(), ...cargo]);
  const folder = full ? "build-full" : "build";
  const inputs = [compiled, "src/worker/entry.js", "scripts/build.mjs", "package-lock.json", "Cargo.lock"];
  const outputs = [`${folder}/index.js`, `${folder}/index_bg.wasm`];
  const stamp = join(glue, "stamp");
  const state = () => `${hashOf(inputs)} ${hashOf(outputs)}`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === state()) return;
  rmSync(glue, { recursive: true, force: true });
  await run(bindgen, [
    compiled,
    "--target=module",
    "--out-name=index",
    "--no-typescript",
    // The entry resets the module's state after a panic.
    "--experimental-reset-state-function",
    `--out-dir=${glue}`,
  ]);
  const script = join(glue, "index.js");
  writeFileSync(script, withoutEffects(readFileSync(script, "utf8")));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await run(npmBin("esbuild"), [
    "src/worker/entry.js",
    "--bundle",
    "--format=esm",
    "--target=es2024",
    "--minify",
    "--log-level=warning",
    // The entry imports names that a Worker without all features does not export.
    "--log-override:import-is-undefined=silent",
    `--alias:portcullis=${script}`,
    "--external:./index_bg.wasm",
    `--outfile=${folder}/index.js`,
  ]);
  // A function with one caller is inlined only if it is small: inlined large ones would add 8 KB gzipped.
  const level = ["-O3", "--one-caller-inline-max-function-size", "25"];
  await run(npmBin("wasm-opt"), [...level, join(glue, "index_bg.wasm"), "-o", `${folder}/index_bg.wasm`]);
  writeFileSync(stamp, state());
}

await build().catch((error) => fail(`the build failed: ${error.message.split("\n")[0]}`));
