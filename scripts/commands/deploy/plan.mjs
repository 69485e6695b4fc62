// What a deployment needs beside the Worker, as a plan: pure functions of wrangler's configuration and of the document.

/** The Durable Object classes, by the key of the document that names the binding. */
const CLASSES = {
  "authorization_server.binding": "AuthorizationRecords",
  "authorization_server.login.scim.binding": "Directory",
  "authorization_server.other_logins[].login.scim.binding": "Directory",
  "dpop.replay_binding": "ReplayGuard",
  "resources[].budgets[].binding": "DayBudget",
};
const classOf = (at) => CLASSES[at.replaceAll(/\[\d+\]/g, "[]")];

/**
 * Secrets that the gateway alone uses, and people who operate it: they can be generated. `kind` is `key` for a private JWK and `text` for
 * random characters; `shown` says that people need the value. All others come from someone else, and are asked for.
 */
export const GENERATED = [
  { at: /^identity_assertion\.key_secrets$/, kind: "key" },
  { at: /^authorization_server\.key_secrets$/, kind: "key" },
  { at: /^authorization_server\.secrets$/, kind: "text" },
  { at: /^authorization_server\.admin_secret$/, kind: "text", shown: true },
  { at: /^authorization_server\.login\.scim\.secrets$/, kind: "text", shown: true },
  { at: /^authorization_server\.other_logins\[\]\.login\.scim\.secrets$/, kind: "text", shown: true },
  { at: /^authorization_server\.initial_access_token_secret$/, kind: "text", shown: true },
  { at: /^sessions\.secrets$/, kind: "text" },
  { at: /^dpop\.nonce_secret$/, kind: "text" },
  { at: /^metrics\.secret$/, kind: "text", shown: true },
  { at: /^log\.pseudonym_secret$/, kind: "text" },
];

/** The keys of a document at which a name is written. */
function placesOf(document, name) {
  const found = [];
  const visit = (value, path) => {
    if (value === name) found.push(path);
    else if (Array.isArray(value))
      for (const item of value) visit(item, typeof item === "object" ? `${path}[]` : path);
    else if (value !== null && typeof value === "object")
      for (const [key, inner] of Object.entries(value)) visit(inner, path ? `${path}.${key}` : key);
  };
  visit(document, "");
  return found;
}

/** How the value of a secret comes to be. */
function secretOf(name, document) {
  const places = placesOf(document, name);
  const kinds = places.map((place) => GENERATED.find(({ at }) => at.test(place)));
  // A name at two places of which one is not ours, or of two kinds, is the user's to decide.
  const same = kinds.length > 0 && kinds.every((kind) => kind && kind.kind === kinds[0].kind);
  if (!same) return { kind: "asked" };
  return { kind: kinds[0].kind, shown: kinds.some(({ shown }) => shown) };
}

/** Whether an id is one that Cloudflare made. */
const isId = (id) => typeof id === "string" && /^[0-9a-f]{32}$/.test(id) && !/^0+$/.test(id);

/** The Durable Object classes that there are after all migrations: by name, whether each keeps its records in SQLite. */
function classesOf(migrations) {
  const classes = new Map();
  for (const one of migrations) {
    for (const name of one.new_classes ?? []) classes.set(name, false);
    for (const name of one.new_sqlite_classes ?? []) classes.set(name, true);
    for (const { from, to } of one.renamed_classes ?? []) {
      classes.set(to, classes.get(from) ?? true);
      classes.delete(from);
    }
    // How it keeps its records is known to the Worker that it comes from.
    for (const { to } of one.transferred_classes ?? []) classes.set(to, true);
    for (const name of one.deleted_classes ?? []) classes.delete(name);
  }
  return classes;
}

