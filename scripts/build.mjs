// Builds the Worker into build/. `wrangler` calls this too (see wrangler.toml).

import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { fail, run, say } = await import("./lib/run.mjs");
const { npmBin, root, rust, wasmBindgen, workerBuild } = await import("./lib/tools.mjs");

await rust();
const { bindgen } = await wasmBindgen();
const builder = await workerBuild();
say("building the Worker (about a minute the first time, seconds after)");
await run(builder, ["--release"], {
  cwd: root,
  // Without these worker-build would download them.
  env: { WASM_BINDGEN_BIN: bindgen, WASM_OPT_BIN: npmBin("wasm-opt"), ESBUILD_BIN: npmBin("esbuild") },
}).catch((error) => fail(`the build failed: ${error.message.split("\n")[0]}`));
