// `npm run bench`: measures what the gateway costs, beside its alternatives.
import { existsSync } from "node:fs";
import { platform } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensurePackages } from "../scripts/lib/packages.mjs";
import { fail } from "../scripts/lib/run.mjs";

const HELP = `npm run bench -- [OPTIONS]

Measures the built Worker beside a Worker that only forwards, one that checks tokens with jose, and
workers-oauth-provider, and writes bench/RESULTS.md, results.json and results.svg. It takes under an hour, half of it for
the millions of requests of the memory figures, and wants the machine for itself.

  --quick          a coarse run in under five minutes, which is printed and not written
  --only A,B       these cases alone (--only help lists them), printed and not written
  --rounds N       rounds of every case; 15 in a full run
  --build DIR      the built Worker, where it is not build/
  --miniflare      with Miniflare's own Worker before each contestant, as the first probes were made
  --write          writes what --quick, --only or --miniflare measured too
`;

const options = {
  quick: { type: "boolean", default: false },
  only: { type: "string" },
  rounds: { type: "string" },
  build: { type: "string", default: fileURLToPath(new URL("../build", import.meta.url)) },
  miniflare: { type: "boolean", default: false },
  write: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
};

function parse() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(`${error.message}\n\n${HELP}`);
  }
}

const wanted = parse();
if (wanted.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (platform() !== "linux")
  fail("npm run bench reads CPU and memory of processes as Linux has them; this is no Linux");
const rounds = wanted.rounds === undefined ? undefined : Number(wanted.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) fail("--rounds wants a whole number");
if (!existsSync(join(wanted.build, "index_bg.wasm")))
  fail(`${wanted.build} has no Worker: npm run build makes it`);
await ensurePackages(import.meta.url);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

const { bench } = await import("./bench.mjs");
await bench({ ...wanted, rounds }).catch((error) => fail(error.stack));
process.exit(0);
