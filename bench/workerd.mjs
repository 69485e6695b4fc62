// One contestant in a workerd of its own, without Miniflare, so that the process does the contestant's work and no other.
// What it fetches goes to the local server of origin.mjs, whatever the name.
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import workerd from "workerd";
import { JWKS_URI, ORIGIN, PUBLIC_ORIGIN } from "./names.mjs";
import { alone, figures } from "./processes.mjs";
import { compatibility } from "./settings.mjs";

/** The processes that run, so that none outlives us. */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const MODULE_KINDS = { js: "esModule", wasm: "wasm" };

const binding = ([name, value]) =>
  typeof value === "string"
    ? `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`
    : `(name = ${JSON.stringify(name)}, json = ${JSON.stringify(JSON.stringify(value))})`;

function configText({ modules, bindings = {}, flags = [], kv = false }, ports) {
  const part = ([name]) => `(name = "${name}", ${MODULE_KINDS[name.split(".").at(-1)]} = embed "${name}")`;
  const external = (name) =>
    `(name = "${name}", external = (address = "127.0.0.1:${ports[name]}", http = ()))`;
  const bound = Object.entries(bindings).map(binding);
  if (kv) bound.push(`(name = "OAUTH_KV", kvNamespace = "kv")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    ${["world", "kv", "cache"].map(external).join(",\n    ")}
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
  globalOutbound = "world",
  cacheApiOutbound = "cache"
);
`;
}

/** Writes a contestant's modules and configuration; what `start` starts, as often as it is asked to. */
export function prepare(contestant, ports, folder) {
  const home = mkdtempSync(join(folder, `${contestant.name.replaceAll(/\W+/g, "-")}-`));
  for (const [name, content] of Object.entries(contestant.modules)) writeFileSync(join(home, name), content);
  const config = join(home, "config.capnp");
  writeFileSync(config, configText(contestant, ports));
  return { name: contestant.name, config };
}

/** Under which URLs a contestant finds the world: those of a deployment. */
export const places = () => ({ jwksUri: JWKS_URI, origin: ORIGIN, publicOrigin: PUBLIC_ORIGIN });

/** Starts it, and is there as soon as it listens. */
export async function start({ name, config }) {
  const child = spawn(workerd.default, ["serve", config, "--control-fd=3"], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  running.add(child);
  alone(child.pid);
  let complaint = "";
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
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
