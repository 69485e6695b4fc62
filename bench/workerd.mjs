// Runs a contestant in a workerd of its own, without Miniflare, so that the process does only the contestant's work. All its
// fetches go to the local server of origin.mjs, whatever their host.
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import workerd from "workerd";
import { LINE_BY_LINE, readCollection } from "./collections.mjs";
import { JWKS_URI, LONG_ORIGIN, ORIGIN, PUBLIC_ORIGIN, SHORT_ORIGIN } from "./names.mjs";
import { alone, figures } from "./processes.mjs";
import { compatibility } from "./settings.mjs";

/** The running processes, so that none outlives this one. */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const MODULE_KINDS = { js: "esModule", wasm: "wasm" };

const binding = ([name, value]) =>
  typeof value === "string"
    ? `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`
    : `(name = ${JSON.stringify(name)}, json = ${JSON.stringify(JSON.stringify(value))})`;

/** The path at which an inspected Worker reports the size of its WebAssembly memory in bytes. */
export const WASM_MEMORY = "/wasm-memory-of-the-bench";

/** A Worker that wraps another, records its WebAssembly memories and reports their size. */
const LOOKING = `
const { Instance } = WebAssembly;
const memories = [];
WebAssembly.Instance = class extends Instance {
  constructor(...parts) {
    super(...parts);
    memories.push(...Object.values(this.exports).filter((one) => one instanceof WebAssembly.Memory));
  }
};
const { default: inner } = await import("./index.js");
export default {
  fetch(request, env, context) {
    if (!request.url.endsWith("${WASM_MEMORY}")) return inner.fetch(request, env, context);
    return new Response(memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
  },
};
`;

function configText(
  { modules, bindings = {}, records = {}, flags = [], kv = false, v8Flags = [] },
  ports,
  home,
) {
  const part = ([name]) => `(name = "${name}", ${MODULE_KINDS[name.split(".").at(-1)]} = embed "${name}")`;
  const external = (name) =>
    `(name = "${name}", external = (address = "127.0.0.1:${ports[name]}", http = ()))`;
  const bound = Object.entries(bindings).map(binding);
  if (kv) bound.push(`(name = "OAUTH_KV", kvNamespace = "kv")`);
  for (const [name, of] of Object.entries(records))
    bound.push(`(name = "${name}", durableObjectNamespace = "${of}")`);
  const classes = Object.values(records).map(
    (of) => `(className = "${of}", uniqueKey = "${of}", enableSql = true)`,
  );
  const services = [
    `(name = "main", worker = .worker)`,
    ...["world", "kv", "cache"].map(external),
    ...(classes.length > 0 ? [`(name = "disk", disk = (path = "${home}", writable = true))`] : []),
  ];
  const stateful =
    classes.length > 0
      ? `durableObjectNamespaces = [${classes.join(", ")}],\n  durableObjectStorage = (localDisk = "disk"),\n  `
      : "";
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = [${v8Flags.map((flag) => `"${flag}"`).join(", ")}],
  services = [
    ${services.join(",\n    ")}
  ],
  sockets = [(
    name = "http", address = "127.0.0.1:0", service = "main",
    http = (forwardedProtoHeader = "X-Forwarded-Proto")
  )]
);
const worker :Workerd.Worker = (
  modules = [${Object.entries(modules).map(part).join(", ")}],
  compatibilityDate = "${compatibility.date}",
  compatibilityFlags = [${flags.map((flag) => `"${flag}"`).join(", ")}],
  bindings = [${bound.join(", ")}],
  ${stateful}globalOutbound = "world",
  cacheApiOutbound = "cache"
);
`;
}

/** A contestant for which V8 prints a line for each garbage collection. */
const traced = (contestant) => ({ ...contestant, v8Flags: ["--trace-gc"] });

/** A contestant whose memory can be inspected. */
const lookedInto = ({ modules, ...contestant }) =>
  traced({ ...contestant, modules: { "looking.js": LOOKING, ...modules } });

const VIEWS = { plain: (contestant) => contestant, traced, lookedInto };

/** Writes a contestant's modules and configuration, for one of the `VIEWS`. Returns what `start` needs, any number of times. */
export function prepare(given, ports, folder, view = "plain") {
  const contestant = VIEWS[view](given);
  const home = mkdtempSync(join(folder, `${contestant.name.replaceAll(/\W+/g, "-")}-`));
  for (const [name, content] of Object.entries(contestant.modules)) writeFileSync(join(home, name), content);
  const config = join(home, "config.capnp");
  writeFileSync(config, configText(contestant, ports, home));
  return { name: contestant.name, config, isTraced: view !== "plain" };
}

/** The URLs of the key set and of the origin server, as in a deployment. */
export const places = () => ({
  jwksUri: JWKS_URI,
  origin: ORIGIN,
  publicOrigin: PUBLIC_ORIGIN,
  longOrigin: LONG_ORIGIN,
  shortOrigin: SHORT_ORIGIN,
});

/** Milliseconds until a line that workerd has written has certainly been read. */
const UNTIL_READ = 200;

/** Collects the garbage collections that a traced process prints; the function that it returns resolves to those so far. */
function watch(stdout, name) {
  const collections = [];
  createInterface({ input: stdout }).on("line", (line) => {
    const one = readCollection(line);
    if (one !== undefined) collections.push(one);
  });
  return async () => {
    await delay(UNTIL_READ);
    // Every contestant makes garbage, so that none has been collected means that the trace has another form.
    if (collections.length === 0) throw new Error(`workerd with ${name} printed no garbage collection`);
    return [...collections];
  };
}

/** Starts a contestant; resolves as soon as it listens. */
export async function start({ name, config, isTraced }) {
  // stdbuf becomes workerd, so that the process id is the same.
  const command = [...(isTraced ? LINE_BY_LINE : []), workerd.default, "serve", config, "--control-fd=3"];
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  running.add(child);
  alone(child.pid);
  let complaint = "";
  const collections = isTraced ? watch(child.stdout, name) : undefined;
  if (!isTraced) child.stdout.resume();
  child.stderr.on("data", (data) => (complaint = `${complaint}${data}`.slice(-3_000)));
  const ended = new Promise((resolve) => child.once("close", resolve)).finally(() => running.delete(child));
  const listening = new Promise((resolve) => {
    child.stdio[3].on("data", (data) => resolve(JSON.parse(String(data).split("\n")[0]).port));
  });
  const died = () => {
    throw new Error(`workerd with ${name} ended:\n${complaint}`);
  };
  const port = await Promise.race([listening, ended.then(died)]);
  return {
    name,
    port,
    ...figures(child.pid),
    /** The garbage collections so far, of a traced contestant. */
    collections,
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
