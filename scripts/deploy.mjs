// `wrangler deploy`, after checks of the configuration and after everything that it needs was created. With --dry-run nothing leaves this
// machine: the plan is printed, and the size of the bundle is compared with budget.json.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { CANNOT, CONFIG, readOptions, refuse } = await import("./lib/options.mjs");
const { fail, run, say, UNUSABLE } = await import("./lib/run.mjs");
const { checkMain } = await import("./lib/integrity.mjs");
const { ofEnvironment, readSettings, settingsFile } = await import("./lib/settings.mjs");
const { project, root } = await import("./lib/tools.mjs");
const { quiet, wrangler } = await import("./lib/wrangler.mjs");
const { readDocument, runRust } = await import("./commands/rust.mjs");
const { plan } = await import("./commands/deploy/plan.mjs");
const { prepare } = await import("./commands/deploy/prepare.mjs");

const DEPLOY = {
  name: "npm run deploy",
  about:
    "Checks the configuration, creates what it needs at Cloudflare after a question for each, and deploys the Worker with wrangler.",
  options: {
    "dry-run": { about: "Prints the plan, builds and weighs the Worker, and uploads nothing" },
    yes: { short: "y", about: "Agrees to every step of the plan, without questions" },
    document: {
      value: "FILE",
      about: "The configuration, where wrangler.toml says that it is in KV: pushed first",
    },
    "no-doctor": { about: "Does not send the requests of MCP clients to the deployed gateway" },
    wait: {
      value: "SECONDS",
      about: "How long the deployed gateway may take to answer under its URL",
      default: "60",
    },
    env: {
      value: "NAME",
      short: "e",
      about: "The environment of wrangler.toml",
      otherwise: "$CLOUDFLARE_ENV",
    },
    config: { ...CONFIG, short: "c" },
  },
  notes: [
    "The plan has KV namespaces, queues, Durable Object migrations and secrets that are missing. Their ids are written into the file. A secret of the gateway alone is generated; another one is taken from the environment variable of its name, or asked for. A run that was interrupted is completed by the next one.",
  ],
  rest: { name: "WRANGLER-OPTIONS", about: "Further options of `wrangler deploy`" },
  statuses: {
    0: "the Worker is deployed, or could be",
    1: "a step failed, or the Worker is too large, or the doctor found what would stop clients",
    2: CANNOT,
  },
};
const { values, rest } = readOptions(process.argv.slice(2), DEPLOY);
// The document that is checked must be the one that is deployed.
const OURS = /^(-[cen]|--(c|e|n|config|env|dry-?run|name|dispatch-?namespace|secrets-?file)(=|$))/i;
const own = rest.find((word) => OURS.test(word));
if (own !== undefined)
  refuse(DEPLOY, `${own} must be before the --, or in the file: what is checked must be what is deployed`);
const environment = values.env ?? process.env.CLOUDFLARE_ENV;
const file = settingsFile(values.config);
const args = [
  "deploy",
  "--config",
  file,
  // Always: wrangler would read another one from .env.
  ...["--env", environment ?? ""],
  ...(values["dry-run"] ? ["--dry-run"] : []),
  ...rest,
];

/** Fails on a configuration with which the gateway would refuse every request: its mistakes are those that `check` prints. */
async function checkDocument() {
  const { status } = await runRust([
    "check",
    ...["--config", file],
    ...(environment ? ["--env", environment] : []),
  ]);
  // With status 1 the gateway works, and `check` has printed what to review.
  if (status > 1) process.exit(status);
  const own = ofEnvironment(readSettings(file), environment);
  const { stored } = own.vars.PORTCULLIS;
  if (stored === undefined) {
    if (values.document)
      refuse(DEPLOY, `--document is for a configuration in KV, and that of ${file} is in the file`);
    const { bindings, secrets } = await readDocument({ config: file, env: environment });
    return { document: own.vars.PORTCULLIS, bindings, secrets };
  }
  if (values.document) {
    const found = await readDocument({ config: resolve(values.document), env: environment });
    return { ...found, document: JSON.parse(found.document), stored: stored.kv };
  }
  say(
    "this command does not check the document in KV: --document FILE checks it, creates what it needs and pushes it; npx portcullis check --config FILE only checks it",
  );
  return { document: {}, bindings: [], secrets: [], stored: stored.kv };
}

/** Everything that the deployment needs beside the Worker. */
function planOf({ document, bindings, secrets, stored }) {
  const settings = readSettings(file);
  const own = ofEnvironment(settings, environment);
  const name = own.name ?? (environment && settings.name ? `${settings.name}-${environment}` : settings.name);
  if (typeof name !== "string" || name === "")
    fail(`${file} has no name: that of the Worker is required`, UNUSABLE);
  const other = process.env.WRANGLER_CI_OVERRIDE_NAME;
  if (other && other !== name)
    fail(
      `WRANGLER_CI_OVERRIDE_NAME is "${other}", and the Worker of ${file} is "${name}": they must be the same, or secrets would be those of another Worker`,
      UNUSABLE,
    );
  const account = own.account_id ?? settings.account_id;
  return { account, ...plan({ settings, own, env: environment, name, document, stored, bindings, secrets }) };
}

/** Prints the plan; ends the command where something stands in its way. */
function announce({ steps, problems }) {
  if (steps.length > 0) {
    say("the plan, before the Worker is deployed:");
    for (const [at, { what }] of steps.entries()) say(`  ${at + 1}. ${what}`);
  }
  if (problems.length > 0) fail(problems.join("\n"), UNUSABLE);
}

/** Runs another command of this one. */
function command(args) {
  const script = join(root, "scripts", "portcullis.mjs");
  return spawnSync(process.execPath, [script, ...args], { stdio: "inherit" }).status ?? 1;
}

