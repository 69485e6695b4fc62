// The part of the command that is Rust: the Worker's own code, run here.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fail, say } from "../lib/run.mjs";
import { root, rust } from "../lib/tools.mjs";
import { UNUSABLE } from "./options.mjs";

/** Options that name a file. */
const FILES = ["--config", "--claims", "--list", "--log"];

/** Runs it; what it prints goes to us, unless it is `quiet`. */
export async function native(args, { quiet = false, input } = {}) {
  await rust();
  if (!existsSync(join(root, "target", "debug", "portcullis")) && !process.env.CARGO_TARGET_DIR)
    say("compiling the command (two minutes, once)", process.stderr);
  // Files are named from where the command is called.
  const here = args.map((word, at) => (FILES.includes(args[at - 1]) && word !== "-" ? resolve(word) : word));
  const { status, error, stdout, stderr } = spawnSync(
    "cargo",
    ["run", "--quiet", "--locked", "--features", "command", "--", ...here],
    {
      cwd: root,
      input,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
      stdio: quiet ? ["pipe", "pipe", "pipe"] : "inherit",
    },
  );
  if (error) fail(error.message, UNUSABLE);
  return { status: status ?? UNUSABLE, stdout, stderr };
}

const source = ({ config, env }) => [...(config ? ["--config", config] : []), ...(env ? ["--env", env] : [])];

/** A document that is valid, as text, and its version; ends with its mistakes where it is not. */
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

/** The same as an object. */
export const documentOf = async (where) => JSON.parse((await readDocument(where)).document);
