import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const BIN = join(ROOT, "node_modules", ".bin");
const PATIENCE_AFTER_SIGTERM = 2_000;
const TAIL = 3_000;

/** Whether nobody listens on a port of 127.0.0.1 just now. */
const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/**
 * A port of 127.0.0.1 that no process listens on just now, below those that the system gives to processes that ask for any: one of
 * these may be taken before it is used. Fetch refuses some ports of services that are not HTTP, the last of them 10080.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_081, 32_000);
    if (await isFree(port)) return port;
  }
}

/** Rejects when `promise` takes longer than `milliseconds`. `detail()` may add to the message. */
export async function within(milliseconds, what, promise, detail = () => "") {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: nothing within ${milliseconds} ms\n${detail()}`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Takes out what must not be in a test report: tokens, codes, secrets. */
function redact(text) {
  return text
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, "<token>")
    .replace(/\b(Bearer|Basic|DPoP) [\w.~+/=-]{8,}/gi, "$1 <token>")
    .replace(
      /((?:access_token|refresh_token|id_token|client_secret|code_verifier|registration_access_token|code)"?\s*[=:]\s*"?)[\w.~+/%=-]{8,}/gi,
      "$1<secret>",
    );
}

/**
 * Starts a program whose output is kept. Stop it with `stop()`, which is safe to call twice: SIGTERM, and
 * SIGKILL when that does not help.
 */
export function startProcess(command, args, { env = {}, cwd = ROOT, stdin = "ignore" } = {}) {
  const child = spawn(command, args, {
    cwd,
    // npm's `node` first: some of the clients want a newer one than the machine's.
    env: { ...process.env, PATH: `${BIN}:${process.env.PATH}`, ...env },
    stdio: [stdin, "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  const watchers = new Set();
  for (const stream of ["stdout", "stderr"]) {
    child[stream].setEncoding("utf8").on("data", (text) => {
      output[stream] += text;
      for (const watch of watchers) watch();
    });
  }
  let over = false;
  const exited = new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("close", (code, signal) => resolve({ code, signal }));
  }).then((outcome) => {
    over = true;
    for (const watch of watchers) watch();
    return outcome;
  });
  const tail = () => redact(output.stderr.slice(-TAIL) || output.stdout.slice(-TAIL));

  return {
    pid: child.pid,
    stdin: child.stdin,
    output,
    exited,
    tail,
    /** Waits until `find(output)` gives something, and gives that. */
    until(what, find, milliseconds = 20_000) {
      let watch;
      const found = new Promise((resolve, reject) => {
        watch = () => {
          const value = find(output);
          if (value) resolve(value);
          else if (over) reject(new Error(`${what}: the program has ended\n${tail()}`));
        };
        watchers.add(watch);
        watch();
      });
      return within(milliseconds, what, found, tail).finally(() => watchers.delete(watch));
    },
    async stop() {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_AFTER_SIGTERM);
      await gone;
      clearTimeout(timer);
      // A program of the program may still hold these.
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}
