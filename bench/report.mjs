// Writes RESULTS.md.
import { KINDS } from "./collections.mjs";
import { RATIOS } from "./ratios.mjs";

const fixed = (value, digits) => (value === undefined || value === null ? "–" : value.toFixed(digits));
const spread = (value, digits) =>
  value ? `${fixed(value.median, digits)} (${fixed(value.low, digits)}–${fixed(value.high, digits)})` : "–";
const kilobytes = (bytes) => `${fixed(bytes / 1_000, 0)} KB`;
const megabytes = (bytes) => `${fixed(bytes / 2 ** 20, 0)} MiB`;

function table(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map((_, at) => (at === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

const section = (title, ...parts) => [`## ${title}`, ...parts].join("\n\n");

function ratios({ intervals }) {
  const rows = RATIOS.map(({ key, target }) => {
    const value = intervals[key];
    const verdict = value === null ? "–" : value.high <= target ? "met" : "missed";
    if (key === "bundle_gzip_bytes")
      return [`\`${key}\``, kilobytes(value.median), `≤ ${kilobytes(target)}`, verdict];
    const shown = value?.rounds === 1 ? fixed(value.median, 3) : spread(value, 3);
    return [`\`${key}\``, shown, `≤ ${fixed(target, 2)}`, verdict];
  });
  return section(
    "Ratios",
    `RS256 where the name has no other algorithm; the median of the rounds' ratios, and its 90 % interval. A target is met if the
upper end of the interval is within it. A value without an interval is a single reading. \`mark_compact_vs_jose\` is
(Mark-Compact collections of portcullis:plain + 1) / (those of jose + 1), because jose may have none. A dash: not measured, or
not there yet.`,
    table(["", "ratio", "target", "result"], rows),
  );
}

function cases({ cases: list }) {
  const rows = list.flatMap(({ title, alg, rows, missing }) => [
    ...rows.map(({ name, cpu, perSecond, subrequests, toFloor, toJose }) => [
      `${title}, ${alg}: **${name}**`,
      spread(cpu, 0),
      fixed(perSecond.median, 0),
      fixed(subrequests.median, 2),
      spread(toFloor, 2),
      spread(toJose, 2),
    ]),
    ...missing.map((name) => [`${title}, ${alg}: **${name}**`, "not there yet", "–", "–", "–", "–"]),
  ]);
  const legend = `Subrequests are those for each request beside the one to the MCP server: key sets, KV, the cache (Miniflare's own stores
are not counted). jose-full, jose-401 and json-filter do with \`jose\` what Portcullis does in the same case; the comments in
\`contestants/\` say what each leaves out.`;
  return section(
    "CPU",
    legend,
    table(["", "µs for each request", "requests/s", "subrequests", "to floor", "to jose"], rows),
  );
}

function latency({ latency: list }) {
  const rows = list.flatMap(({ title, rate, rows }) =>
    rows.map(({ name, p50, p99, firstByte, toFloor }) => [
      `${title}, ${rate}/s: **${name}**`,
      spread(p50, 2),
      spread(p99, 2),
      spread(firstByte, 2),
      spread(toFloor, 2),
    ]),
  );
  const heads = ["ms", "p50", "p99", "first byte, p50", "first byte to floor"];
  return section("Latency at a fixed rate", table(heads, rows));
}

function pauses({ pauses: { requests, title, rows: list } }) {
  const figures = ({ count, longest, sum }) => [count, fixed(longest, 1), fixed(sum, 0)];
  const rows = list.map(({ name, cpu, kinds }) => [
    `**${name}**`,
    fixed(cpu, 0),
    ...KINDS.flatMap((kind) => figures(kinds[kind])),
  ]);
  const heads = KINDS.flatMap((kind) => [kind, "longest, ms", "sum, ms"]);
  return section(
    "Pauses",
    `Garbage collections of V8 in ${requests.toLocaleString("en")} requests after a warm-up, by kind: ${title}. Each stops the isolate.`,
    table(["", "CPU, µs for each request", ...heads], rows),
  );
}

function coldStart({ coldStart: list }) {
  const rows = list.map((row) => [
    `**${row.name}**`,
    spread(row.milliseconds, 0),
    spread(row.toFloor, 2),
    spread(row.toJose, 2),
  ]);
  return section(
    "Cold start",
    "From the start of a workerd process to the last byte of its first answer, keys fetched.",
    table(["", "ms", "to floor", "to jose"], rows),
  );
}

function memory({ memory: { requests, tokens, rows: list } }) {
  const rows = list.map(({ name, end, lastHalf, aboveFloor, heap, wasm }) => [
    `**${name}**`,
    megabytes(end),
    megabytes(aboveFloor),
    `${fixed(100 * lastHalf, 1)} %`,
    heap === undefined ? "–" : megabytes(heap),
    megabytes(wasm),
  ]);
  return section(
    "Memory",
    `Resident memory of workerd after ${requests.toLocaleString("en")} requests with ${tokens.toLocaleString("en")} tokens in turn.
The isolate's own, in a second process, after each token once: V8's heap after its last full collection of garbage, and the memory of WebAssembly.`,
    table(["", "resident", "above the floor", "spread in the last half", "V8's heap", "WebAssembly's"], rows),
  );
}

function bundles({ bundles: sizes }) {
  const rows = Object.entries(sizes).map(([name, bytes]) => [`**${name}**`, kilobytes(bytes)]);
  return section("Bundle, gzipped", table(["", "size"], rows));
}

function surroundings({ date, command, machine, versions, through, size }) {
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const { cpu, cores, memory_gb, linux, pinning } = machine;
  return `\`${command}\`, ${date}, ${cpu}, ${cores} cores, ${memory_gb} GB, Linux ${linux}; ${used.join(", ")}.
${size.rounds} rounds of ${size.requests} requests (fewer where each costs more) over ${size.connections} connections;
each contestant in a process of its own, in ${through}; ${pinning}. CPU is that of the workerd process alone; the MCP
server, the identity provider, the clients and (except in Miniflare) KV and the cache are other processes.`;
}

const PARTS = { cases, pauses, latency, coldStart, memory };

export function report(results) {
  const parts = Object.entries(PARTS)
    .filter(([name]) => results[name] && results[name].length !== 0)
    .map(([, part]) => part(results));
  const head = "<!-- Written by `npm run bench`. -->\n# What the gate costs";
  return `${[head, surroundings(results), ratios(results), ...parts, bundles(results)].join("\n\n")}\n`;
}
