// Computes the figures from the rounds: medians, their intervals, and the ratios of contestants within the same round.
import { RATIOS } from "./ratios.mjs";
import { ratio, summary } from "./statistics.mjs";

const isFloor = ({ name }) => name.startsWith("floor");
const isJose = ({ name }) => name === "jose";

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

const rounded = (_, value) =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(4)) : value;

/** The content of results.json. */
export function makeResults(measured, surroundings) {
  const { cases, latency, pauses, coldStart, memory, sizes } = measured;
  const found = RATIOS.map(({ key, of }) => [key, of(measured)]);
  const results = {
    ...surroundings,
    // null where a ratio was not measured
    ratios: Object.fromEntries(found.map(([key, value]) => [key, value?.median ?? null])),
    intervals: Object.fromEntries(found.map(([key, value]) => [key, value ?? null])),
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
