// Reads V8's trace of garbage collections (`--trace-gc`), line by line.
import { spawnSync } from "node:child_process";

/** workerd writes its trace in blocks of 4 KB if its output is a pipe, so it has to be started with a buffer of one line. */
export const LINE_BY_LINE = ["stdbuf", "-oL"];

/** Fails where a trace cannot be read as it is written. */
export function ensureTrace() {
  if (spawnSync(LINE_BY_LINE[0], ["--version"]).status !== 0)
    throw new Error("garbage collections are measured with stdbuf of GNU coreutils, and it is not installed");
}

export const KINDS = ["Mark-Compact", "Scavenge"];

const COLLECTION =
  /^\[\d+:0x[^\]]*\].*: (?<kind>Mark-Compact|Scavenge) .* -> (?<left>[\d.]+) .* MB, (?<pause>[\d.]+) \/ [\d.]+ ms/;
/** What a full collection did in steps before its last pause, each of which is a pause too. */
const STEPS = /\(\+ (?<sum>[\d.]+) ms in \d+ steps .*biggest step (?<longest>[\d.]+) ms/;

/** One collection: its kind, bytes of the heap in use after it, the milliseconds of its pauses and of the longest of them. */
export function readCollection(line) {
  const found = COLLECTION.exec(line)?.groups;
  if (found === undefined) return undefined;
  const pause = Number(found.pause);
  const steps = STEPS.exec(line)?.groups;
  return {
    kind: found.kind,
    left: Number(found.left) * 2 ** 20,
    sum: pause + Number(steps?.sum ?? 0),
    longest: Math.max(pause, Number(steps?.longest ?? 0)),
  };
}

/** Number, longest pause and sum of the pauses of collections, by kind. */
export function byKind(collections) {
  const total = (kind) => {
    const some = collections.filter((one) => one.kind === kind);
    return {
      count: some.length,
      longest: Math.max(0, ...some.map(({ longest }) => longest)),
      sum: some.reduce((all, { sum }) => all + sum, 0),
    };
  };
  return Object.fromEntries(KINDS.map((kind) => [kind, total(kind)]));
}
