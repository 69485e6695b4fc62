// The ratios of results.json, in their order: the target of each, and how it comes from what was measured.
import {
  CALL_GUARDED,
  CALL_LOCKED,
  EXCHANGE,
  FEDERATED,
  FEW_TOKENS,
  FLOOR,
  FLOOR_PUBLIC,
  JOSE,
  JOSE_401,
  JOSE_FULL,
  JSON_FILTER,
  LIST_CACHE,
  LIST_FILTER,
  LIST_LOCKED,
  LIST_MERGED,
  LIST_ONE,
  MANY_RULES,
  MANY_SERVERS,
  MANY_TOKENS,
  OWN,
  PER_USER,
  PLAIN,
  PROVIDER,
  RESOURCES,
  RULES,
  SEALED,
  STATIC,
} from "./cases.mjs";
import { ALGORITHMS } from "./names.mjs";
import { ratio, summary } from "./statistics.mjs";

/** The ratio of a figure of two contestants, round by round; undefined where they were not measured. */
function compare(rows, above, below, figure) {
  const find = (wanted) => rows?.find(({ name }) => name === wanted);
  const [over, under] = [find(above), find(below)];
  return over && under && ratio(figure(over), figure(under));
}

// Each of these returns a function from everything that was measured to a summary.
const cpu =
  (name, above, below, alg = ALGORITHMS[0]) =>
  ({ cases }) =>
    compare(cases.find((one) => one.name === name && one.alg === alg)?.rows, above, below, (row) => row.cpu);
const p99 =
  (name, above, below) =>
  ({ latency }) =>
    compare(latency.find((one) => one.name === name)?.rows, above, below, (row) => row.p99);
const coldStart =
  (above, below) =>
  ({ coldStart: measured }) =>
    compare(measured?.rows, above, below, ({ milliseconds }) => milliseconds);
const resident =
  (above, below) =>
  ({ memory }) =>
    compare(memory?.rows, above, below, (row) => row.resident.slice(-1));
/** One more than the number of full collections, because there may have been none. */
const markCompact =
  (above, below) =>
  ({ pauses }) =>
    compare(pauses?.rows, above, below, ({ kinds }) => [kinds["Mark-Compact"].count + 1]);

export const RATIOS = [
  { key: "repeat_vs_jose", target: 0.92, of: cpu("repeat", PLAIN, JOSE) },
  { key: "repeat_es256_vs_jose", target: 0.85, of: cpu("repeat", PLAIN, JOSE, "ES256") },
  { key: "repeat_eddsa_vs_jose", target: 0.85, of: cpu("repeat", PLAIN, JOSE, "EdDSA") },
  { key: "repeat_vs_floor", target: 1.3, of: cpu("repeat", PLAIN, FLOOR) },
  { key: "repeat_vs_workers_oauth_provider", target: 0.55, of: cpu("repeat", PLAIN, PROVIDER) },
  { key: "first_seen_vs_jose", target: 1.15, of: cpu("first_seen", PLAIN, JOSE) },
  { key: "rules_vs_jose_full", target: 0.9, of: cpu("rules", RULES, JOSE_FULL) },
  { key: "unauthorized_vs_jose_401", target: 1, of: cpu("unauthorized", PLAIN, JOSE_401) },
  { key: "forged_vs_jose", target: 1.15, of: cpu("forged", PLAIN, JOSE) },
  { key: "list_filtered_vs_json_filter", target: 0.6, of: cpu("list", LIST_FILTER, JSON_FILTER) },
  { key: "list_cached_vs_floor", target: 0.75, of: cpu("list_cached", LIST_CACHE, FLOOR_PUBLIC) },
  { key: "sse_vs_floor", target: 1.03, of: cpu("sse", PLAIN, FLOOR) },
  { key: "p99_vs_jose", target: 1.2, of: p99("repeat", PLAIN, JOSE) },
  { key: "mark_compact_vs_jose", target: 1, of: markCompact(PLAIN, JOSE) },
  { key: "cold_start_vs_jose", target: 1.4, of: coldStart(PLAIN, JOSE) },
  { key: "credential_static_vs_plain", target: 1.05, of: cpu("credential", STATIC, PLAIN) },
  { key: "credential_exchange_vs_plain", target: 1.05, of: cpu("credential", EXCHANGE, PLAIN) },
  { key: "credential_per_user_vs_plain", target: 1.05, of: cpu("credential", PER_USER, OWN) },
  { key: "revocation_vs_plain", target: 1.05, of: cpu("revocation", OWN, PLAIN) },
  { key: "sse_revocation_vs_plain", target: 1.35, of: cpu("sse_revocation", OWN, PLAIN) },
  { key: "federated_call_vs_plain", target: 1.05, of: cpu("federated", FEDERATED, SEALED) },
  { key: "federated_list_vs_one", target: 1.5, of: cpu("federated_list", LIST_MERGED, LIST_ONE) },
  { key: "growth_servers", target: 1.05, of: cpu("federated", MANY_SERVERS, FEDERATED) },
  { key: "lock_vs_filter", target: 1.05, of: cpu("lock", LIST_LOCKED, LIST_FILTER) },
  { key: "guards_vs_plain", target: 1.15, of: cpu("guards", CALL_GUARDED, CALL_LOCKED) },
  { key: "growth_rules", target: 1.05, of: cpu("growth_rules", MANY_RULES, RULES) },
  { key: "growth_resources", target: 1.05, of: cpu("growth_resources", RESOURCES, PLAIN) },
  { key: "growth_cached_tokens", target: 1.05, of: cpu("growth_cached_tokens", MANY_TOKENS, FEW_TOKENS) },
  { key: "bundle_gzip_bytes", target: 330_000, of: ({ sizes }) => summary([sizes.portcullis]) },
  { key: "memory_vs_jose", target: 1.1, of: resident(PLAIN, JOSE) },
];
