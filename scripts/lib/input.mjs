// Reads standard input.
import { isatty } from "node:tty";
import { fail, UNUSABLE } from "./run.mjs";

/** More than any token or set of private keys has. */
const MOST_BYTES = 64 * 1024;

/**
 * The whole of standard input as text. `what` names what it must have. A pipe may be in non-blocking mode (npx sets it), where a
 * synchronous read fails until the writer has written; this function waits for the writer.
 */
export async function readInput(what) {
  const refuse = (why) => fail(`standard input must have ${what}, and ${why}`, UNUSABLE);
  if (isatty(0)) refuse("is a terminal: use a pipe or a file");
  const chunks = [];
  let bytes = 0;
  try {
    for await (const chunk of process.stdin) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) refuse(`has more than ${MOST_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    refuse(`cannot be read: ${error.message}`);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return text.trim() === "" ? refuse("is empty") : text;
}
