// `npm start`: runs an identity provider, an MCP server, and the gateway between them. This file needs nothing but Node 20: it
// installs the missing packages, runs scripts/demo/main.mjs under the Node that they contain, and makes sure that no process is
// left running, however that ends.
import { join } from "node:path";
import { runGroup } from "./lib/group.mjs";
import { clearPackages, installation, packagesAreCurrent } from "./lib/packages.mjs";
import { fail, say } from "./lib/run.mjs";
import { npmBin, root } from "./lib/tools.mjs";

const HELP = `npm start [-- --authorization-server]

Runs the gateway of wrangler.toml in \`wrangler dev\`, with a real identity provider (port 9100) and a real MCP server
(port 9200) where wrangler.toml names them, and prints what to try. A port that is taken is replaced by the next free
one, for this run.

With --authorization-server the gateway is the one of examples/authorization-server/wrangler.toml: it registers clients, asks
users for consent, has them log in at the identity provider, and gives tokens of its own.

The first time it installs npm packages and compiles Rust tools, which takes some ten minutes and happens once; the
tools go to ~/.cache/portcullis (PORTCULLIS_CACHE names another folder). Later it takes half a minute.

Ctrl-C stops everything.
`;

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(HELP);
  process.exit(0);
}
const unknown = args.filter((arg) => arg !== "--authorization-server");
if (unknown.length > 0)
  fail(`npm start takes no ${unknown.join(" ")}; npm start -- --help says what it takes`);
if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`Node 20 or newer is needed, and this is ${process.versions.node}`);
}
// When the terminal is closed, writing fails, and the processes must still be stopped.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const onStop = () => say("stopping");

/** Runs a program; ends this one where the user stopped it. */
async function part(command, args, options) {
  const outcome = await runGroup(command, args, { cwd: root, onStop, ...options });
  if (!outcome.clean) fail("something that was started here could not be ended; `ps` shows it");
  if (outcome.stopped) {
    say("stopped; nothing is left running");
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
  if (code !== 0) fail("npm could not install the packages; what it said is above");
}

const bin = join(root, "node_modules", ".bin");
const { code, error } = await part(npmBin("node"), [join(root, "scripts", "demo", "main.mjs"), ...args], {
  ipc: true,
  env: { PATH: `${bin}:${process.env.PATH}` },
});
if (error) fail(`${npmBin("node")} could not be run: ${error.message}; remove node_modules and try again`);
process.exit(code ?? 1);
