// Starts the programs of `npm start`, which runs this file in a process group of its own and kills what is left of the group.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { build, VARIANTS } from "../lib/build.mjs";
import { checkMain } from "../lib/integrity.mjs";
import { say, step } from "../lib/run.mjs";
import { settingsFile } from "../lib/settings.mjs";
import { hasWasmBindgen, isPackage, root, rust } from "../lib/tools.mjs";
import { choosePorts, readSettings } from "./config.mjs";
import { startGateway } from "./gateway.mjs";
import { hints, sample } from "./hints.mjs";
import { logLine } from "./log-line.mjs";
import { rememberRegistrations } from "./registrations.mjs";
import { followEdits } from "./reload.mjs";
import { demoSecrets } from "./secrets.mjs";

const TIME_LIMIT = 20_000;
/** Tokens expire after ten minutes. */
const RENEWAL = 4 * 60_000;

const undo = [];
let ending;

/** Stops everything, in the reverse order of starting. */
function end(code, message) {
  ending ??= (async () => {
    if (message) process.stderr.write(`portcullis: ${message}\n`);
    for (const step of undo.reverse()) await step().catch((error) => say(`while stopping: ${error.message}`));
    // `npm start` kills what is left of the process group; where it has ended itself, that is done here.
    if (!process.connected && process.platform !== "win32") process.kill(-process.pid, "SIGKILL");
    process.exit(code);
  })();
  return ending;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(0));
process.on("disconnect", () => end(0));
process.on("uncaughtException", (error) => end(1, `npm start failed: ${error.stack}`));
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => end(0));

