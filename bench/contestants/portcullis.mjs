// Portcullis as it is built, in the configurations that are measured: the documents of docs/configuration.md.
import { GATE, ISSUER, REDIRECT, SCOPE, THIRD, TOKENS } from "../names.mjs";
import { ANSWERS } from "../requests.mjs";

const ASSERTION_KEY = "ASSERTION_KEY";
const CLIENT_SECRET = "CLIENT_SECRET";
/** The binding of the Durable Objects. */
export const RECORDS = "AUTHORIZATION";
/** Configurations in which the gateway is the authorization server. Their Worker is the larger one, with Durable Objects. */
export const ISSUES_TOKENS = ["own", "ownExact", "perUser"];
/** Configurations that need the Worker with all features. */
export const NEED_ALL = [...ISSUES_TOKENS, "callLocked", "callGuarded"];

/**
 * Who passes has no line in the log, because most others write none at all. What is refused has one. `logged` has what a document
 * without a word has.
 */
const QUIET = { log: { requests: "refused" } };

/** The smallest document. The key set's URL is given, as it is to the others: one fetch, no discovery. */
const document = ({ jwksUri, origin, development }, { resource = {}, resources = [], ...more } = {}) => ({
  public_url: GATE,
  ...(development && { development }),
  issuers: [{ name: "idp", issuer: ISSUER, jwks_uri: jwksUri }],
  resources: [{ path: "/mcp", origin, issuers: ["idp"], scopes: [SCOPE], ...resource }, ...resources],
  ...QUIET,
  ...more,
});

const assertion = { identity_assertion: { key_secrets: [ASSERTION_KEY] } };

/**
 * Rules that let every caller use the tools whose names begin with `read_` (the calls that are measured are among them)
 * and hide the others, and a record of decisions, with a line for each call. Of many, all but these name tools that are never
 * called.
 */
const rules = (count) => ({
  decision_log: {},
  resource: {
    cache_lists: false,
    rules: [
      ...Array.from({ length: count - 1 }, (_, at) => ({ effect: "deny", tools: [`other_${at}`] })),
      { id: "read", effect: "allow", tools: ["read_*"] },
    ],
  },
});

/** The definitions of the tools of the origin server, as a lock has them; the gateway does not read the digests. */
const locked = () => {
  const { tools } = JSON.parse(ANSWERS.list).result;
  const entries = tools.map((definition) => [definition.name, { digest: "sha256-", definition }]);
  return { tools: Object.fromEntries(entries) };
};

/** A lock, and with it the check of arguments and masks for all that guards find, in both directions. */
const trusted = (more) => ({ resource: { lock: {}, locked: locked(), ...more } });
const guarded = {
  bounds: [{ schema: "enforce" }],
  guards: [{ find: ["credentials", "cards", "iban", "email"], action: "mask" }],
};

/** The same, with lists kept as long as their origin server says. */
const keeping = { resource: { ...rules(10).resource, cache_lists: true } };

const resources = (count, { origin }) =>
  Array.from({ length: count }, (_, at) => ({
    path: `/other-${at}/mcp`,
    origin: `${origin}/other-${at}`,
    issuers: ["idp"],
    scopes: [SCOPE],
  }));

/** A credential for the origin server, which learns who calls as it does without one. */
const credential = (table) => ({ resource: { identity: "forward", credential: table } });
const client = { token_endpoint: TOKENS, client_id: "gate", secret: CLIENT_SECRET };

/** The gateway as the authorization server of its callers, whose accounts at the origin server it uses. */
const own = (places, resource = {}, more = {}) =>
  document(places, {
    issuers: [],
    authorization_server: {
      key_secrets: [ASSERTION_KEY],
      secrets: [CLIENT_SECRET],
      binding: RECORDS,
      scopes: { [SCOPE]: "Use the tools" },
      clients: [{ client_id: "bench", redirect_uris: [REDIRECT] }],
      ...more,
      login: { issuer: ISSUER, client_id: "gate", secret: CLIENT_SECRET, anyone: true },
    },
    resource: { issuers: ["portcullis"], ...resource },
  });
const perUser = { per_user: { issuer: THIRD, client_id: "gate", scopes: ["tools"] } };

/** Sealed sessions and state, as a resource of several servers needs them. */
const sealed = { sessions: { secrets: [CLIENT_SECRET] } };

/** Several servers of the modern era; the first has the tool that is called under its own name. */
const federation = (count, { shortOrigin }) => ({
  origin: undefined,
  servers: Array.from({ length: count }, (_, at) => ({
    name: `server-${at}`,
    origin: `${shortOrigin}-${at}`,
    era: "modern",
    ...(at === 0 && { aliases: { read_0: "read_0" } }),
  })),
});

/** The documents by name, for the URLs of `places`. */
const DOCUMENTS = {
  plain: (places) => document(places),
  logged: (places) => document(places, { log: {} }),
  assertion: (places) => document(places, assertion),
  static: (places) => document(places, credential({ static: [{ secrets: [CLIENT_SECRET] }] })),
  exchange: (places) => document(places, credential({ token_exchange: { client } })),
  own: (places) => own(places),
  ownExact: (places) => own(places, {}, { revocation_seconds: 0 }),
  perUser: (places) => own(places, credential(perUser).resource),
  rules: (places) => document(places, { ...rules(10), ...assertion }),
  manyRules: (places) => document(places, { ...rules(10_000), ...assertion }),
  listFilter: (places) => document(places, { resource: rules(10).resource }),
  listLocked: (places) =>
    document(places, { resource: { ...rules(10).resource, lock: {}, locked: locked() } }),
  callLocked: (places) => document(places, trusted()),
  callGuarded: (places) => document(places, trusted(guarded)),
  listCache: (places) => document({ ...places, origin: places.publicOrigin }, keeping),
  sealed: (places) => document(places, sealed),
  federated: (places) => document(places, { ...sealed, resource: federation(2, places) }),
  manyServers: (places) => document(places, { ...sealed, resource: federation(40, places) }),
  listOne: (places) =>
    document({ ...places, origin: places.longOrigin }, { ...sealed, resource: { cache_lists: true } }),
  listMerged: (places) =>
    document(places, { ...sealed, resource: { ...federation(10, places), cache_lists: true } }),
  resources: (places) => document(places, { resources: resources(99, places) }),
};

/** The bindings for one of them; `assertionKey` is a private JWK. */
export function portcullisBindings(kind, places, assertionKey) {
  return {
    PORTCULLIS: DOCUMENTS[kind](places),
    [ASSERTION_KEY]: JSON.stringify(assertionKey),
    [CLIENT_SECRET]: "what-the-bench-authenticates-with",
  };
}
