// The npm package as users get it: packed in the repository, installed in an empty folder, on a machine without Rust.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, startProcess } from "../e2e/support/processes.mjs";

/** The package of the release before. */
export const RELEASE = join(ROOT, "tests", "package", "releases", "portcullis-0.1.0.tgz");

const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** A folder whose programs are those of this machine except Rust's. */
function withoutRust(folder) {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const place of process.env.PATH.split(":").filter((place) => existsSync(place)))
    for (const name of readdirSync(place))
      if (!/^(cargo|rustc|rustup|rustdoc|wasm-bindgen)/.test(name) && !existsSync(join(bin, name)))
        symlinkSync(join(place, name), join(bin, name));
  return bin;
}

/** Packs the repository; `folder` is where everything of these tests is. */
export function pack() {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-package-"));
  const args = ["pack", "--json", "--pack-destination", folder];
  const { status, stdout, stderr } = spawnSync(npm, args, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`npm pack: ${stderr}`);
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf("[\n")));
  const path = withoutRust(folder);
  return {
    folder,
    tarball: join(folder, packed.filename),
    packed,
    /** Runs a program to its end in a folder, without Rust. */
    run(cwd, command, args, { env = {}, input } = {}) {
      const { status, stdout, stderr, error } = spawnSync(join(path, command), args, {
        cwd,
        input: input ?? "",
        encoding: "utf8",
        env: { ...bare(), PATH: `${join(cwd, "node_modules", ".bin")}:${path}`, ...env },
        maxBuffer: 2 ** 26,
        timeout: 300_000,
      });
      return { status, stdout, stderr: `${stderr}${error ?? ""}` };
    },
    /** The same, while this process goes on to answer requests. */
    async runAside(cwd, command, args) {
      const program = startProcess(join(path, command), args, {
        cwd,
        env: { ...bare(), PATH: `${join(cwd, "node_modules", ".bin")}:${path}` },
      });
      const { code } = await program.exited;
      return { code, ...program.output };
    },
    /** Starts a program that goes on. */
    start: (cwd, command, args, env = {}) =>
      startProcess(join(path, command), args, { cwd, env: { ...bare(), PATH: path, ...env } }),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The environment without what an outer npm sets. */
function bare() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|PORTCULLIS_|CARGO)/i.test(name)),
  );
}
