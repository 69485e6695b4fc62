// `wrangler deploy`, after checks of the configuration. With --dry-run nothing leaves this machine, and the size of the bundle is
// compared with budget.json.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { parse: parseToml } = await import("smol-toml");
const { fail, run, say } = await import("./lib/run.mjs");
const { root } = await import("./lib/tools.mjs");
const { quiet, wrangler } = await import("./lib/wrangler.mjs");

const args = process.argv.slice(2);
const { values } = parseArgs({
  args,
  strict: false,
  options: { "dry-run": { type: "boolean" }, env: { type: "string", short: "e" } },
});
const environment = values.env ?? process.env.CLOUDFLARE_ENV;

/** Fails on a configuration with which the gateway would refuse every request, or that is set up for this machine. */
function checkSettings() {
  const settings = parseToml(readFileSync(join(root, "wrangler.toml"), "utf8"));
  const vars = environment ? settings.env?.[environment]?.vars : settings.vars;
  const where = environment ? `[env.${environment}.vars.PORTCULLIS]` : "[vars.PORTCULLIS]";
  const document = vars?.PORTCULLIS;
  if (document === undefined) fail(`wrangler.toml has no ${where}: the gateway would reject every request`);
  if (typeof document !== "object") return;
  if (document.stored !== undefined) {
    const own = environment ? settings.env?.[environment] : settings;
    const namespaces = own?.kv_namespaces ?? [];
    if (!namespaces.some(({ binding }) => binding === document.stored.kv))
      fail(
        `${where} says that the document is in KV "${document.stored.kv}", and wrangler.toml has no such KV binding: the gateway would reject every request`,
      );
    say("the document is in KV: npx portcullis push writes it there");
    return;
  }
  const host = URL.parse(String(document.public_url))?.hostname ?? "";
  if (document.development === true || /^(localhost|127\.|\[::1\])/.test(host)) {
    fail(
      `${where} is for a gateway on this machine (public_url = "${document.public_url}"${document.development ? ", development = true" : ""}).\n` +
        "Set public_url to the https URL that clients will use, remove development, and name your own issuer and origin:\n" +
        "README.md says how. For a second environment, add [env.NAME.vars.PORTCULLIS] and deploy with --env NAME.",
    );
  }
}

/** Bundles without uploading, and checks the size of what would be uploaded. */
async function weigh() {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-deploy-"));
  try {
    await run(wrangler.command, [wrangler.script, "deploy", ...args, "--outdir", folder], {
      cwd: root,
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
    const settings = readFileSync(join(root, "wrangler.toml"), "utf8");
    const full = settings.includes('class_name = "AuthorizationRecords"');
    const budget = full ? budgets.bundle_full_gzip_bytes : budgets.bundle_gzip_bytes;
    const shown = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
    const parts = sizes.map(([name, size]) => `${name.replace(/^[0-9a-f]+-/, "")} ${shown(size)}`).join(", ");
    say(`bundle: ${shown(total)} gzipped (${parts}); budget.json allows ${shown(budget)}`);
    if (files.length < 2)
      throw new Error(
        `the bundle must have JavaScript and WebAssembly, got ${files.join(", ") || "no files"}`,
      );
    if (total > budget) throw new Error(`the bundle is over its budget by ${shown(total - budget)}`);
    weighFull(budgets.bundle_full_gzip_bytes, shown);
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

if (values["dry-run"]) {
  await weigh().catch((error) => fail(error.message));
} else {
  checkSettings();
  await run(wrangler.command, [wrangler.script, "deploy", ...args], {
    cwd: root,
    env: quiet,
    asks: true,
  }).catch((error) => fail(error.message));
}