/** Keeps an Authorization field with a fresh token in a file that only this user can read. */
async function keepToken({ endpoint, machine, resource, scope }) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  undo.push(async () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "token");
  const { clientId, clientSecret } = machine;
  const renew = async () => {
    const answer = await fetch(endpoint, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString("base64")}` },
      body: new URLSearchParams({ grant_type: "client_credentials", resource, ...(scope && { scope }) }),
      signal: AbortSignal.timeout(TIME_LIMIT),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`${endpoint} issued no token: ${body.error_description ?? body.error}`);
    writeFileSync(file, `Authorization: Bearer ${body.access_token}\n`, { mode: 0o600 });
    return body.access_token;
  };
  const first = await renew();
  const timer = setInterval(() => {
    renew().catch((error) => say(`the token could not be renewed: ${error.message}`));
  }, RENEWAL);
  undo.push(async () => clearInterval(timer));
  return { file, first };
}

/** Sends the request of the second hint once. */
async function rehearse(url, token, { headers, body }) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { ...headers, authorization: `Bearer ${token}` },
    body,
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`a call with a valid token gets ${answer.status}:\n${text.slice(0, 500)}`);
}

const AUTHORIZATION_SERVER = process.argv.includes("--authorization-server");

const DOCTOR = process.argv.includes("--doctor");

/** Builds the Worker, so that wrangler finds it built. */
async function buildWorker() {
  await rust();
  const isNew = !existsSync(join(root, VARIANTS.start.folder));
  const expected = isNew ? (hasWasmBindgen() ? 100 : 150) : 10;
  const what = hasWasmBindgen() ? "building the Worker" : "building the Worker, and wasm-bindgen for that";
  await step({ number: 1, of: 2, what, expected }, (at) =>
    build("start", { quiet: true, onCrate: (crate) => at(`compiling ${crate}`) }),
  );
}

/** Runs `portcullis doctor` for the gateway, and returns its exit status. */
async function examine(url) {
  const program = [join(root, "scripts", "portcullis.mjs"), "doctor", url];
  const child = spawn(process.execPath, program, { stdio: ["ignore", "inherit", "inherit"] });
  return new Promise((resolve) =>
    child.once("error", () => resolve(1)).once("exit", (code) => resolve(code ?? 1)),
  );
}

async function start() {
  const config = AUTHORIZATION_SERVER
    ? join(root, "examples", "authorization-server", "wrangler.toml")
    : settingsFile();
  const folder = dirname(config);
  const seen = readFileSync(config, "utf8");
  const settings = readSettings(config);
  checkMain(settings.main, config);
  const document = settings.vars.PORTCULLIS;
  const own = AUTHORIZATION_SERVER ? demoSecrets() : undefined;
  if (!isPackage) await buildWorker();

  const { port, host, issuer, origin, place } = await choosePorts(document);
  place(document);

  let idp;
  if (issuer) {
    const { startIdentityProvider } = await import("../../examples/identity-provider/provider.mjs");
    const { port, hostname } = new URL(issuer);
    idp = await startIdentityProvider({
      port: Number(port),
      publicHost: hostname,
      ...(own && {
        gateway: { secret: own.secrets.LOGIN_SECRET, redirectUri: `${document.public_url}/callback` },
      }),
    });
    undo.push(() => idp.close());
    await rememberRegistrations(idp.provider);
    say(`the identity provider runs at ${idp.issuer}`);
  }
  if (origin) {
    const { startOrigin } = await import("../../examples/origin/server.mjs");
    const server = await startOrigin({ port: Number(new URL(origin).port) });
    undo.push(() => server.close());
    say(`the MCP server runs at ${server.url}`);
  }

  say(isPackage ? "starting the gateway" : "step 2 of 2: starting the gateway (about 5 s)");
  let shown = false;
  const early = [];
  /** The warnings that were counted or shown: each is shown once, although every build starts the gateway again. */
  const warnings = new Set();
  const gateway = startGateway({
    port,
    host,
    folder,
    settings,
    envFile: own?.path,
    onEvent(event) {
      if (event.reason === "configuration_warning") {
        if (warnings.has(event.detail)) return;
        warnings.add(event.detail);
        if (!shown) return;
      }
      if (shown) process.stdout.write(`${logLine(event)}\n`);
      else if (event.event === "gateway" && event.level !== "info") early.push(event);
    },
    onLine(line) {
      // wrangler's own line for each request says less than the gateway's log.
      if (!/^\[wrangler:info\] [A-Z]+ \//.test(line)) process.stdout.write(`${line}\n`);
    },
  });
  undo.push(() => gateway.stop());
  gateway.ended.then((how) => end(1, `wrangler ${how}; its last output:\n${gateway.tail()}`));
  await gateway.ready(document.public_url);

  const [{ path, scopes = [], origin: behind, service }] = document.resources;
  const url = `${document.public_url}${path}`;
  const ours = origin !== undefined && behind === origin;
  let tokenFile;
  if (idp) {
    // The authorization server of this run, which is the gateway or the identity provider, also issues machine tokens.
    const from = own
      ? {
          endpoint: `${document.public_url}/token`,
          machine: { clientId: "demo-machine", clientSecret: own.secrets.MACHINE_SECRET },
        }
      : { endpoint: `${idp.issuer}/token`, machine: idp.machine };
    const token = await keepToken({ ...from, resource: url, scope: scopes.join(" ") });
    tokenFile = token.file;
    await rehearse(url, token.first, sample(ours)).catch((error) =>
      say(
        `warning: ${error.message}\n  The configured MCP server is ${behind ?? `the service binding ${service}`}: is it running, and is the path right?`,
      ),
    );
  }
  if (DOCTOR) return end(await examine(url));
  process.stdout.write(
    hints({
      url,
      page: document.public_page === false ? undefined : `${document.public_url}/`,
      warnings: warnings.size,
      issuer,
      ours,
      issuers: own ? [issuer] : document.issuers.map((one) => one.issuer),
      server: own && document.public_url,
      behind: behind ?? `service binding ${service}`,
      tokenFile,
      logPath: relative(process.cwd(), gateway.logPath),
    }),
  );
  for (const event of early) process.stdout.write(`${logLine(event)}\n`);
  shown = true;
  const endWatch = followEdits({ path: config, seen, place, change: gateway.change });
  undo.push(async () => endWatch());
}

await start().catch((error) => end(1, error.message));
