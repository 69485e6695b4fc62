// `npm run bench`: measures what the gateway costs, beside its alternatives.
import { existsSync } from "node:fs";
import { platform } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readOptions, refuse } from "../scripts/lib/options.mjs";
import { ensurePackages } from "../scripts/lib/packages.mjs";
import { fail } from "../scripts/lib/run.mjs";

const BENCH = {
  name: "npm run bench",
  about: "Measures what the gateway costs, beside its alternatives, and writes bench/RESULTS.md.",
  options: {
    quick: { about: "A coarse run in under five minutes, which is printed and not written" },
    only: { value: "A,B", about: "These cases alone (--only help lists them), printed and not written" },
    rounds: { value: "N", about: "Rounds of every case", otherwise: "31 in a full run" },
    build: {
      value: "FOLDER",
      about: "The built Worker",
      default: fileURLToPath(new URL("../build", import.meta.url)),
      otherwise: "build",
    },
    miniflare: {
      about: "Measures with Miniflare's own Worker before each contestant, as the first probes were made",
    },
    write: { about: "Also writes what --quick, --only or --miniflare measured" },
  },
  notes: [
    "The alternatives are a Worker that only forwards, one that does what Portcullis does for a known caller without any check (bound), one that checks tokens with jose, others that do with jose what Portcullis does with rules (jose-full), with lists (json-filter) and in refusals (jose-401), and workers-oauth-provider. A full run takes under an hour, half of it for the millions of requests of the memory figures, and needs the machine for itself. It also writes results.json and results.svg.",
  ],
  statuses: { 0: "the measurement is complete", 1: "it failed", 2: "the command cannot be used" },
};

const { values: wanted } = readOptions(process.argv.slice(2), BENCH);
if (platform() !== "linux")
  fail("npm run bench reads CPU and memory of processes as Linux has them; this is no Linux");
const rounds = wanted.rounds === undefined ? undefined : Number(wanted.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
  refuse(BENCH, `--rounds must be a whole number of at least 1, got ${JSON.stringify(wanted.rounds)}`);
if (!existsSync(join(wanted.build, "index_bg.wasm")))
  fail(`${wanted.build} has no Worker: npm run build makes it`);
await ensurePackages(import.meta.url);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

const { bench } = await import("./bench.mjs");
await bench({ ...wanted, rounds }).catch((error) => fail(error.stack));
process.exit(0);
