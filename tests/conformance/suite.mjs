// Runs the official conformance suite and reads what it wrote. What it prints is only a sign of life.

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const modules = fileURLToPath(new URL("../../node_modules/", import.meta.url));
export const suite = join(modules, "@modelcontextprotocol/conformance");

// A run takes some seconds. This is for one that hangs.
const TIMEOUT_MS = 120_000;

/**
 * Runs what `revision` requires against `url`. Resolves to the scored scenarios, each with the checks that
 * failed (`failures` is empty for a pass), and `trouble` when the suite itself did not end well.
 */
export async function runSuite({ revision, url, results, onProgress }) {
  const directory = join(results, revision);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });

  const trouble = await runProcess({ revision, url, directory, onProgress });
  const written = await readResults(directory);
  const { scored, tasks } = await requiredScenarios(revision);
  const read = (names) => names.map((name) => ({ name, failures: failuresOf(written.get(name)) }));
  return { scenarios: read(scored), tasks: read(tasks), trouble };
}

function runProcess({ revision, url, directory, onProgress }) {
  // The suite wants a newer Node than the one this script may have been started with.
  const child = spawn(
    join(modules, ".bin/node"),
    [
      join(suite, "dist/index.js"),
      "server",
      "--url",
      url,
      "--requirements",
      revision,
      "--output-dir",
      directory,
    ],
    { stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT_MS, killSignal: "SIGKILL" },
  );
  const log = createWriteStream(join(directory, "suite.log"));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.stdout.setEncoding("utf8").on("data", (text) => {
    for (const [, scenario] of text.matchAll(/=== Running scenario: (\S+)/g)) onProgress(scenario);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      log.end();
      if (signal) resolve(`the suite was stopped by ${signal} (it has ${TIMEOUT_MS / 1000} s)`);
      // It ends with 1 when a scored scenario failed, which its files tell in more detail.
      else resolve(code > 1 ? `the suite ended with ${code}` : undefined);
    });
  });
}

// A directory for each scenario, `server-NAME-TIMESTAMP`, with the checks in it.
export async function readResults(directory, named = /^server-(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/) {
  const written = new Map();
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const name = entry.name.match(named)?.[1];
    if (!entry.isDirectory() || name === undefined) continue;
    try {
      written.set(name, JSON.parse(await readFile(join(directory, entry.name, "checks.json"), "utf8")));
    } catch {
      // Killed while it wrote: counts as never run.
    }
  }
  return written;
}

// The suite calls a scenario without failures passed, even one in which nothing was checked. Not here.
export function failuresOf(checks) {
  if (checks === undefined) return [{ id: "no-result", message: "the suite wrote no result" }];
  const failed = checks.filter(({ status }) => status === "FAILURE");
  if (failed.length === 0 && !checks.some(({ status }) => status === "SUCCESS")) {
    return [{ id: "nothing-checked", message: "no check succeeded" }];
  }
  return failed.map(({ id, errorMessage, description }) => ({ id, message: errorMessage ?? description }));
}

// The lists are data of the suite's package. It also runs scenarios that do not count for the revision, and names them in a list of
// its own in the same file. Those for tasks count here: the gateway changes what they look at.
async function requiredScenarios(revision) {
  const yaml = await readFile(join(suite, "requirements", `${revision}.yaml`), "utf8");
  const [, list] = yaml.match(/^server:\n((?: +- .+\n|\n| *#.*\n)*)/m) ?? [undefined, ""];
  return {
    scored: [...list.matchAll(/^ +- (\S+)/gm)].map(([, name]) => name),
    tasks: [...yaml.matchAll(/^ +- scenario: (tasks-\S+)/gm)].map(([, name]) => name),
  };
}
