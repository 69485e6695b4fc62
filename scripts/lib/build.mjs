// Builds what is WebAssembly: the Worker in its variants, and the command line.
//
// cargo compiles, wasm-bindgen writes the JavaScript glue; for a Worker, wasm-opt makes the module smaller and esbuild bundles glue
// and entry. Only cargo runs if nothing has changed since the last build.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "./run.mjs";
import { npmBin, root, wasmBindgen } from "./tools.mjs";

/**
 * The variants. A Worker without the authorization server is a quarter smaller. What runs on this machine alone is compiled fast,
 * and not made small: `quick` is a profile of Cargo.toml.
 */
export const VARIANTS = {
  worker: { folder: "build", profile: "release", features: ["--no-default-features"], isSmall: true },
  full: { folder: "build-full", profile: "release", features: [], isSmall: true },
  start: { folder: "build-start", profile: "quick", features: [] },
  command: {
    folder: "build-command",
    profile: "quick",
    features: ["--features", "command"],
    isCommand: true,
  },
  // A crate of the user's, which has this one as a dependency.
  own: { folder: "build", profile: "release", features: [], isSmall: true },
  packed: {
    folder: "build-packed",
    profile: "release",
    features: ["--features", "command"],
    isCommand: true,
    isSmall: true,
  },
};

/** The SHA-256 hash of the contents of files; undefined where one is not there. */
function hashOf(files) {
  if (!files.every((file) => existsSync(file))) return undefined;
  const hash = createHash("sha256");
  for (const file of files) hash.update(createHash("sha256").update(readFileSync(file)).digest());
  return hash.digest("hex");
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

/** A function with one caller is inlined only if it is small: inlined large ones would add 8 KB gzipped. */
const OPTIMIZED = ["-O3", "--one-caller-inline-max-function-size", "25"];

const optimize = (from, to) => run(npmBin("wasm-opt"), [...OPTIMIZED, from, "-o", to]);

async function finishWorker({ folder, isSmall }, glue) {
  const script = join(glue, "index.js");
  writeFileSync(script, withoutEffects(readFileSync(script, "utf8")));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await run(npmBin("esbuild"), [
    join(root, "src", "worker", "entry.js"),
    "--bundle",
    "--format=esm",
    "--target=es2024",
    "--minify",
    "--log-level=warning",
    // The entry imports names that a Worker without all features does not export.
    "--log-override:import-is-undefined=silent",
    `--alias:portcullis=${script}`,
    "--external:./index_bg.wasm",
    `--outfile=${join(folder, "index.js")}`,
  ]);
  await finishModule(isSmall, glue, folder);
}

async function finishCommand({ folder, isSmall }, glue) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(join(folder, "index.js"), readFileSync(join(glue, "index.js")));
  await finishModule(isSmall, glue, folder);
}

async function finishModule(isSmall, glue, folder) {
  const module = join(glue, "index_bg.wasm");
  // The package does not have wasm-opt: a project that builds its Worker installs `binaryen` for a smaller one.
  if (isSmall && existsSync(npmBin("wasm-opt"))) await optimize(module, join(folder, "index_bg.wasm"));
  else writeFileSync(join(folder, "index_bg.wasm"), readFileSync(module));
}

/**
 * Messages of a panic name files. Without these flags they would name folders of this machine, and the same source would give other
 * bytes on another one.
 */
function withoutPaths(crate) {
  const sources = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry", "src");
  const registries = existsSync(sources) ? readdirSync(sources).map((name) => join(sources, name)) : [];
  const names = [
    [root.replace(/[\\/]$/, ""), "portcullis"],
    ...(crate === root ? [] : [[crate, "worker"]]),
    ...registries.sort().map((path) => [path, "crates"]),
  ];
  const flags = names.map(([path, name]) => `--remap-path-prefix=${path}=${name}`);
  return ["--config", `target.wasm32-unknown-unknown.rustflags=${JSON.stringify(flags)}`];
}

/** The target folder of a crate, and the name of its library as a file. */
async function describe(crate) {
  const args = ["metadata", "--format-version=1", "--no-deps"];
  const { target_directory: target, packages } = JSON.parse(
    await run("cargo", args, { cwd: crate, quiet: true }),
  );
  const libraries = packages.flatMap(({ targets }) => targets.filter(({ kind }) => kind.includes("cdylib")));
  if (libraries.length !== 1)
    throw new Error(`${crate} must have one library with crate-type = ["cdylib"], has ${libraries.length}`);
  return { target, library: libraries[0].name.replaceAll("-", "_") };
}

/**
 * Builds a variant, and returns its folder. `quiet` hides cargo's output; `features` are others than those of the variant. `onCrate` gets the
 * name of each crate that is compiled. `crate` is the folder of another crate, which exports the Worker.
 */
export async function build(name, { quiet = false, onCrate, crate = root, ...changes } = {}) {
  const { isCommand = false, profile, features, ...variant } = { ...VARIANTS[name], ...changes };
  const { target, library } = await describe(crate);
  // Compiled at the same time as what it is for.
  const tools = wasmBindgen(crate);
  // Builds only the cdylib: a library for other crates gets no link-time optimization (docs/decisions.md).
  const what = isCommand ? ["--bin=portcullis-command"] : ["--lib", "--crate-type=cdylib"];
  const cargo = [
    "rustc",
    "--locked",
    ...what,
    `--profile=${profile}`,
    "--target=wasm32-unknown-unknown",
    ...features,
  ];
  // First what is missing is fetched: where it is, is among the flags.
  await run("cargo", ["fetch", "--locked", "--quiet", "--target=wasm32-unknown-unknown"], {
    cwd: crate,
    quiet,
  });
  const onLine = (line) => {
    const crate = line.match(/^\s*Compiling ([\w-]+) v/)?.[1];
    if (crate) onCrate?.(crate);
  };
  await run("cargo", [...withoutPaths(crate), ...cargo], { cwd: crate, quiet, onLine });
  const { bindgen } = await tools;
  const program = isCommand ? "portcullis-command.wasm" : `${library}.wasm`;
  const compiled = join(target, "wasm32-unknown-unknown", profile, program);
  const glue = join(target, `glue-${name}`);
  const folder = resolve(crate, variant.folder);
  const own = ["src/worker/entry.js", "scripts/lib/build.mjs", "package-lock.json"].map((file) =>
    join(root, file),
  );
  const inputs = [compiled, join(crate, "Cargo.lock"), ...own.filter((file) => existsSync(file))];
  const outputs = ["index.js", "index_bg.wasm"].map((file) => join(folder, file));
  const stamp = join(glue, "stamp");
  const state = () => `${folder} ${hashOf(inputs)} ${hashOf(outputs)}`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === state()) return folder;
  rmSync(glue, { recursive: true, force: true });
  await run(bindgen, [
    compiled,
    `--target=${isCommand ? "web" : "module"}`,
    "--out-name=index",
    "--no-typescript",
    // The entry resets the module's state after a panic.
    ...(isCommand ? [] : ["--experimental-reset-state-function"]),
    `--out-dir=${glue}`,
  ]);
  await (isCommand ? finishCommand : finishWorker)({ ...variant, folder }, glue);
  writeFileSync(stamp, state());
  return folder;
}
