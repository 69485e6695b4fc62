// The gateway as it is deployed: the built Worker in workerd.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, Response } from "miniflare";
import { parse as parseToml } from "smol-toml";
import { freePort } from "./processes.mjs";
import { assertNoneIn, rememberSecret } from "./secrets.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { compatibility_date: compatibilityDate, compatibility_flags: compatibilityFlags = [] } = parseToml(
  readFileSync(`${root}/wrangler.toml`, "utf8"),
);

const queueOf = (binding) => binding.toLowerCase();

// Takes what comes out of a queue.
const COLLECTOR = `
export default {
  async queue(batch, env) {
    for (const { body } of batch.messages)
      await env.SINK.fetch("http://sink/", { method: "POST", body: JSON.stringify(body) });
  },
};
`;

/** The smallest configuration of one resource; `changes` replaces or adds keys. */
export function configFor({ url, issuer, origin, resource = {}, ...changes }) {
  // A resource has one origin server or several servers.
  const behind = resource.servers ? {} : { origin };
  return {
    public_url: url,
    development: true,
    issuers: [{ name: "idp", issuer }],
    resources: [{ path: "/mcp", ...behind, issuers: ["idp"], scopes: ["mcp:tools"], ...resource }],
    ...changes,
  };
}

/**
 * Starts the gateway. `config` is the PORTCULLIS document, or a function of the gateway's URL that makes it;
 * `logs` are the lines that it has written so far, and `events()` those of them that are JSON. What comes in at
 * `directPort` reaches the Worker as it was sent; before `port` there is a Worker of Miniflare's that resolves dot
 * segments and backslashes in URLs, adds fields, and believes X-Forwarded-Proto.
 *
 * `workers` has the scripts of other Workers by the name of their service binding, and `services` functions that answer in place of
 * one. `vars` has more variables. `kv` has KV namespaces by binding, each an object of first values, which `kv(binding)` of the
 * gateway gives to change; `outbound` answers what the gateway asks elsewhere; `persist` is a folder where Durable Objects stay;
 * `queues` has what takes the messages of a queue, a function for each, by binding; `objects` has Durable Objects by binding, whose namespace is `object(binding)`. `cf` is what the platform says of each request, as
 * far as it comes in at `port`: `directPort` has none of it. With `https`, a certificate for `localhost` and its key, `port` accepts
 * HTTPS and nothing else, and `directPort` plain HTTP. `isolates` has the gateway run in so many isolates, which share Durable Objects
 * and KV and nothing else; the direct ports of all are `directPorts`. `build` is the folder of another Worker than that of the repository.
 */
export async function startGateway({
  config,
  secrets = {},
  vars = {},
  port,
  host = "127.0.0.1",
  services = {},
  workers = {},
  kv = {},
  queues = {},
  objects = {},
  cf = false,
  persist,
  outbound,
  https,
  isolates = 1,
  build = `${root}/build-full`,
}) {
  if (!existsSync(`${build}/index_bg.wasm`))
    throw new Error("build-full/ is missing: npm run build -- --full makes it");
  const chosen = port ?? (await freePort());
  const url = https ? `https://localhost:${chosen}` : `http://${host}:${chosen}`;
  const document = typeof config === "function" ? config(url) : config;
  const logs = [];
  for (const secret of Object.values(secrets)) rememberSecret(secret);
  const gateway = {
    modules: [
      { type: "ESModule", path: `${build}/index.js` },
      { type: "CompiledWasm", path: `${build}/index_bg.wasm` },
    ],
    modulesRoot: build,
    compatibilityDate,
    compatibilityFlags,
    bindings: { ...(document === undefined ? {} : { PORTCULLIS: document }), ...vars, ...secrets },
    serviceBindings: { ...services, ...Object.fromEntries(Object.keys(workers).map((name) => [name, name])) },
    kvNamespaces: Object.keys(kv),
    durableObjects: objects,
    queueProducers: Object.fromEntries(
      Object.keys(queues).map((name) => [name, { queueName: queueOf(name) }]),
    ),
    ...(outbound === undefined ? {} : { outboundService: outbound }),
    unsafeDirectSockets: [{ host, port: 0 }],
  };
  const copies = Array.from({ length: isolates - 1 }, (_, at) => ({
    ...gateway,
    name: `gateway-${at + 1}`,
    durableObjects: Object.fromEntries(
      Object.entries(objects).map(([name, object]) => [name, { ...object, scriptName: "gateway" }]),
    ),
  }));
  const others = Object.entries(workers).map(([name, script]) => ({
    ...{ name, script, modules: true, compatibilityDate },
  }));
  for (const [name, take] of Object.entries(queues)) {
    const sink = async (request) => {
      take(await request.json());
      return new Response("taken");
    };
    const queueConsumers = { [queueOf(name)]: { maxBatchSize: 1, maxBatchTimeout: 0 } };
    const collector = {
      name: `collector-${queueOf(name)}`,
      script: COLLECTOR,
      modules: true,
      compatibilityDate,
    };
    others.push({ ...collector, queueConsumers, serviceBindings: { SINK: sink } });
  }
  const worker = new Miniflare({
    ...convertV4MiniflareOptions({
      log: new Log(LogLevel.NONE),
      host,
      port: chosen,
      ...(https === undefined ? {} : { httpsKey: https.key, httpsCert: https.certificate }),
      handleStructuredLogs: ({ message }) => logs.push(message),
      cf,
      ...(others.length + copies.length === 0
        ? { name: "gateway", ...gateway }
        : { workers: [{ name: "gateway", ...gateway }, ...copies, ...others] }),
    }),
    ...(persist === undefined ? {} : { resourcePersistencePath: persist }),
  });
  await worker.ready;
  for (const [binding, values] of Object.entries(kv)) {
    const namespace = await worker.getKVNamespace(binding);
    for (const [key, value] of Object.entries(values)) await namespace.put(key, value);
  }
  return {
    url,
    port: chosen,
    directPort: Number((await worker.unsafeGetDirectURL()).port),
    directPorts: await Promise.all(
      [undefined, ...copies.map(({ name }) => name)].map(async (name) =>
        Number((await worker.unsafeGetDirectURL(name)).port),
      ),
    ),
    logs,
    events() {
      return logs.flatMap((line) => {
        try {
          return [JSON.parse(line)];
        } catch {
          return [];
        }
      });
    },
    /** Runs the Worker's cron trigger once, in the first isolate; resolves when it has ended. */
    schedule: async () => (await worker.getWorker("gateway")).scheduled({ cron: "* * * * *" }),
    kv: (binding) => worker.getKVNamespace(binding),
    object: (binding) => worker.getDurableObjectNamespace(binding),
    /** Ends it; and no line of its log, of any kind, may hold a secret of the test. */
    async close() {
      await worker.dispose();
      assertNoneIn(logs);
    },
  };
}
