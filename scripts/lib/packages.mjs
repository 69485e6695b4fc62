// The first step of every command: installs the npm packages, and switches to a Node that is new enough for them. Uses nothing but
// Node 20 and its own modules.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isPackage, npmBin, root } from "./tools.mjs";

const NODE_MAJOR = 24;

/** Whether the npm packages are installed and as new as the lock file. npm has installed those of a package with it. */
export function packagesAreCurrent() {
  if (isPackage) return true;
  const marker = join(root, "node_modules", ".package-lock.json");
  const lock = join(root, "package-lock.json");
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs;
}

/**
 * How the packages are installed: as the lock file says, without writing it. `npm ci` would refuse a lock file that was made
 * on a machine where the optional packages of other platforms were not available.
 */
export const installation = {
  command: process.platform === "win32" ? "npm.cmd" : "npm",
  args: ["install", "--no-save", "--no-fund", "--no-audit", "--loglevel=error"],
  cwd: root,
  what: "installing npm packages (about a minute, once)",
};

/** Removes all packages: an interrupted installation leaves packages that look complete to the next one. */
export function clearPackages() {
  rmSync(join(root, "node_modules"), { recursive: true, force: true });
}

/** Installs the packages where needed, and runs `entry` again under their Node where this Node is older. */
export async function ensurePackages(entry) {
  if (!packagesAreCurrent()) {
    const { command, args, cwd, what } = installation;
    process.stdout.write(`portcullis: ${what}\n`);
    clearPackages();
    const { status, error } = spawnSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
    if (status !== 0) {
      process.stderr.write(`portcullis: npm install failed${error ? `: ${error.message}` : ""}\n`);
      process.exit(1);
    }
  }
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR) return;
  const node = npmBin("node");
  const child = spawn(node, [fileURLToPath(entry), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
  });
  // Ctrl-C in a terminal reaches the child directly; the child decides when it ends.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const code = await new Promise((resolve) => {
    child.on("error", () => {
      process.stderr.write(
        `portcullis: this is Node ${process.versions.node}, and the Node ${NODE_MAJOR} of the npm package \`node\` is not complete: its install script did not run. Use Node ${NODE_MAJOR} or newer, or run \`npm rebuild node\`\n`,
      );
      resolve(2);
    });
    child.on("exit", (status, signal) => resolve(signal ? 1 : status));
  });
  process.exit(code);
}
