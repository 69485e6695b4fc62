// The tools that a build needs besides the npm packages: the wasm target, and wasm-bindgen in the version of the lock file.
// wasm-bindgen is installed once, into the user's cache, never into the repository or over the user's own tools.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask, fail, run, runSlowly, say } from "./run.mjs";

/** The root of the repository. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The path of a program of the npm packages. */
export const npmBin = (name) => join(root, "node_modules", ".bin", name);

/** The folder of the installed tools. */
export const cache =
  process.env.PORTCULLIS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "portcullis");

/** The version of a crate in Cargo.lock. */
function locked(crate) {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`))?.[1];
  return version ?? fail(`Cargo.lock has no version of ${crate}: restore the file`);
}

async function installed(crate, program, version, why) {
  const folder = join(cache, `${crate}-${version}`);
  const path = join(folder, "bin", program);
  if (!existsSync(path)) {
    say(`compiling ${crate} ${version} (${why}); 2 to 6 minutes, once for this machine`);
    const args = ["install", crate, "--version", version, "--locked", "--root", folder];
    await runSlowly(crate, "cargo", args).catch((error) =>
      fail(`${crate} could not be installed:\n${error.message}`),
    );
  }
  return path;
}

/** Checks that Rust is installed, and adds its wasm target where it is missing. */
export async function rust() {
  if ((await ask("cargo", ["--version"])) === undefined) {
    fail("cargo was not found. Install Rust with rustup (https://rustup.rs), then run this command again.");
  }
  const sysroot = await ask("rustc", ["--print", "sysroot"]);
  if (existsSync(join(sysroot ?? "", "lib", "rustlib", "wasm32-unknown-unknown"))) return;
  say("adding the target wasm32-unknown-unknown (seconds, once)");
  await run("rustup", ["target", "add", "wasm32-unknown-unknown"]).catch(() =>
    fail("the target could not be added. Try: rustup target add wasm32-unknown-unknown"),
  );
}

/** The paths of wasm-bindgen's programs, which are compiled where they are missing. */
export async function wasmBindgen() {
  const bindgen = await installed(
    "wasm-bindgen-cli",
    "wasm-bindgen",
    locked("wasm-bindgen"),
    "JavaScript glue",
  );
  return { bindgen, runner: `${bindgen}-test-runner` };
}
