// `portcullis build`: builds a Worker with verifiers of one's own, from a crate that has the gateway as a dependency.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { build as buildVariant } from "../lib/build.mjs";
import { CANNOT, readOptions } from "../lib/options.mjs";
import { fail, say, UNUSABLE } from "../lib/run.mjs";
import { npmBin, rust } from "../lib/tools.mjs";

export const BUILD = {
  name: "portcullis build",
  about: "Builds a Worker with verifiers of your own, from a crate that has the gateway as a dependency.",
  options: {
    crate: { value: "FOLDER", about: "The folder of the crate", otherwise: "the current folder" },
    out: {
      value: "FOLDER",
      about: "Where the Worker is written, from the folder of the crate",
      default: "build",
    },
    quick: { about: "Compiles fast, and does not make the Worker small: for tests" },
  },
  notes: ["It needs Rust. docs/custom-verifier.md has an example."],
  statuses: { 0: "the Worker was built", 1: "the build failed", 2: CANNOT },
};

export async function build(args) {
  const { values } = readOptions(args, BUILD);
  const crate = resolve(values.crate ?? ".");
  for (const file of ["Cargo.toml", "Cargo.lock"])
    if (!existsSync(join(crate, file)))
      fail(
        `${crate} has no ${file}${file === "Cargo.lock" ? ": cargo generate-lockfile makes it" : ""}`,
        UNUSABLE,
      );
  await rust();
  const speed = values.quick ? { profile: "quick", isSmall: false } : {};
  if (!values.quick && !existsSync(npmBin("wasm-opt")))
    say("wasm-opt is not installed: npm install --save-dev binaryen makes the Worker smaller");
  const folder = await buildVariant("own", { crate, folder: values.out, ...speed }).catch((error) =>
    fail(`the build failed: ${error.message.split("\n")[0]}`),
  );
  say(`built ${folder}`);
}
