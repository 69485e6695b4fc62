// Programs of the tests: each with a time limit, and gone with everything that it started when that is over or we are.
import { spawn } from "node:child_process";
import { say } from "./run.mjs";

const MINUTE = 60_000;
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
const groups = new Set();

function end(group) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // nobody is left in it
  }
}

process.on("exit", () => groups.forEach(end));
for (const signal of STOP_SIGNALS) process.on(signal, () => process.exit(1));

/**
 * Runs a program; its exit code (or the signal that ended it, or that it was `late`) and its output, which is shown
 * as it comes, or, where it is `held`, in one piece at the end.
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
      // What left its group may hold the pipes.
      child.stdout.destroy();
      child.stderr.destroy();
    }, minutes * MINUTE);
    // What it left behind would hold the pipes, and "close" would never come.
    child.once("exit", () => end(child.pid));
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      groups.delete(child.pid);
      if (held) process.stdout.write(output);
      resolve({ code: late ? "late" : (code ?? signal), output });
    });
  });
}
