// Runs the Rust part of the command line: the Worker's own code, compiled natively.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fail, say, UNUSABLE } from "../lib/run.mjs";
import { root, rust } from "../lib/tools.mjs";

/** Options that name a file. */
const FILES = ["--config", "--claims", "--list", "--log"];

const isStandardInput = (word) => word === "-" || FILES.some((name) => word === `${name}=-`);

/** Runs a command of the Rust part. Its output is passed on, or, with `quiet`, returned. */
export async function native(args, { quiet = false, input } = {}) {
  await rust();
  if (!existsSync(join(root, "target", "debug", "portcullis")) && !process.env.CARGO_TARGET_DIR)
    say("compiling the command line (two minutes, once)", process.stderr);
  // Paths are relative to the user's working directory, and cargo runs in another one.
  const here = args.map((word, at) => {
    if (FILES.includes(args[at - 1])) return word.startsWith("-") ? word : resolve(word);
    const [, name, path] = word.match(/^(--[a-z]+)=(.+)$/s) ?? [];
    return FILES.includes(name) && path !== "-" ? `${name}=${resolve(path)}` : word;
  });
  const standardInput = input !== undefined ? "pipe" : here.some(isStandardInput) ? "inherit" : "ignore";
  const { status, error, stdout, stderr } = spawnSync(
    "cargo",
    ["run", "--quiet", "--locked", "--features", "command", "--", ...here],
    {
      cwd: root,
      // How messages name the program.
      env: { ...process.env, PORTCULLIS_CALL: "npx portcullis" },
      input,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
      stdio: [standardInput, ...(quiet ? ["pipe", "pipe"] : ["inherit", "inherit"])],
    },
  );
  if (error) fail(error.message, UNUSABLE);
  return { status: status ?? UNUSABLE, stdout, stderr };
}

const source = ({ config, env }) => [...(config ? ["--config", config] : []), ...(env ? ["--env", env] : [])];

/** A valid configuration document as text, with its version; ends the command with the mistakes of an invalid one. */
export async function readDocument(where) {
  const { status, stdout, stderr } = await native(["document", "--json", ...source(where)], { quiet: true });
  if (status === 0) return JSON.parse(stdout);
  const found = stdout ? JSON.parse(stdout) : { error: stderr.trim() };
  if (!found.mistakes) return fail(found.error.replace(/^portcullis: /, ""), UNUSABLE);
  const lines = found.mistakes.map(
    ({ line, column, path, mistake }) => `${found.file}:${line}:${column}: ${path}: ${mistake}`,
  );
  return fail(lines.join("\n"), UNUSABLE);
}

/** The configuration document as an object. */
export const documentOf = async (where) => JSON.parse((await readDocument(where)).document);