/** The names of all bindings and variables of an environment, by the tables that have them. */
function namesIn({ vars = {}, env: _, ...own }) {
  const found = new Map();
  const visit = (value, table) => {
    if (Array.isArray(value)) for (const item of value) visit(item, table);
    else if (value !== null && typeof value === "object") {
      for (const name of [value.binding, value.name])
        if (typeof name === "string") found.set(name, [...(found.get(name) ?? []), table]);
      for (const [key, inner] of Object.entries(value))
        if (typeof inner === "object") visit(inner, table ? `${table}.${key}` : key);
    }
  };
  visit(own, "");
  for (const name of Object.keys(vars)) found.set(name, [...(found.get(name) ?? []), "vars"]);
  return found;
}

/** The table of wrangler's configuration in which a binding is, by the method that the gateway calls. */
const TABLES = {
  get: "kv_namespaces",
  idFromName: "durable_objects.bindings",
  writeDataPoint: "analytics_engine_datasets",
  send: "queues.producers",
  fetch: "services",
};

/** The cron trigger of a gateway that polls transmitters. */
const EVERY_MINUTE = "* * * * *";

const nextTag = (migrations) => {
  const tags = migrations.map(({ tag }) => tag);
  for (let number = tags.length + 1; ; number += 1) if (!tags.includes(`v${number}`)) return `v${number}`;
};

/**
 * The steps of a deployment, in their order, and what stands in its way.
 *
 * `settings` is wrangler's configuration as a whole, `own` that of the environment; `document` is the document, or undefined where it is in
 * KV; `bindings` and `secrets` are those that it names. A step has `what`, in words, and is one of these:
 *
 * - `kv`: a namespace with this title, whose id goes into the file
 * - `queue`: a queue with this name
 * - `write`: an entry of the file; nothing is created
 * - `main`: another Worker of the package
 * - `secret`: the value of a secret, unless the Worker has it
 */
