// MCP clients register once and remember their client id. The identity provider of examples/ keeps nothing on disk, so its next run
// would refuse every client that registered before; this file keeps the registrations in .wrangler/.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { project } from "../lib/tools.mjs";

const folder = join(project, ".wrangler");
const path = join(folder, "registrations.json");

/** Most registrations that are kept; the oldest are dropped first. */
const KEPT = 100;

function load() {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return []; // none yet
  }
}

/** Gives a provider the clients that registered before, and keeps those that register from now on. */
export async function rememberRegistrations(provider) {
  for (const client of load()) await provider.Client.adapter.upsert(client.client_id, client);
  provider.on("registration_create.success", (_ctx, client) => {
    mkdirSync(folder, { recursive: true });
    const clients = [...load(), client.metadata()].slice(-KEPT);
    writeFileSync(path, JSON.stringify(clients), { mode: 0o600 });
  });
}
