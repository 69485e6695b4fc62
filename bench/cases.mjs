// What is measured: the contestants of each case, their requests and tokens, and the ratios of results.json that come from it.
//
// `tokens` is `repeat` (one token for all requests, or as many in turn as the contestant's name says after `#`), `fresh` (each
// token once), `forged` (each token once, signed with a key of another issuer) or `none`. `share` is the part of the usual number
// of requests that is sent, for cases whose requests cost more.
import { ALGORITHMS } from "./names.mjs";
import { CALL, LIST, STREAM } from "./requests.mjs";

const FLOOR = "floor";
const JOSE = "jose";
// Each does with `jose` what the configuration of Portcullis does that it is compared with.
const JOSE_FULL = "jose-full";
const JOSE_401 = "jose-401";
const JSON_FILTER = "json-filter";
const PROVIDER = "workers-oauth-provider";
const PLAIN = "portcullis:plain";
const RULES = "portcullis:rules";
const LIST_FILTER = "portcullis:listFilter";

export const CASES = [
  {
    name: "repeat",
    title: "tools/call, a token that was seen before",
    algorithms: ALGORITHMS,
    contestants: [FLOOR, JOSE, PROVIDER, PLAIN],
    ratios: {
      repeat_vs_jose: [PLAIN, JOSE],
      repeat_vs_floor: [PLAIN, FLOOR],
      repeat_vs_workers_oauth_provider: [PLAIN, PROVIDER],
    },
  },
  {
    name: "first_seen",
    title: "tools/call, each token once",
    algorithms: ALGORITHMS,
    tokens: "fresh",
    contestants: [FLOOR, JOSE, PLAIN],
    ratios: { first_seen_vs_jose: [PLAIN, JOSE] },
  },
  {
    name: "logged",
    title: "tools/call, with a line in the log for each",
    contestants: [FLOOR, JOSE, "portcullis:logged"],
  },
  {
    name: "assertion",
    title: "tools/call, with identity assertion",
    contestants: [FLOOR, JOSE, "portcullis:assertion"],
  },
  {
    name: "rules",
    title: "tools/call, with tool rules, decision log and identity assertion",
    contestants: [FLOOR, JOSE, JOSE_FULL, RULES],
    ratios: { rules_vs_jose_full: [RULES, JOSE_FULL] },
  },
  {
    name: "unauthorized",
    title: "401, no token",
    tokens: "none",
    status: 401,
    contestants: [JOSE, JOSE_401, PROVIDER, PLAIN],
    ratios: { unauthorized_vs_jose_401: [PLAIN, JOSE_401] },
  },
  {
    name: "forged",
    title: "401, each token once, with a false signature",
    tokens: "forged",
    status: 401,
    contestants: [JOSE, PLAIN],
  },
  {
    name: "sse",
    title: "tools/call, answered with a stream of 100 events",
    request: STREAM,
    share: 0.25,
    contestants: [FLOOR, JOSE, PLAIN],
    ratios: { sse_vs_floor: [PLAIN, FLOOR] },
  },
  {
    name: "list",
    title: "tools/list of 200 tools",
    request: LIST,
    share: 0.5,
    contestants: [FLOOR, JOSE, JSON_FILTER, PLAIN, LIST_FILTER],
    ratios: { list_filtered_vs_json_filter: [LIST_FILTER, JSON_FILTER] },
  },
  {
    name: "list_cached",
    title: "tools/list of 200 tools that a cache may serve",
    request: LIST,
    share: 0.5,
    contestants: ["floor:public", "portcullis:listCache"],
    ratios: { list_cached_vs_floor: ["portcullis:listCache", "floor:public"] },
  },
  {
    name: "growth_rules",
    title: "growth from 10 to 10,000 rules",
    contestants: [RULES, "portcullis:manyRules"],
    ratios: { growth_rules: ["portcullis:manyRules", RULES] },
  },
  {
    name: "growth_resources",
    title: "growth from 1 to 100 resources",
    contestants: [PLAIN, "portcullis:resources"],
    ratios: { growth_resources: ["portcullis:resources", PLAIN] },
  },
  {
    name: "growth_cached_tokens",
    title: "growth from 10 to 5,000 cached tokens",
    contestants: ["portcullis:plain#10", "portcullis:plain#5000"],
    ratios: { growth_cached_tokens: ["portcullis:plain#5000", "portcullis:plain#10"] },
  },
].map((one) => ({
  request: CALL,
  tokens: "repeat",
  status: 200,
  algorithms: [ALGORITHMS[0]],
  share: 1,
  ratios: {},
  ...one,
}));

/** The cases whose latency is measured, at a fixed rate: the share `load` of the floor's highest rate. */
export const LATENCY = [
  { name: "repeat", load: 0.15 },
  { name: "sse", load: 0.08 },
];

/** The case whose contestants are started cold, the one whose pauses are measured, and the contestants whose memory is. */
export const COLD_START = CASES[0];
export const PAUSES = CASES[0];
export const MEMORY = [FLOOR, JOSE, PLAIN];

/** The experiments, which are no cases and can be chosen by name too. */
export const EXPERIMENTS = ["latency", "pauses", "cold_start", "memory"];
