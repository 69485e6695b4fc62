// The contestants: the modules and bindings of a Worker for each.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { exportJWK, generateKeyPair } from "jose";
import { ISSUES_TOKENS, NEED_ALL, portcullisBindings, RECORDS } from "./contestants/portcullis.mjs";
import { compatibility } from "./settings.mjs";

/** The contestants in JavaScript, each with a file of its name. */
const SCRIPTS = ["floor", "bound", "jose", "jose-full", "jose-401", "json-filter", "workers-oauth-provider"];

/** The bundle of a contestant's file and its packages, as wrangler would upload it. */
async function bundle(name) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`contestants/${name}.mjs`, import.meta.url))],
    bundle: true,
    format: "esm",
    target: "es2024",
    minify: true,
    write: false,
    external: ["cloudflare:*", "node:*"],
    conditions: ["workerd", "worker", "browser"],
    logLevel: "error",
  });
  return { "index.js": outputFiles[0].contents };
}

/** All contestants: `find` returns one by its name, and `sizes` the size of each bundle. */
export async function makeContestants(buildFolder) {
  const script = {};
  for (const name of SCRIPTS) script[name] = await bundle(name);
  const built = (folder) =>
    Object.fromEntries(["index.js", "index_bg.wasm"].map((name) => [name, readFileSync(join(folder, name))]));
  const portcullis = built(buildFolder);
  const folder = `${buildFolder}-full`;
  const full = existsSync(folder) ? built(folder) : undefined;
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const assertionKey = { ...(await exportJWK(privateKey)), kid: "assertion", alg: "ES256" };
  const secrets = { "jose-full": { ASSERTION_KEY: JSON.stringify(assertionKey) } };

  return {
    /**
     * `name` is one of `SCRIPTS`, or `portcullis` with one of its configuration documents after a colon. `places` has the URLs of
     * the origin server and of the key set.
     */
    find(name, places) {
      const [who, kind] = name.split(":");
      if (who === "portcullis") {
        const bindings = portcullisBindings(kind, places, assertionKey);
        const issues = ISSUES_TOKENS.includes(kind);
        const modules = NEED_ALL.includes(kind) ? full : portcullis;
        const records = issues ? { [RECORDS]: "AuthorizationRecords" } : {};
        return modules && { name, modules, bindings, records, flags: compatibility.flags };
      }
      const origin = kind === "public" ? places.publicOrigin : places.origin;
      const bindings = { ORIGIN: origin, JWKS_URI: places.jwksUri, ...secrets[who] };
      return { name, modules: script[who], bindings, kv: who === "workers-oauth-provider" };
    },
    /** Size of each bundle in bytes, gzipped, as it is uploaded. */
    sizes() {
      const size = (modules) =>
        Object.values(modules).reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0);
      const all = Object.entries({ ...script, portcullis });
      return Object.fromEntries(all.map(([name, modules]) => [name, size(modules)]));
    },
  };
}