export function plan({ settings, own, env, name, document, stored, bindings, secrets }) {
  const [steps, problems] = [[], []];
  const below = env ? ["env", env] : [];
  const listed = (path) => path.reduce((value, key) => value?.[key], own) ?? [];
  const write = (what, path, entry) => steps.push({ kind: "write", what, path: [...below, ...path], entry });

  const kv = new Map(bindings.filter(({ method }) => method === "get").map((one) => [one.name, one.at]));
  if (stored) kv.set(stored, "stored.kv");
  const names = namesIn(own);
  for (const { name: binding, method, at } of [
    ...bindings,
    ...[...kv].map(([name, at]) => ({ name, method: "get", at })),
  ]) {
    const other = (names.get(binding) ?? []).find((table) => TABLES[method] && table !== TABLES[method]);
    if (other !== undefined) problems.push(`${at}: "${binding}" is already a name in ${other}`);
  }
  for (const secret of secrets)
    if (names.has(secret))
      problems.push(
        `the secret "${secret}" has a name that ${names.get(secret)[0]} has too: rename one of them`,
      );
  for (const [binding, at] of kv) {
    const known = listed(["kv_namespaces"]).find((one) => one.binding === binding);
    if (isId(known?.id)) continue;
    const title = `${name}-${binding}`;
    const what = `KV namespace "${title}" for ${at} (binding "${binding}")`;
    steps.push({
      kind: "kv",
      what,
      binding,
      title,
      path: [...below, "kv_namespaces"],
      isListed: Boolean(known),
    });
  }

  // An environment has the migrations of the top level unless it has some itself.
  const migrations = own.migrations ?? settings.migrations ?? [];
  const classes = classesOf(migrations);
  const seen = new Set();
  const missing = [];
  for (const { name: binding, method, at } of bindings) {
    // Several keys may name one binding.
    if (seen.has(binding)) continue;
    seen.add(binding);
    if (method === "idFromName") {
      const known = listed(["durable_objects", "bindings"]).find((one) => one.name === binding);
      const wanted = known?.class_name ?? classOf(at);
      if (known && known.class_name !== classOf(at))
        problems.push(
          `${at}: the Durable Object binding "${binding}" must have class_name = "${classOf(at)}"`,
        );
      if (!known)
        write(`Durable Object binding "${binding}" for ${at}`, ["durable_objects", "bindings"], {
          name: binding,
          class_name: wanted,
        });
      if (known?.script_name) continue;
      if (!classes.has(wanted)) missing.push(wanted);
      else if (!classes.get(wanted))
        problems.push(
          `${at}: the class "${wanted}" was made by new_classes, without SQLite: its records need new_sqlite_classes`,
        );
    } else if (method === "writeDataPoint") {
      if (!listed(["analytics_engine_datasets"]).some((one) => one.binding === binding))
        write(`data set "${binding}" of Analytics Engine for ${at}`, ["analytics_engine_datasets"], {
          binding,
          dataset: binding,
        });
    } else if (method === "send") {
      const known = listed(["queues", "producers"]).find((one) => one.binding === binding);
      const queue = known?.queue ?? `${name}-${binding.toLowerCase().replaceAll("_", "-")}`;
      steps.push({ kind: "queue", what: `queue "${queue}" for ${at}`, name: queue });
      if (!known) write(`queue binding "${binding}" for ${at}`, ["queues", "producers"], { binding, queue });
    } else if (method === "limit") {
      const known = [...listed(["ratelimits"]), ...listed(["unsafe", "bindings"])].some(
        (one) => one.name === binding,
      );
      if (!known)
        problems.push(
          `${at}: ${env ? `[[env.${env}.ratelimits]]` : "[[ratelimits]]"} has no "${binding}": its limit and period are those of the configuration (docs/configuration.md)`,
        );
    } else if (method === "fetch") {
      if (!listed(["services"]).some((one) => one.binding === binding))
        problems.push(
          `${at}: there is no service binding "${binding}": ${env ? `[[env.${env}.services]]` : "[[services]]"} names the Worker that it leads to`,
        );
    }
  }
  if (missing.length > 0)
    steps.push({
      kind: "write",
      what: `migration that makes ${missing.map((one) => `"${one}"`).join(" and ")}`,
      path: [...(own.migrations ? below : []), "migrations"],
      entry: { tag: nextTag(migrations), new_sqlite_classes: [...new Set(missing)] },
    });

  // An environment has the triggers of the top level unless it has some itself.
  const { crons = [] } = own.triggers ?? settings.triggers ?? {};
  for (const [at, { signals }] of (document?.authorization_server?.trusted_issuers ?? []).entries())
    if (signals?.poll && !crons.includes(EVERY_MINUTE))
      problems.push(
        `authorization_server.trusted_issuers[${at}].signals.poll: ${env ? `[env.${env}.triggers]` : "[triggers]"} has no crons = ["${EVERY_MINUTE}"], by which the gateway polls`,
      );

  const main = `${own.main ?? settings.main}`;
  // In a clone the build decides what the Worker has.
  const isBuilt = own.build ?? settings.build;
  const checksSchemas = document?.resources?.some(({ bounds }) => bounds?.some?.(({ schema }) => schema));
  const parts = [
    document?.authorization_server && "the authorization server",
    checksSchemas && "schema checks",
  ].filter(Boolean);
  if (parts.length > 0 && !isBuilt && /(^|[\\/])build[\\/]index\.js$/.test(main))
    steps.push({
      kind: "main",
      what: `the Worker with ${parts.join(" and ")} (build-full)`,
      path: own.main === undefined ? ["main"] : [...below, "main"],
      from: main,
      to: main.replace(/build([\\/]index\.js)$/, "build-full$1"),
    });

  for (const secret of secrets) {
    const { kind, shown } = secretOf(secret, document);
    const how = { key: "a new signing key", text: "a new random value", asked: "asked for" }[kind];
    steps.push({
      kind: "secret",
      what: `secret ${secret}: ${how}, unless the Worker has it`,
      name: secret,
      how: kind,
      shown,
    });
  }
  return { steps, problems };
}
