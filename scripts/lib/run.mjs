// Running other programs: with progress that a person can follow, and an exit that says what went wrong.
import { spawn } from "node:child_process";

/**
 * Text of others as a terminal may have it: what would move its cursor, colour it or turn its lines around is shown.
 * Line breaks stay, unless it is to be one line.
 */
export function plain(text, { oneLine = false } = {}) {
  const shown = (character) =>
    character === "\n" && !oneLine ? character : `\\u{${character.codePointAt(0).toString(16)}}`;
  return `${text}`.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, shown);
}

/** Prints a line about what is being done; to standard error where the output is somebody's input. */
export function say(text, to = process.stdout) {
  to.write(`portcullis: ${plain(text)}\n`);
}

let asJson = false;

/** From here on failures are JSON on standard output too, for the program that asked for JSON. */
export function failAsJson() {
  asJson = true;
}

/** Ends with a message and no stack: the user's next step is in the message. */
export function fail(text, code = 1) {
  if (asJson) process.stdout.write(`${JSON.stringify({ error: `${text}` }, undefined, 2)}\n`);
  else process.stderr.write(`portcullis: ${plain(text)}\n`);
  process.exit(code);
}

/** Runs a program to its end; its output goes to ours, and where it `asks`, our input to it. Throws where it fails. */
export function run(command, args, { env = {}, cwd, quiet = false, asks = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: quiet ? ["ignore", "pipe", "pipe"] : [asks ? "inherit" : "ignore", "inherit", "inherit"],
    });
    // Warnings are no part of what a program answers.
    let answer = "";
    let output = "";
    child.stdout?.on("data", (data) => {
      answer += data;
      output += data;
    });
    child.stderr?.on("data", (data) => {
      output += data;
    });
    child.on("error", (error) => reject(new Error(`${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(answer);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}\n${output}`));
    });
  });
}

/** Like `run`, and tells every now and then that it still goes on. */
export async function runSlowly(what, command, args, options = {}) {
  const begun = Date.now();
  const timer = setInterval(() => {
    say(`  … ${what}: ${Math.round((Date.now() - begun) / 1000)} s`);
  }, 20_000);
  try {
    return await run(command, args, { ...options, quiet: true });
  } finally {
    clearInterval(timer);
  }
}

/** The output of a program, or nothing where it is not there or fails. */
export async function ask(command, args) {
  return run(command, args, { quiet: true }).then(
    (text) => text.trim(),
    () => undefined,
  );
}
