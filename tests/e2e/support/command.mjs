/** Runs the command line to its end. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT, startProcess } from "./processes.mjs";

const ANSI = String.fromCharCode(27);

/** No output is ever coloured where there is no terminal. */
export async function portcullis(args, { input = "", env } = {}) {
  const program = startProcess("node", [join(ROOT, "scripts", "portcullis.mjs"), ...args], {
    stdin: "pipe",
    env,
  });
  program.stdin.end(input);
  const { code } = await program.exited;
  const { stdout, stderr } = program.output;
  assert.ok(!`${stdout}${stderr}`.includes(ANSI), "colours");
  return { code, stdout, stderr };
}
