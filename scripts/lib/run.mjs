// Runs other programs, prints progress for people, and ends with a message that says what went wrong.
import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";

/** Exit code where the arguments, or the files and servers that they name, cannot be used. */
export const UNUSABLE = 2;

/**
 * Untrusted text in a form that is safe for a terminal: characters that would move the cursor, set colours or change the direction
 * of the text are escaped. Line breaks stay, unless `oneLine` is set.
 */
export function plain(text, { oneLine = false } = {}) {
  const shown = (character) =>
    character === "\n" && !oneLine ? character : `\\u{${character.codePointAt(0).toString(16)}}`;
  return `${text}`.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, shown);
}

/** Prints a line about progress; to standard error where standard output is the result of the command. */
export function say(text, to = process.stdout) {
  to.write(`portcullis: ${plain(text)}\n`);
}

let asJson = false;

/** From here on failures are printed as JSON on standard output, for a caller that asked for JSON. */
export function failAsJson() {
  asJson = true;
}

/** Prints a result for programs. */
export const printJson = (value) => process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);

/** Ends with a message and without a stack trace: the message says what the user can do next. */
export function fail(text, code = 1) {
  if (asJson) process.stdout.write(`${JSON.stringify({ error: `${text}` }, undefined, 2)}\n`);
  else process.stderr.write(`portcullis: ${plain(text)}\n`);
  process.exit(code);
}

/**
 * Runs a program to its end; its output is passed on, and with `asks` our input goes to it. With `quiet` it is returned, and `onLine`
 * gets the lines of standard error, and `onChild` the process. With `patient` other programs go first. Throws where it fails.
 */
export function run(
  command,
  args,
  { env = {}, cwd, quiet = false, asks = false, patient = false, onLine, onChild } = {},
) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: quiet ? ["ignore", "pipe", "pipe"] : [asks ? "inherit" : "ignore", "inherit", "inherit"],
    });
    onChild?.(child);
    // Its own programs inherit the priority.
    if (patient && child.pid) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    // The answer is standard output alone: warnings on standard error are not part of it.
    let answer = "";
    let output = "";
    child.stdout?.on("data", (data) => {
      answer += data;
      output += data;
    });
    child.stderr?.on("data", (data) => {
      output += data;
      for (const line of onLine ? `${data}`.split("\n") : []) onLine(line);
    });
    child.on("error", (error) => reject(new Error(`${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(answer);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? code}\n${output}`));
    });
  });
}

/** Seconds between two lines about the progress of a step. */
const PROGRESS = 10;

/**
 * Does one step of several, and prints every 10 seconds how long it has taken. `expected` is how many seconds it takes on a machine with
 * two cores; `work` gets a function that names what is done just now.
 */
export async function step({ number, of, what, expected, to }, work) {
  const name = `step ${number} of ${of}`;
  say(`${name}: ${what} (about ${expected} s)`, to);
  const begun = Date.now();
  let now = "";
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - begun) / 1000);
    say(`${name}: ${seconds} s of about ${expected} s${now && `, ${now}`}`, to);
  }, PROGRESS * 1000);
  try {
    return await work((text) => {
      now = text;
    });
  } finally {
    clearInterval(timer);
  }
}

/** The output of a program, or undefined where it is not installed or fails. */
export async function ask(command, args, options = {}) {
  return run(command, args, { ...options, quiet: true }).then(
    (text) => text.trim(),
    () => undefined,
  );
}
