// The tools that a build needs besides the npm packages: the wasm target, and wasm-bindgen in the version of the lock file.
// wasm-bindgen is installed once, into the user's cache, never into the repository or over the user's own tools.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask, fail, run, say, UNUSABLE } from "./run.mjs";

/** The root of the repository. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Whether this is the npm package, which has everything prebuilt, and not a clone of the repository. */
export const isPackage = !existsSync(join(root, "Cargo.toml"));

/** The folder with the user's configuration. */
export const project = isPackage ? process.cwd() : root;

/** The folders above a folder, and the folder itself. */
function* above(folder) {
  for (let here = folder; ; here = dirname(here)) {
    yield here;
    if (dirname(here) === here) return;
  }
}

/** The path of a program of the npm packages: npm installs those of a package beside the package, or above it. */
export function npmBin(name) {
  const paths = [...above(root)].map((folder) => join(folder, "node_modules", ".bin", name));
  return paths.find((path) => existsSync(path)) ?? paths[0];
}

/** The folder of an npm package. */
export const npmFolder = (name) =>
  dirname(createRequire(join(root, "package.json")).resolve(`${name}/package.json`));

/** The folder of the installed tools. */
export const cache =
  process.env.PORTCULLIS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "portcullis");

/** The version of a crate in Cargo.lock of a folder. */
function locked(crate, folder = root) {
  const lock = readFileSync(join(folder, "Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`))?.[1];
  return version ?? fail(`Cargo.lock has no version of ${crate}: restore the file`);
}

/** Where a program of a crate is installed. */
function place(crate, program, version) {
  // Another way to compile it is another folder.
  const folder = join(cache, `${crate}-${version}-optimized`);
  return { folder, path: join(folder, "bin", program) };
}

/** The installations in progress: several builds may need one tool at once. */
const installing = new Map();

/** The crates of wasm-bindgen that do the work: what they save in one run of the tests is more than it takes to optimize them. */
const OPTIMIZED = [
  "walrus",
  "wasmparser",
  "wasm-encoder",
  "wasm-bindgen-cli-support",
  "id-arena",
  "gimli",
  "leb128fmt",
];

/**
 * The path of a program of a crate, which is compiled where it is missing. Without optimization that takes less than half of the time,
 * and what the program writes is the same.
 */
async function installed(crate, program, version) {
  const { folder, path } = place(crate, program, version);
  if (existsSync(path)) return path;
  if (!installing.has(crate)) {
    const args = ["install", crate, "--version", version, "--locked", "--debug", "--quiet", "--root", folder];
    for (const name of OPTIMIZED) args.push("--config", `profile.dev.package.${name}.opt-level=1`);
    // What waits for it is compiled at the same time, and takes longer. Information for debuggers would take as long as the rest.
    const env = { CARGO_PROFILE_DEV_DEBUG: "0", CARGO_INCREMENTAL: "0" };
    installing.set(crate, run("cargo", args, { quiet: true, patient: true, env }));
  }
  await installing.get(crate).catch((error) => fail(`${crate} could not be installed:\n${error.message}`));
  return path;
}

/** Whether wasm-bindgen is there already. */
export const hasWasmBindgen = () =>
  existsSync(place("wasm-bindgen-cli", "wasm-bindgen", locked("wasm-bindgen")).path);

/** Whether a configuration file of cargo, or a flag for rustc, names a linker. */
function namesLinker() {
  const folders = [process.env.CARGO_HOME ?? join(homedir(), ".cargo"), join(root, ".cargo")];
  const files = folders.flatMap((folder) => [join(folder, "config.toml"), join(folder, "config")]);
  return (
    /linker/.test(`${process.env.RUSTFLAGS ?? ""}${process.env.CARGO_ENCODED_RUSTFLAGS ?? ""}`) ||
    files.some((file) => existsSync(file) && /\blinker\b/.test(readFileSync(file, "utf8")))
  );
}

/**
 * Checks that there is a program that links: rustc calls `cc`, unless the environment or the configuration of cargo names
 * another one. Without it cargo fails after minutes, with the whole command line of the linker.
 */
async function linker() {
  if (process.platform === "win32") return;
  const host = (await ask("rustc", ["-vV"]))?.match(/^host: (.*)$/m)?.[1] ?? "";
  const variable = `CARGO_TARGET_${host.toUpperCase().replaceAll("-", "_")}_LINKER`;
  const named = process.env[variable];
  if (named === undefined && namesLinker()) return;
  const works = async (program) => (await ask(program, ["--version"])) !== undefined;
  if (await works(named ?? "cc")) return;
  const other = (await works("clang")) ? "clang" : (await works("gcc")) ? "gcc" : undefined;
  fail(
    `no linker was found: cargo links with ${named ? `${named}, which ${variable} names` : "the C compiler `cc`"}. Install a C compiler, then run this command again:\n` +
      "  Debian, Ubuntu  sudo apt install build-essential\n" +
      "  Fedora          sudo dnf install gcc\n" +
      "  macOS           xcode-select --install" +
      (other ? `\nOr set ${variable}=${other}, which is installed.` : ""),
    UNUSABLE,
  );
}

/** Checks that Rust and a linker are installed, and adds the wasm target where it is missing. */
export async function rust() {
  if ((await ask("cargo", ["--version"])) === undefined) {
    fail(
      "cargo was not found. Install Rust with rustup (https://rustup.rs), then run this command again.",
      UNUSABLE,
    );
  }
  await linker();
  const sysroot = await ask("rustc", ["--print", "sysroot"]);
  if (existsSync(join(sysroot ?? "", "lib", "rustlib", "wasm32-unknown-unknown"))) return;
  say("adding the target wasm32-unknown-unknown (seconds, once)");
  await run("rustup", ["target", "add", "wasm32-unknown-unknown"]).catch(() =>
    fail("the target could not be added. Try: rustup target add wasm32-unknown-unknown", UNUSABLE),
  );
}

/** The paths of wasm-bindgen's programs, in the version of a crate's lock file. They are compiled where they are missing. */
export async function wasmBindgen(folder) {
  const bindgen = await installed("wasm-bindgen-cli", "wasm-bindgen", locked("wasm-bindgen", folder));
  return { bindgen, runner: `${bindgen}-test-runner` };
}
