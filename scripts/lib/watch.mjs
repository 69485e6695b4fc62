// Runs programs of the tests, each with a time limit. A program and everything that it started are killed when the time is over or
// this process ends.
import { spawn } from "node:child_process";
import { say } from "./run.mjs";

const MINUTE = 60_000;
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
const groups = new Set();

function end(group) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // the group has no process left
  }
}

process.on("exit", () => groups.forEach(end));
for (const signal of STOP_SIGNALS) process.on(signal, () => process.exit(1));

/**
 * Runs a program. Resolves to its exit code (or the signal that ended it, or `late` where its time was over) and its output. The
 * output is printed as it arrives, or, with `held`, in one piece at the end.
 */
export function watch(command, args, { cwd, env = {}, minutes, held = false }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let output = "";
    let late = false;
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (!held) to.write(text);
      });
    }
    child.once("error", reject);
    groups.add(child.pid);
    const timer = setTimeout(() => {
      late = true;
      say(`${args.at(-1)} has not ended within ${minutes} minutes`);
      end(child.pid);
      // A process that left the group may keep the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, minutes * MINUTE);
    // Processes that it left behind would keep the pipes open, and "close" would never be emitted.
    child.once("exit", () => end(child.pid));
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      groups.delete(child.pid);
      if (held) process.stdout.write(output);
      resolve({ code: late ? "late" : (code ?? signal), output });
    });
  });
}
