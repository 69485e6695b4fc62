// The built Worker in workerd alone, without Miniflare, as a deployment outside development: every fetch of it arrives at one
// local server, whatever its host, and a request with `X-Forwarded-Proto: https` came over TLS.
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import workerd from "workerd";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { compatibility_date: date, compatibility_flags: flags = [] } = parse(
  readFileSync(`${root}/wrangler.toml`, "utf8"),
);

const quoted = (list) => list.map((text) => JSON.stringify(text)).join(", ");

function configText(document, vars, world) {
  const bindings = [
    `(name = "PORTCULLIS", json = ${JSON.stringify(JSON.stringify(document))})`,
    ...Object.entries(vars).map(
      ([name, text]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(text)})`,
    ),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "world", external = (address = "${world}", http = ()))
  ],
  sockets = [(
    name = "http", address = "127.0.0.1:0", service = "main",
    http = (forwardedProtoHeader = "X-Forwarded-Proto")
  )]
);
const worker :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm")
  ],
  compatibilityDate = "${date}",
  compatibilityFlags = [${quoted(flags)}],
  bindings = [${bindings.join(", ")}],
  globalOutbound = "world"
);
`;
}

/**
 * Starts the gateway with this PORTCULLIS document and these variables; `world` is the authority of the server at which its fetches
 * arrive. Returns its port and the lines of its log so far, as `startGateway` does.
 */
export async function startInWorkerd(document, vars, world) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-workerd-"));
  for (const name of ["index.js", "index_bg.wasm"])
    copyFileSync(join(root, "build-full", name), join(folder, name));
  const config = join(folder, "config.capnp");
  writeFileSync(config, configText(document, vars, world));
  const child = spawn(workerd.default, ["serve", config, "--control-fd=3"], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  let complaint = "";
  child.stderr.on("data", (data) => (complaint = `${complaint}${data}`.slice(-3_000)));
  const logs = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop();
    logs.push(...lines);
  });
  const listening = new Promise((resolve) => {
    child.stdio[3].on("data", (data) => resolve(JSON.parse(String(data).split("\n")[0]).port));
  });
  const died = ended.then(() => {
    throw new Error(`workerd ended:\n${complaint}`);
  });
  const port = await Promise.race([listening, died]);
  died.catch(() => {});
  return {
    port,
    directPort: port,
    logs,
    events: () =>
      logs.flatMap((line) => {
        try {
          return [JSON.parse(line)];
        } catch {
          return [];
        }
      }),
    async close() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
