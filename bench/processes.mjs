// Reads CPU and memory of a process from Linux, and assigns cores.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const cores = availableParallelism();

/** With several cores and `taskset`, workerd runs alone on one core and all other processes share the rest. */
const pins = cores > 1 && spawnSync("taskset", ["-V"]).status === 0;
export const pinning = pins ? "workerd on core 0, all others on the rest" : "no process tied to a core";

function pin(pid, where) {
  if (pins) spawnSync("taskset", ["-a", "-c", "-p", where, String(pid)]);
}

export const alone = (pid) => pin(pid, "0");
export const aside = (pid) => pin(pid, `1-${cores - 1}`);

/** Nanoseconds of CPU of all threads of a process, as the scheduler counts them: clock ticks of 10 ms would be too coarse. */
function nanoseconds(pid) {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`))
    sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ")[0]);
  return sum;
}

const residentBytes = (pid) =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]) * 1024;

/** Readings of a process: nanoseconds of CPU so far, and bytes of resident memory now. */
export const figures = (pid) => ({ cpu: () => nanoseconds(pid), resident: () => residentBytes(pid) });

/** The id of the only child of a process. */
export function childOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ");
  if (children.length !== 1)
    throw new Error(`process ${pid} has started ${children.length} processes, not one`);
  return Number(children[0]);
}
