// Folders with a configuration, the commands in them, and gateways with what they wrote.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { portcullis } from "../../e2e/support/command.mjs";
import { startScene } from "../../e2e/support/scene.mjs";

const SECRETS = { SEAL: "a secret that seals".padEnd(40, ".") };

/** A folder in which `make` makes others, each with a configuration for a resource, and the commands in it. */
export async function startPlaces() {
  const folder = await mkdtemp(join(tmpdir(), "portcullis-trust-"));
  let made = 0;
  const make = async (resource) => {
    made += 1;
    const home = join(folder, `${made}`);
    await mkdir(home);
    const config = join(home, "gate.json");
    const document = {
      public_url: "http://localhost:8787",
      development: true,
      issuers: [{ name: "idp", issuer: "http://127.0.0.1:1" }],
      sessions: { secrets: ["SEAL"] },
      resources: [{ path: "/mcp", issuers: ["idp"], scopes: ["mcp:tools"], lock: {}, ...resource }],
    };
    await writeFile(config, JSON.stringify(document));
    const file = join(home, "portcullis.lock.json");
    return {
      config,
      file,
      lock: (...args) => portcullis(["lock", "--config", config, ...args]),
      check: () => portcullis(["check", "--config", config]),
      read: async () => JSON.parse(await readFile(file, "utf8")),
      /** The definitions, as `push` and `serve` put them into the document. */
      locked: async () => {
        const { stdout, stderr } = await portcullis(["document", "--config", config, "--json"]);
        assert.equal(stderr, "");
        return JSON.parse(JSON.parse(stdout).document).resources[0].locked;
      },
    };
  };
  return { make, close: () => rm(folder, { recursive: true, force: true }) };
}

/** A gateway in front of a server, with what a resource has besides. */
export const gateWith = (url, resource) =>
  startScene({
    secrets: SECRETS,
    resource: { origin: url, ...resource },
    changes: () => ({ sessions: { secrets: ["SEAL"] }, decision_log: {} }),
  });

/** The same with a lock. */
export const gate = (url, locked, lock = {}) => gateWith(url, { lock, locked });

/** The lines of the log with a reason. */
export const lines = (scene, reason) =>
  scene.gateway.logs.filter((line) => line.includes(`"reason":"${reason}"`));
