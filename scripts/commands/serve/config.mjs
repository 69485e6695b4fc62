// What `portcullis serve` gives to workerd: its configuration as Cap'n Proto text.

/** What a Worker can be bound to here, by the method that the gateway calls. */
const BINDINGS = {
  idFromName: (name, objects) => `durableObjectNamespace = ${quoted(objects[name])}`,
  get: (name) => `kvNamespace = ${quoted(`kv ${name}`)}`,
};

/** A text in the syntax of Cap'n Proto, whose escapes are those of C. */
function quoted(text) {
  const escaped = `${text}`.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  return `"${escaped.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`;
}

const list = (items) => `[${items.join(", ")}]`;

/** What the document asks for and cannot be here, each with the reason. */
export function impossible({ document, bindings, classes, kv }) {
  const polled = (document.authorization_server?.trusted_issuers ?? []).flatMap(({ signals }, at) =>
    signals?.poll
      ? [
          `authorization_server.trusted_issuers[${at}].signals.poll: cron triggers exist only on Cloudflare: have the transmitter send its signals`,
        ]
      : [],
  );
  const unbound = bindings.flatMap(({ name, method, at }) => {
    if (method === "idFromName" && classes[name] === undefined)
      return [`${at}: no durable_objects binding of wrangler's configuration has the name "${name}"`];
    if (method === "get" && !kv[name]) return [`${at}: --kv ${name}=FOLDER is required`];
    if (BINDINGS[method]) return [];
    const what = {
      fetch:
        'a service binding exists only on Cloudflare: set "origin" (or "url") to the https URL of that server instead',
      limit: "a rate limiting binding exists only on Cloudflare: without it, each process counts for itself",
      writeDataPoint: "Analytics Engine exists only on Cloudflare: the same lines are in the log",
      send: "a queue exists only on Cloudflare: the same records are in the log",
    };
    return [`${at}: ${what[method] ?? "this binding exists only on Cloudflare"}`];
  });
  return [...polled, ...unbound];
}

/** The keys of the document with URLs of identity providers, of which further URLs are found in their metadata. */
const PROVIDERS =
  /^(issuer|metadata_url|jwks_uri|endpoint|(authorization|token|userinfo|revocation)_endpoint)$/;

/**
 * The URLs to which the Worker may connect in a private network: those of origin servers (`exact`), and every URL of the identity
 * providers of the configuration (`origins`).
 */
export function trusted(document) {
  const [exact, origins] = [new Set(), new Set()];
  const visit = (value, key) => {
    if (typeof value === "string") {
      const url = URL.parse(value);
      if (!url || !/^https?:$/.test(url.protocol)) return;
      if (key === "origin") exact.add(`${url.origin}${url.pathname}`);
      else if (PROVIDERS.test(key)) origins.add(url.origin);
    } else if (value !== null && typeof value === "object")
      for (const [name, inner] of Object.entries(value)) visit(inner, Array.isArray(value) ? key : name);
  };
  visit(document, "");
  return { exact: [...exact], origins: [...origins] };
}

/** How the socket is reached: with a certificate by HTTPS, behind a proxy by HTTP, on this machine by HTTP. */
function socket({ certificate, proxy }) {
  // Without a proxy the field could only come from the caller, who would choose the address that is counted.
  const fields = `injectRequestHeaders = [(name = "CF-Connecting-IP"), (name = "X-Forwarded-Proto")]`;
  if (certificate)
    return `https = (
      options = (${fields}),
      tlsOptions = (keypair = (privateKey = embed "key.pem", certificateChain = embed "certificate.pem"))
    )`;
  return `http = (${proxy ? 'forwardedProtoHeader = "X-Forwarded-Proto"' : fields})`;
}

/**
 * The configuration. `modules` are the files of the Worker, the entry first; `objects` the Durable Objects, by binding; `kv` the
 * folders of KV, by binding; `state` the folder of Durable Objects.
 */
export function workerdConfig(it) {
  const { modules, date, flags, secrets, bindings, objects, kv, state, ca, document } = it;
  const bound = new Map(bindings.map(({ name, method }) => [name, BINDINGS[method](name, objects)]));
  // The authorization server fetches documents that strangers name: those must not be in the private network.
  const guarded = document.authorization_server !== undefined;
  const tls = `tlsOptions = (trustBrowserCas = true${ca ? ', trustedCertificates = [embed "ca.pem"]' : ""})`;
  const network = (name, allow) =>
    `(name = ${quoted(name)}, network = (allow = ${list(allow.map(quoted))}, ${tls}))`;
  const disk = (name, path, writable) =>
    `(name = ${quoted(name)}, disk = (path = ${quoted(path)}, writable = ${writable}))`;
  const classes = [...new Set(Object.values(objects))];
  const services = [
    '(name = "gateway", worker = .gateway)',
    network("everywhere", ["public", "private"]),
    ...(guarded ? [network("public", ["public"]), '(name = "outbound", worker = .outbound)'] : []),
    ...(state ? [disk("state", state, true)] : []),
    ...Object.entries(kv).map(([name, path]) => disk(`kv ${name}`, path, false)),
  ];
  const kinds = modules.map((name, at) => {
    const kind = name.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = ${quoted(at === 0 ? "index.js" : `./${name}`)}, ${kind} = embed ${quoted(name)})`;
  });
  const own = [
    '(name = "PORTCULLIS", json = embed "document.json")',
    ...secrets.map((name) => `(name = ${quoted(name)}, fromEnvironment = ${quoted(name)})`),
    ...[...bound].map(([name, value]) => `(name = ${quoted(name)}, ${value})`),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.join(",\n    ")}
  ],
  sockets = [(
    name = "gateway", address = "127.0.0.1:0", service = "gateway",
    ${socket(it)}
  )]
);
const gateway :Workerd.Worker = (
  modules = [
    ${kinds.join(",\n    ")}
  ],
  compatibilityDate = ${quoted(date)},
  compatibilityFlags = ${list(flags.map(quoted))},
  bindings = [
    ${own.join(",\n    ")}
  ],
  globalOutbound = ${quoted(guarded ? "outbound" : "everywhere")},
  durableObjectNamespaces = ${list(classes.map((name) => `(className = ${quoted(name)}, uniqueKey = ${quoted(name)}, enableSql = true)`))},
  durableObjectStorage = ${state ? '(localDisk = "state")' : "(none = void)"}
);
const outbound :Workerd.Worker = (
  modules = [(name = "outbound.js", esModule = embed "outbound.js")],
  compatibilityDate = ${quoted(date)},
  compatibilityFlags = ${list(flags.map(quoted))},
  bindings = [
    (name = "TRUSTED", json = embed "trusted.json")${guarded ? ',\n    (name = "everywhere", service = "everywhere"),\n    (name = "public", service = "public")' : ""}
  ]
);
`;
}
