// Builds the Worker into build/. `wrangler` calls this too (see wrangler.toml).
//
// cargo compiles it, wasm-bindgen writes the glue, wasm-opt makes the module smaller, esbuild packs glue and entry.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { ask, fail, run, say } = await import("./lib/run.mjs");
const { npmBin, root, rust, wasmBindgen } = await import("./lib/tools.mjs");

/** Where things are on their way: with cargo's own. */
async function staging() {
  const metadata = JSON.parse(await ask("cargo", ["metadata", "--format-version=1", "--no-deps"]));
  const target = metadata.target_directory;
  return {
    compiled: join(target, "wasm32-unknown-unknown", "release", "portcullis.wasm"),
    glue: join(target, "worker"),
  };
}

async function build() {
  await rust();
  const { bindgen } = await wasmBindgen();
  say("building the Worker (about two minutes the first time, one later on)");
  process.chdir(root);
  const { compiled, glue } = await staging();
  // As a library for others it would get no link-time optimization: see docs/decisions.md.
  const cargo = ["rustc", "--lib", "--crate-type=cdylib", "--release", "--target=wasm32-unknown-unknown"];
  await run("cargo", cargo);
  rmSync(glue, { recursive: true, force: true });
  await run(bindgen, [
    compiled,
    "--target=module",
    "--out-name=index",
    "--no-typescript",
    // The entry begins anew after a panic.
    "--experimental-reset-state-function",
    `--out-dir=${glue}`,
  ]);
  const wasm = join(glue, "index_bg.wasm");
  await run(npmBin("wasm-opt"), ["-O3", wasm, "-o", wasm]);
  // Workers import a module as it is; the glue asks for that with words that are too new for esbuild.
  const script = join(glue, "index.js");
  writeFileSync(script, readFileSync(script, "utf8").replace("import source ", "import "));
  rmSync("build", { recursive: true, force: true });
  mkdirSync("build");
  await run(npmBin("esbuild"), [
    "src/worker/entry.js",
    "--bundle",
    "--format=esm",
    "--target=es2024",
    "--minify",
    "--log-level=warning",
    `--alias:portcullis=${script}`,
    "--external:./index_bg.wasm",
    "--outfile=build/index.js",
  ]);
  cpSync(wasm, "build/index_bg.wasm");
}

await build().catch((error) => fail(`the build failed: ${error.message.split("\n")[0]}`));
