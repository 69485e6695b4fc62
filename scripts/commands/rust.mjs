// Runs the Rust part of the command line: the Worker's own code, compiled to WebAssembly.
import { existsSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { isatty } from "node:tty";
import { build, VARIANTS } from "../lib/build.mjs";
import { checkBuilt } from "../lib/integrity.mjs";
import { fail, step, UNUSABLE } from "../lib/run.mjs";
import { isPackage, root, rust } from "../lib/tools.mjs";

/** More than a configuration or the decisions of a day have. Larger logs can be named as files. */
const INPUT_BYTES = 64 * 1024 * 1024;
/** Milliseconds before a pipe without data is read again. */
const PAUSE = 20;

/** The whole of standard input. Another program that has the same pipe, such as npx, may have set it to the non-blocking mode. */
function standardInput() {
  if (isatty(0)) throw new Error("`-` is standard input, which is a terminal: use a pipe, or name a file");
  const chunks = [];
  let size = 0;
  for (;;) {
    const chunk = Buffer.alloc(65_536);
    let count;
    try {
      count = readSync(0, chunk);
    } catch (error) {
      if (error.code === "EOF") break;
      if (error.code !== "EAGAIN") throw new Error(`standard input cannot be read: ${error.message}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
      continue;
    }
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    size += count;
    if (size > INPUT_BYTES) throw new Error(`standard input has more than ${INPUT_BYTES} bytes: name a file`);
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.toString("latin1").trim() === "")
    throw new Error("standard input is empty; only one option can read it, and only once");
  return utf8(bytes, "standard input");
}

function utf8(bytes, name) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error(`${name} must be UTF-8`);
  }
}

const WHY = {
  ENOENT: "there is no such file",
  EACCES: "you may not read this file",
  EISDIR: "this is a folder",
  ENOTDIR: "a part of the path is a file",
};

/** Reads a file for the Rust part, which shows users what is thrown. */
function readFile(name, input) {
  if (name === "-") return input ?? standardInput();
  let bytes;
  try {
    bytes = readFileSync(name);
  } catch (error) {
    throw new Error(`${name}: ${WHY[error.code] ?? error.message}`);
  }
  return utf8(bytes, name);
}

/** The folder of the program: that of the package, or, in a clone, one that is built where it is not current. */
async function program() {
  if (isPackage) {
    checkBuilt(VARIANTS.packed.folder);
    return join(root, VARIANTS.packed.folder);
  }
  await rust();
  const work = (at) => build("command", { quiet: true, onCrate: (crate) => at(`compiling ${crate}`) });
  const isNew = !existsSync(join(root, VARIANTS.command.folder));
  const about = {
    number: 1,
    of: 1,
    what: "compiling the command line, once",
    expected: 100,
    to: process.stderr,
  };
  return (isNew ? step(about, work) : work(() => {})).catch((error) => fail(error.message, UNUSABLE));
}

/** Runs a command of the Rust part. Its output is passed on, or, with `quiet`, returned. `input` takes the place of standard input. */
export async function runRust(args, { quiet = false, input } = {}) {
  const folder = await program();
  const { initSync, run } = await import(join(folder, "index.js"));
  initSync({ module: readFileSync(join(folder, "index_bg.wasm")) });
  const printed = JSON.parse(run(args, "npx portcullis", (name) => readFile(name, input)));
  if (quiet) return printed;
  process.stderr.write(printed.stderr);
  // A pipe may take less than everything at once: the process waits until all of it is written.
  await new Promise((resolve) => process.stdout.write(printed.stdout, resolve));
  return printed;
}

const source = ({ config, env }) => [...(config ? ["--config", config] : []), ...(env ? ["--env", env] : [])];

/** A valid configuration document as text, with its version, bindings and secrets; throws the mistakes of an invalid one. */
export async function loadDocument(where) {
  const { status, stdout, stderr } = await runRust(["document", "--json", ...source(where)], { quiet: true });
  if (status === 0) return JSON.parse(stdout);
  const found = stdout ? JSON.parse(stdout) : { error: stderr.trim() };
  throw new Error(errorOf(found));
}

/** The error of a command in Rust, from its JSON: each mistake of a configuration with its place. Undefined if there is none. */
export function errorOf({ error, file, mistakes }) {
  if (!mistakes) return error?.replace(/^portcullis: /, "");
  const lines = mistakes.map(
    ({ line, column, path, mistake }) => `${file}:${line}:${column}: ${path}: ${mistake}`,
  );
  return lines.join("\n");
}

/** The same for a command that ends with the mistakes. */
export const readDocument = (where) => loadDocument(where).catch((error) => fail(error.message, UNUSABLE));

/** The configuration document as an object. */
export const documentOf = async (where) => JSON.parse((await readDocument(where)).document);