/** Deploys, with the secrets that the Worker does not have yet: a Worker without them would refuse every request. */
async function upload({ values: secrets, shown }) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-secrets-"));
  const path = join(folder, "secrets.json");
  const names = Object.keys(secrets);
  // Before the upload: where that fails half-way, the Worker may have them.
  for (const name of shown) {
    say(`the secret ${name} was generated. It is shown once: keep it where you keep such secrets.`);
    process.stdout.write(`${secrets[name]}\n`);
  }
  try {
    if (names.length > 0) writeFileSync(path, JSON.stringify(secrets), { mode: 0o600 });
    const more = names.length > 0 ? ["--secrets-file", path] : [];
    // wrangler ends with this command, and the file with both.
    const onChild = (child) => {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
        process.once(signal, () => {
          child.kill("SIGKILL");
          rmSync(folder, { recursive: true, force: true });
          fail(`ended by ${signal}; whether the Worker was deployed, npx wrangler deployments list says`);
        });
    };
    await run(wrangler.command, ["--no-warnings", wrangler.program, ...args, ...more], {
      cwd: project,
      env: { ...quiet, CLOUDFLARE_ENV: "" },
      asks: true,
      onChild,
    });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const pushed = "\nThe document is in KV already: a Worker that was deployed before loads it.";
    fail(`${error.message.replace(/ --secrets-file \S+/, "")}${values.document ? pushed : ""}`);
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Sends the requests of MCP clients to what was deployed. A new domain takes a moment until it answers. */
async function examine({ public_url: url, resources }) {
  for (let waited = 0; waited < Number(values.wait); waited += 2) {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) }).catch(
      () => undefined,
    );
    if (answer?.ok) break;
    await sleep(2_000);
  }
  const failed = resources.filter(({ path }) => command(["doctor", `${url}${path}`]) !== 0);
  if (failed.length > 0)
    fail(
      `the Worker is deployed, and clients would not get through: ${failed.map(({ path }) => path).join(", ")}`,
    );
}

/** Fails on a document that is for this machine. */
function refuseLocal(document) {
  const host = URL.parse(String(document.public_url))?.hostname ?? "";
  if (document.development !== true && !/^(localhost|127\.|\[::1\])/.test(host)) return;
  const where = environment ? `[env.${environment}.vars.PORTCULLIS]` : "[vars.PORTCULLIS]";
  fail(
    `${where} is for a gateway on this machine (public_url = "${document.public_url}"${document.development ? ", development = true" : ""}).\n` +
      "Set public_url to the https URL that clients will use, remove development, and name your own issuer and origin:\n" +
      "README.md says how. For a second environment, add [env.NAME.vars.PORTCULLIS] and deploy with --env NAME.",
    UNUSABLE,
  );
}

/** Bundles without uploading, and checks the size of what would be uploaded. */
async function weigh() {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-deploy-"));
  try {
    await run(wrangler.command, [wrangler.script, ...args, "--outdir", folder], {
      cwd: project,
      env: quiet,
    });
    const files = readdirSync(folder).filter((name) => /\.(js|mjs|wasm)$/.test(name));
    const sizes = files.map((name) => [
      name,
      gzipSync(readFileSync(join(folder, name)), { level: 9 }).length,
    ]);
    const total = sizes.reduce((sum, [, size]) => sum + size, 0);
    const budgets = JSON.parse(readFileSync(join(root, "budget.json"), "utf8"));
    // A configuration with the authorization server includes its code, and has a larger budget.
    const full = readFileSync(file, "utf8").includes("AuthorizationRecords");
    const budget = full ? budgets.bundle_full_gzip_bytes : budgets.bundle_gzip_bytes;
    const shown = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
    const parts = sizes.map(([name, size]) => `${name.replace(/^[0-9a-f]+-/, "")} ${shown(size)}`).join(", ");
    say(`bundle: ${shown(total)} gzipped (${parts}); budget.json allows ${shown(budget)}`);
    if (files.length < 2)
      throw new Error(
        `the bundle must have JavaScript and WebAssembly, got ${files.join(", ") || "no files"}`,
      );
    if (total > budget) throw new Error(`the bundle is over its budget by ${shown(total - budget)}`);
    // build-full/ is built for the tests, and belongs to no other file.
    if (!values.config) weighFull(budgets.bundle_full_gzip_bytes, shown);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks the size of the Worker with all features, where it has been built. */
function weighFull(budget, shown) {
  const folder = join(root, "build-full");
  if (!existsSync(folder)) return;
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  const total = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
  say(`with the authorization server: ${shown(total)} gzipped; budget.json allows ${shown(budget)}`);
  if (total > budget)
    throw new Error(
      `the Worker with the authorization server is over its budget by ${shown(total - budget)}`,
    );
}

const checkWorker = () => {
  const settings = readSettings(file);
  checkMain(ofEnvironment(settings, environment)?.main ?? settings.main, file);
};

if (!/^\d{1,4}$/.test(values.wait))
  refuse(DEPLOY, `--wait must be a number of seconds, got "${values.wait}"`);
checkWorker();
const needed = await checkDocument();
const planned = planOf(needed);
if (values["dry-run"]) {
  announce(planned);
  await weigh().catch((error) => fail(error.message));
} else {
  refuseLocal(needed.document);
  announce(planned);
  const { account, steps } = planned;
  const secrets = await prepare(steps, { file, env: environment, account, yes: values.yes });
  checkWorker();
  if (values.document) {
    const own = ["--config", file, ...(environment ? ["--env", environment] : [])];
    if (command(["push", values.document, ...own]) !== 0)
      fail("the document could not be pushed: nothing was deployed");
  }
  await upload(secrets);
  if (needed.document.resources && !values["no-doctor"]) await examine(needed.document);
}
