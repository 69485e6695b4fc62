// The machine, the versions and the settings of a run.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import workerd from "workerd";
import { pinning } from "./processes.mjs";
import { root } from "./settings.mjs";

const git = (...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout.trim();

/** The version of a package in the lock file. */
function locked(name) {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return packages[`node_modules/${name}`]?.version ?? "not in the lock file";
}

export function surroundings({ miniflare, size }) {
  return {
    date: new Date().toISOString().slice(0, 10),
    command: ["npm run bench", ...process.argv.slice(2)].join(" ").replace("bench -", "bench -- -"),
    machine: {
      cpu: cpus()[0].model,
      cores: cpus().length,
      memory_gb: Math.round(totalmem() / 2 ** 30),
      linux: release(),
      pinning,
    },
    versions: {
      portcullis: git("describe", "--always", "--dirty"),
      workerd: workerd.version,
      node: process.versions.node,
      jose: locked("jose"),
      "workers-oauth-provider": locked("@cloudflare/workers-oauth-provider"),
    },
    through: miniflare ? "Miniflare" : "workerd",
    size,
  };
}
