// A run: measures every case with each of its algorithms, then latency, pauses, cold starts and memory, and writes the report.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, say } from "../scripts/lib/run.mjs";
import { CASES, COLD_START, EXPERIMENTS, LATENCY, MEMORY, PAUSES } from "./cases.mjs";
import { ensureTrace } from "./collections.mjs";
import { coldStart, latency, memory, pauses } from "./experiments.mjs";
import { surroundings } from "./machine.mjs";
import { measure } from "./measure.mjs";
import { plot } from "./plot.mjs";
import { report } from "./report.mjs";
import { makeResults } from "./results.mjs";
import { makeSetting } from "./setting.mjs";
import { root, SIZES } from "./settings.mjs";

const names = [...CASES.map(({ name }) => name), ...EXPERIMENTS];
const caseNamed = (wanted) => CASES.find(({ name }) => name === wanted);

/** Returns a function that says whether a case or an experiment is part of this run. */
function choice(only) {
  if (only === undefined) return () => true;
  const list = only.split(",");
  const unknown = list.find((name) => !names.includes(name));
  if (unknown !== undefined) fail(`there is no case ${unknown}; there are ${names.join(", ")}`);
  return (name) => list.includes(name);
}

export async function bench({ quick, only, rounds, build, miniflare, write }) {
  const chosen = choice(only);
  if (chosen("pauses") || chosen("memory")) ensureTrace();
  const size = { ...(quick ? SIZES.quick : SIZES.full) };
  if (rounds) size.rounds = rounds;
  const all = await makeSetting(build);
  const setting = miniflare ? all.inMiniflare : all.inWorkerd;
  const measured = { cases: [], latency: [], sizes: all.sizes() };

  for (const one of CASES.filter(({ name }) => chosen(name))) {
    for (const alg of one.algorithms) {
      say(`${one.title} (${alg})`);
      measured.cases.push(await measure(setting, one, alg, size));
    }
  }
  if (chosen("latency")) {
    for (const { name, load } of LATENCY) {
      say(`latency at a fixed rate: ${name}`);
      measured.latency.push(await latency(setting, caseNamed(name), load, size));
    }
  }
  if (chosen("pauses")) {
    say(`pauses in ${size.pauses.requests} requests`);
    measured.pauses = await pauses(all.inWorkerd, PAUSES, size);
  }
  if (chosen("cold_start")) {
    say("cold starts");
    measured.coldStart = await coldStart(all.inWorkerd, COLD_START, size);
  }
  if (chosen("memory")) {
    say(`memory over ${size.memory.requests} requests`);
    measured.memory = await memory(all.inWorkerd, MEMORY, size);
  }
  all.close();

  const results = makeResults(measured, surroundings({ miniflare, size }));
  const text = report(results);
  if (!write && (quick || miniflare || only !== undefined)) {
    process.stdout.write(`\n${text}`);
    return;
  }
  const files = {
    "RESULTS.md": text,
    "results.json": `${JSON.stringify(results, undefined, 2)}\n`,
    "results.svg": plot(results),
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, "bench", name), content);
  say(`written: ${Object.keys(files).join(", ")} in bench/`);
}
