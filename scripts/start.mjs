// `npm start`: runs an identity provider, an MCP server, and the gateway between them. This file needs nothing but Node 20: it
// installs the missing packages, runs scripts/demo/main.mjs under the Node that they contain, and makes sure that no process is
// left running, however that ends.
import { dirname, join } from "node:path";
import { runGroup } from "./lib/group.mjs";
import { readOptions } from "./lib/options.mjs";
import { clearPackages, installation, packagesAreCurrent } from "./lib/packages.mjs";
import { fail, say } from "./lib/run.mjs";
import { npmBin, project, root } from "./lib/tools.mjs";

readOptions(process.argv.slice(2), {
  name: "npm start",
  about: "Runs the gateway of wrangler.toml on this machine, and prints commands to try.",
  options: {
    doctor: {
      about: "Sends the gateway the requests of MCP clients once it runs, prints what they find, and stops",
    },
    "authorization-server": {
      about:
        "Runs the gateway of examples/authorization-server/wrangler.toml: it registers clients, asks users for consent, sends them to the identity provider to log in, and issues its own tokens",
    },
  },
  notes: [
    "The gateway runs in `wrangler dev`. A real identity provider (port 9100) and a real MCP server (port 9200) run beside it if wrangler.toml names them. If a port is taken, this run uses the next free port. Ctrl-C stops everything.",
    "The first run installs npm packages and compiles Rust tools, which takes about ten minutes and happens once; the tools are stored in ~/.cache/portcullis (PORTCULLIS_CACHE names another folder). Later runs start in seconds if the code has not changed.",
    "An edit of that wrangler.toml takes effect while the gateway runs: a line says when, or names the mistakes of the new configuration, in which case the old one stays in effect.",
  ],
  statuses: {
    0: "Ctrl-C stopped it, or with --doctor: no client would fail",
    1: "a part of it could not be started, or failed, or a client would fail",
    2: "the command cannot be used",
  },
});
const args = process.argv.slice(2);
if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`npm start needs Node 20 or newer, and this is Node ${process.versions.node}`);
}
// When the terminal is closed, writing fails, and the processes must still be stopped.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const onStop = () => say("stopping");

/** Runs a program; ends this one where the user stopped it. */
async function part(command, args, options) {
  const outcome = await runGroup(command, args, { cwd: project, onStop, ...options });
  if (!outcome.clean) fail("a process that npm start started could not be stopped; `ps` shows it");
  if (outcome.stopped) {
    say("stopped; no process is left running");
    process.exit(0);
  }
  return outcome;
}

if (!packagesAreCurrent()) {
  say(installation.what);
  clearPackages();
  // A partial installation is useless, so npm gets only a second to end.
  const { code, error } = await part(installation.command, installation.args, { patience: 1_000 });
  if (error) fail(`npm could not be run: ${error.message}`);
  if (code !== 0) fail("npm could not install the packages; its output is above");
}

const node = npmBin("node");
const { code, error } = await part(node, [join(root, "scripts", "demo", "main.mjs"), ...args], {
  ipc: true,
  env: { PATH: `${dirname(node)}:${process.env.PATH}` },
});
if (error) fail(`${node} could not be run: ${error.message}; remove node_modules and try again`);
process.exit(code ?? 1);
