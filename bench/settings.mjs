// Paths, compatibility settings and sizes of a run.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";

export const root = fileURLToPath(new URL("..", import.meta.url));

const { compatibility_date, compatibility_flags = [] } = parse(readFileSync(`${root}/wrangler.toml`, "utf8"));

/** All contestants use the compatibility date. Only Portcullis uses the flags, so the others do not pay for them. */
export const compatibility = { date: compatibility_date, flags: compatibility_flags };

/** The quick run shows that everything works, and gives rough figures. */
export const SIZES = {
  full: {
    rounds: 31,
    requests: 1_000,
    warmup: 3_000,
    connections: 16,
    latency: { rounds: 15, seconds: 2 },
    pauses: { requests: 100_000 },
    coldStarts: 15,
    memory: { requests: 1_000_000, tokens: 100_000, readings: 20 },
  },
  quick: {
    rounds: 7,
    requests: 600,
    warmup: 600,
    connections: 16,
    latency: { rounds: 2, seconds: 1 },
    pauses: { requests: 5_000 },
    coldStarts: 3,
    memory: { requests: 10_000, tokens: 1_000, readings: 10 },
  },
};
