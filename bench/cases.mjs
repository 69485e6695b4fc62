// What is measured: the contestants of each case, their requests and tokens. ratios.mjs says what is compared with what.
//
// `tokens` is `repeat` (one token for all requests, or as many in turn as the contestant's name says after `#`), `fresh` (each
// token once), `forged` (each token once, signed with a key of another issuer) or `none`. `share` is the part of the usual number
// of requests that is sent, for cases whose requests cost more. `sittings` is how often the contestants are started anew.
import { ALGORITHMS } from "./names.mjs";
import { CALL, LIST, STREAM } from "./requests.mjs";

export const FLOOR = "floor";
export const FLOOR_PUBLIC = "floor:public";
/** What Portcullis does for a known caller without any check. */
export const BOUND = "bound";
export const JOSE = "jose";
// Each of these does with `jose` what the configuration of Portcullis does that it is compared with.
export const JOSE_FULL = "jose-full";
export const JOSE_401 = "jose-401";
export const JSON_FILTER = "json-filter";
export const PROVIDER = "workers-oauth-provider";
export const PLAIN = "portcullis:plain";
export const RULES = "portcullis:rules";
export const STATIC = "portcullis:static";
export const EXCHANGE = "portcullis:exchange";
/** The gateway as the authorization server, without and with each user's own account at the origin server. */
export const OWN = "portcullis:own";
/** The same, asking the record of the grant at each request. */
export const OWN_EXACT = "portcullis:ownExact";
export const PER_USER = "portcullis:perUser";
export const MANY_RULES = "portcullis:manyRules";
export const RESOURCES = "portcullis:resources";
export const LIST_FILTER = "portcullis:listFilter";
/** The same with the definitions of all tools. */
export const LIST_LOCKED = "portcullis:listLocked";
/** Calls with a lock, and with schema checks and masks besides. */
export const CALL_LOCKED = "portcullis:callLocked";
export const CALL_GUARDED = "portcullis:callGuarded";
export const LIST_CACHE = "portcullis:listCache";
/** The same, sealing what belongs to a caller, with one server and with several. */
export const SEALED = "portcullis:sealed";
export const FEDERATED = "portcullis:federated";
export const MANY_SERVERS = "portcullis:manyServers";
export const LIST_ONE = "portcullis:listOne";
export const LIST_MERGED = "portcullis:listMerged";
export const FEW_TOKENS = `${PLAIN}#10`;
export const MANY_TOKENS = `${PLAIN}#5000`;

export const CASES = [
  {
    name: "repeat",
    title: "tools/call, a token that was seen before",
    algorithms: ALGORITHMS,
    contestants: [FLOOR, BOUND, JOSE, PROVIDER, PLAIN],
  },
  {
    name: "first_seen",
    title: "tools/call, each token once",
    algorithms: ALGORITHMS,
    tokens: "fresh",
    contestants: [FLOOR, JOSE, PLAIN],
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
  },
  {
    name: "unauthorized",
    title: "401, no token",
    tokens: "none",
    status: 401,
    contestants: [JOSE, JOSE_401, PROVIDER, PLAIN],
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
  },
  {
    name: "list",
    title: "tools/list of 200 tools",
    request: LIST,
    share: 0.5,
    contestants: [FLOOR, JOSE, JSON_FILTER, PLAIN, LIST_FILTER],
  },
  {
    name: "lock",
    title: "tools/list of 200 tools, held to a lock",
    request: LIST,
    share: 0.5,
    sittings: 8,
    contestants: [LIST_FILTER, LIST_LOCKED],
  },
  {
    name: "guards",
    title: "tools/call, with schema checks and masks",
    sittings: 8,
    contestants: [CALL_LOCKED, CALL_GUARDED],
  },
  {
    name: "list_cached",
    title: "tools/list of 200 tools that a cache may serve",
    request: LIST,
    share: 0.5,
    contestants: [FLOOR_PUBLIC, LIST_CACHE],
  },
  {
    name: "credential",
    title: "tools/call, with a credential for the origin server",
    contestants: [FLOOR, PLAIN, STATIC, EXCHANGE, OWN, PER_USER],
  },
  {
    name: "revocation",
    title: "tools/call, with a token that the gateway itself can revoke",
    contestants: [PLAIN, OWN, OWN_EXACT],
  },
  {
    name: "sse_revocation",
    title: "tools/call with such a token, answered with a stream of 100 events",
    request: STREAM,
    share: 0.25,
    contestants: [PLAIN, OWN],
  },
  {
    name: "federated",
    title: "tools/call, to one of several servers",
    // What is compared differs by little.
    sittings: 8,
    contestants: [PLAIN, SEALED, FEDERATED, MANY_SERVERS],
  },
  {
    name: "federated_list",
    title: "tools/list of 400 tools that a cache may serve, of one server and of ten",
    request: LIST,
    share: 0.5,
    contestants: [LIST_ONE, LIST_MERGED],
  },
  {
    name: "growth_rules",
    title: "growth from 10 to 10,000 rules",
    contestants: [RULES, MANY_RULES],
  },
  {
    name: "growth_resources",
    title: "growth from 1 to 100 resources",
    contestants: [PLAIN, RESOURCES],
  },
  {
    name: "growth_cached_tokens",
    title: "growth from 10 to 5,000 cached tokens",
    contestants: [FEW_TOKENS, MANY_TOKENS],
  },
].map((one) => ({
  request: CALL,
  tokens: "repeat",
  status: 200,
  algorithms: [ALGORITHMS[0]],
  share: 1,
  sittings: 1,
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
