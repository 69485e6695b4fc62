// Runs a program in a process group of its own, so that everything that it started ends with it, however it ends.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false; // the group has no process left
  }
}

async function sweep(group) {
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    signalGroup(group, signal);
    for (let waited = 0; waited < 5_000; waited += 50) {
      if (!signalGroup(group, 0)) return true;
      await sleep(50);
    }
  }
  return false;
}

/** Calls `stop` once npm, or the shell that it started, has ended: neither passes every signal on. */
export function whenOrphaned(stop) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) stop();
  }, 1_000);
  return () => clearInterval(timer);
}

/**
 * Runs a program to its end. `code` is its exit code, null where a signal ended it; `stopped` says that the user or another
 * process asked for the end (Ctrl-C, a signal, a closed terminal); `clean` says that no process of the group is left.
 *
 * After a request to stop, the program has `patience` milliseconds for an orderly end. With `ipc` it has a channel to this
 * process, and the end of the channel tells it that this process has ended, even by SIGKILL.
 */
export async function runGroup(
  command,
  args,
  { cwd, env, ipc = false, patience = 10_000, onStop = () => {} } = {},
) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "inherit", "inherit", ...(ipc ? ["ipc"] : [])],
  });
  let stopped = false;
  let impatience;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    onStop();
    child.kill("SIGTERM");
    impatience = setTimeout(() => child.kill("SIGKILL"), patience);
  };
  const forgetParent = process.env.npm_lifecycle_event ? whenOrphaned(stop) : () => {};
  for (const signal of STOP_SIGNALS) process.on(signal, stop);

  const outcome = await new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("exit", (code) => resolve({ code }));
  });
  clearTimeout(impatience);
  const clean = child.pid === undefined || (await sweep(child.pid));
  forgetParent();
  for (const signal of STOP_SIGNALS) process.off(signal, stop);
  return { ...outcome, stopped, clean };
}
