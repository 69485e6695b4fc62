// Computes the figures from the rounds: medians, their intervals, and the ratios of contestants within the same round.
import { CASES } from "./cases.mjs";
import { ratio, summary } from "./statistics.mjs";

/** The ratios that results.json has under `ratios`, in this order; null where a ratio was not measured. */
export const KEYS = [
  "repeat_vs_jose",
  "repeat_vs_floor",
  "first_seen_vs_jose",
  "rules_vs_jose_full",
  "unauthorized_vs_jose_401",
  "repeat_vs_workers_oauth_provider",
  "sse_vs_floor",
  "list_filtered_vs_json_filter",
  "list_cached_vs_floor",
  "cold_start_vs_jose",
  "growth_rules",
  "growth_resources",
  "growth_cached_tokens",
];

const isFloor = ({ name }) => name.startsWith("floor");
const isJose = ({ name }) => name === "jose";

function compare(rows, [above, below], what) {
  const find = (wanted) => rows.find(({ name }) => name === wanted)?.[what];
  return find(above) && find(below) && ratio(find(above), find(below));
}

/** A row for each contestant: `names` are its figures, `what` is the one that is compared with those of the floor and of jose. */
function table(rows, names, what) {
  const floor = rows.find(isFloor)?.[what];
  const jose = rows.find(isJose)?.[what];
  return rows.map((row) => ({
    name: row.name,
    ...Object.fromEntries(names.map((name) => [name, summary(row[name])])),
    toFloor: floor && ratio(row[what], floor),
    toJose: jose && ratio(row[what], jose),
  }));
}

/** The spread of the resident memory in the last half of the readings, and the last reading above that of the floor. */
function memoryTable(rows) {
  const floor = rows.find(isFloor).resident.at(-1);
  return rows.map(({ name, resident, heap, wasm }) => {
    const half = resident.slice(resident.length >> 1);
    return {
      name,
      resident,
      end: resident.at(-1),
      lastHalf: Math.max(...half) / Math.min(...half) - 1,
      aboveFloor: resident.at(-1) - floor,
      heap,
      wasm,
    };
  });
}

function ratiosOf({ cases, coldStart }) {
  const found = new Map();
  for (const { name, alg, rows } of cases) {
    const { ratios, algorithms } = CASES.find((one) => one.name === name);
    if (alg !== algorithms[0]) continue;
    for (const [key, pair] of Object.entries(ratios)) found.set(key, compare(rows, pair, "cpu"));
  }
  if (coldStart)
    found.set("cold_start_vs_jose", compare(coldStart.rows, ["portcullis:plain", "jose"], "milliseconds"));
  return found;
}

const rounded = (_, value) =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(4)) : value;

/** The content of results.json. */
export function makeResults(measured, surroundings) {
  const { cases, latency, pauses, coldStart, memory, sizes } = measured;
  const found = ratiosOf(measured);
  const results = {
    ...surroundings,
    ratios: {
      ...Object.fromEntries(KEYS.map((key) => [key, found.get(key)?.median ?? null])),
      bundle_gzip_bytes: sizes.portcullis,
    },
    intervals: Object.fromEntries(KEYS.map((key) => [key, found.get(key) ?? null])),
    cases: cases.map(({ rows, ...one }) => ({
      ...one,
      rows: table(rows, ["cpu", "perSecond", "subrequests"], "cpu"),
    })),
    latency: latency.map(({ rows, ...one }) => ({
      ...one,
      rows: table(rows, ["p50", "p99", "firstByte"], "firstByte"),
    })),
    pauses,
    coldStart: coldStart && table(coldStart.rows, ["milliseconds"], "milliseconds"),
    memory: memory && { ...memory, rows: memoryTable(memory.rows) },
    bundles: sizes,
  };
  return JSON.parse(JSON.stringify(results, rounded));
}
