// The first thing that every command does: npm's packages, and a Node that is new enough for them. Uses nothing but
// Node 20 and what comes with it.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const NODE_MAJOR = 24;

/** Installs npm's packages where they are missing or older than the lock file. */
function install() {
  const marker = join(root, "node_modules", ".package-lock.json");
  const lock = join(root, "package-lock.json");
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return;
  process.stdout.write("portcullis: installing npm packages (about a minute, once)\n");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const args = ["ci", "--no-fund", "--no-audit", "--loglevel=error"];
  const { status, error } = spawnSync(npm, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) {
    process.stderr.write(`portcullis: npm ci failed${error ? `: ${error.message}` : ""}\n`);
    process.exit(1);
  }
}

/** Makes sure of packages and Node; runs `entry` again under the packages' own Node where ours is older. */
export async function ensurePackages(entry) {
  install();
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR) return;
  const node = join(root, "node_modules", ".bin", "node");
  const bin = join(root, "node_modules", ".bin");
  const { status, signal } = spawnSync(node, [fileURLToPath(entry), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
  process.exit(signal ? 1 : status);
}
