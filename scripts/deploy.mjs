// `wrangler deploy`, after checks of the configuration. With --dry-run nothing leaves this machine, and the size of the bundle is
// compared with budget.json.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { CANNOT, CONFIG, readOptions, refuse } = await import("./lib/options.mjs");
const { fail, run, say, UNUSABLE } = await import("./lib/run.mjs");
const { checkMain } = await import("./lib/integrity.mjs");
const { ofEnvironment, readSettings, settingsFile } = await import("./lib/settings.mjs");
const { project, root } = await import("./lib/tools.mjs");
const { quiet, wrangler } = await import("./lib/wrangler.mjs");
const { runRust } = await import("./commands/rust.mjs");

const DEPLOY = {
  name: "npm run deploy",
  about: "Checks the configuration, builds the Worker, and deploys it to Cloudflare with wrangler.",
  options: {
    "dry-run": { about: "Builds and weighs the Worker, and uploads nothing" },
    env: {
      value: "NAME",
      short: "e",
      about: "The environment of wrangler.toml",
      otherwise: "$CLOUDFLARE_ENV",
    },
    config: { ...CONFIG, short: "c" },
  },
  rest: { name: "WRANGLER-OPTIONS", about: "Further options of `wrangler deploy`" },
  statuses: {
    0: "the Worker is deployed, or could be",
    1: "wrangler failed, or the Worker is too large",
    2: CANNOT,
  },
};
const { values, rest } = readOptions(process.argv.slice(2), DEPLOY);
// The document that is checked must be the one that is deployed.
const own = rest.find((word) => /^(-[ce]|--(config|env|dry-run)(=|$))/.test(word));
if (own !== undefined) refuse(DEPLOY, `${own} must be before the --`);
const environment = values.env ?? process.env.CLOUDFLARE_ENV;
const file = settingsFile(values.config);
const args = [
  "deploy",
  "--config",
  file,
  ...(values.env === undefined ? [] : ["--env", values.env]),
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
  if (stored === undefined) return own.vars.PORTCULLIS;
  if (!(own.kv_namespaces ?? []).some(({ binding }) => binding === stored.kv))
    fail(
      `${file} says that the document is in KV "${stored.kv}", and has no such KV binding: the gateway would reject every request`,
      UNUSABLE,
    );
  say(
    "this command does not check the document in KV: npx portcullis push FILE checks a file and writes it there; npx portcullis check --config FILE only checks it",
  );
  return {};
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

checkMain(ofEnvironment(readSettings(file), environment)?.main ?? readSettings(file).main);
const document = await checkDocument();
if (values["dry-run"]) {
  await weigh().catch((error) => fail(error.message));
} else {
  refuseLocal(document);
  await run(wrangler.command, [wrangler.script, ...args], {
    cwd: project,
    env: quiet,
    asks: true,
  }).catch((error) => fail(error.message));
}
