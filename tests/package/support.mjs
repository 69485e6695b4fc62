// The npm package as users get it: packed in the repository, installed in an empty folder, on a machine without Rust.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
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
}

/** Packs the package and the one of `npm create` into a folder. */
export function pack(folder) {
  const packed = ["", "create"].map((place) => {
    const args = ["pack", "--json", "--pack-destination", folder];
    const { status, stdout, stderr } = spawnSync(npm, args, {
      cwd: join(ROOT, place),
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    if (status !== 0) throw new Error(`npm pack: ${stderr}`);
    return JSON.parse(stdout.slice(stdout.indexOf("[\n")))[0];
  });
  withoutRust(folder);
  writeFileSync(join(folder, "packed.json"), JSON.stringify(packed));
  return folder;
}

/** Installs the package into `installed` of the folder, as a user would. */
export function install(folder) {
  const place = join(folder, "installed");
  mkdirSync(place);
  const { tarball, run } = packed(folder);
  const made = run(place, "npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball]);
  if (made.status !== 0) throw new Error(`npm install: ${made.stderr}`);
  return folder;
}

/**
 * What was packed and installed: by the layer of tests, once for all of its files (PORTCULLIS_PACKED), or for this file. `folder` is where
 * everything of these tests is, and `installed` where the package is installed.
 */
export function packedOnce() {
  const given = process.env.PORTCULLIS_PACKED;
  const folder = given ?? install(pack(mkdtempSync(join(tmpdir(), "portcullis-package-"))));
  const close = () => given ?? rmSync(folder, { recursive: true, force: true });
  return { ...packed(folder), close };
}

function packed(folder) {
  const [own, create] = JSON.parse(readFileSync(join(folder, "packed.json"), "utf8"));
  const path = join(folder, "bin");
  return {
    folder,
    installed: join(folder, "installed"),
    tarball: join(folder, own.filename),
    createTarball: join(folder, create.filename),
    packed: own,
    /** Runs a program to its end in a folder, without Rust. */
    run(cwd, command, args, { env = {}, input } = {}) {
      const { status, stdout, stderr, error } = spawnSync(resolve(path, command), args, {
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
      const program = startProcess(resolve(path, command), args, {
        cwd,
        env: { ...bare(), PATH: `${join(cwd, "node_modules", ".bin")}:${path}` },
      });
      const { code } = await program.exited;
      return { code, ...program.output };
    },
    /** Starts a program that goes on. */
    start: (cwd, command, args, env = {}) =>
      startProcess(resolve(path, command), args, { cwd, env: { ...bare(), PATH: path, ...env } }),
  };
}

/** The environment without what an outer npm sets. */
function bare() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|PORTCULLIS_|CARGO)/i.test(name)),
  );
}
