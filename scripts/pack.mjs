// Makes everything that the npm package has prebuilt; `npm pack` runs this first.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { build } = await import("./lib/build.mjs");
const { ask, fail, say } = await import("./lib/run.mjs");
const { root, rust } = await import("./lib/tools.mjs");

/** What the package has prebuilt. The Worker without the authorization server is that of a new project. */
const BUILT = ["worker", "full", "packed"];

/** The crates that are part of the Worker or the command line, each with its license and the text of it. */
async function crates() {
  const args = ["metadata", "--format-version=1", "--locked", "--features", "command"];
  args.push("--filter-platform=wasm32-unknown-unknown");
  const { packages, resolve } = JSON.parse(await ask("cargo", args, { cwd: root }));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const found = new Set();
  const visit = (id) => {
    if (found.has(id)) return;
    found.add(id);
    // Crates that only build or test are not part of the result.
    for (const { pkg, dep_kinds } of nodes.get(id).deps)
      if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg);
  };
  visit(resolve.root);
  return packages
    .filter(({ id }) => found.has(id) && id !== resolve.root)
    .map(({ name, version, license, manifest_path }) => {
      const folder = dirname(manifest_path);
      const files = readdirSync(folder).filter((file) =>
        /^(licen[cs]e|copying|notice|unlicense)/i.test(file),
      );
      const texts = files.sort().map((file) => readFileSync(join(folder, file), "utf8").trim());
      return { name: `${name} ${version}`, license: license ?? "see the text", texts };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The licenses as one text: each text once, with the crates that it is for. */
function licenses(all) {
  const byText = new Map();
  for (const { name, texts } of all)
    for (const text of texts) byText.set(text, [...(byText.get(text) ?? []), name]);
  const head = all.map(({ name, license }) => `${name}: ${license}`).join("\n");
  const rule = `\n\n${"-".repeat(80)}\n`;
  const texts = [...byText].map(([text, names]) => `${names.join(", ")}\n\n${text}`);
  return `The WebAssembly modules of this package contain these crates:\n\n${head}${rule}${texts.join(rule)}\n`;
}

await rust();
const files = {};
for (const [at, name] of BUILT.entries()) {
  say(`step ${at + 1} of ${BUILT.length + 1}: building ${name}`, process.stderr);
  const folder = await build(name, { quiet: true }).catch((error) => fail(error.message));
  for (const file of readdirSync(folder).sort()) {
    const bytes = readFileSync(join(folder, file));
    files[`${folder.slice(root.length)}/${file}`] = {
      bytes: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    };
  }
}
say(
  `step ${BUILT.length + 1} of ${BUILT.length + 1}: licenses, and the list of what was built`,
  process.stderr,
);
writeFileSync(join(root, "THIRD-PARTY-LICENSES.txt"), licenses(await crates()));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
/** The commit that was built; `clean` says that the files were those of the commit. Neither is known outside of a clone. */
async function source() {
  const commit = await ask("git", ["rev-parse", "HEAD"], { cwd: root });
  if (!commit) return undefined;
  const changes = await ask("git", ["status", "--porcelain", "--untracked-files=no"], { cwd: root });
  return { commit, clean: changes === "" };
}

const made = { version, source: await source(), rustc: await ask("rustc", ["--version"]), files };
writeFileSync(join(root, "manifest.json"), `${JSON.stringify(made, undefined, 2)}\n`);
