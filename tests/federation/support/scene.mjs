// A gateway with a federation of real servers, and clients of both eras for it.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startScene } from "../../e2e/support/scene.mjs";
import { startServers } from "./servers.mjs";

export const SECRETS = { SEAL: "a secret that seals".padEnd(40, ".") };
const INFO = { name: "portcullis-federation", version: "1.0.0" };

/** Starts servers and a gateway for them. `changes(entries)` changes what the configuration has for them. */
export async function startFederation({
  names,
  resource = {},
  changes = (entries) => entries,
  ...rest
} = {}) {
  const servers = await startServers(names);
  const scene = await startScene({
    secrets: SECRETS,
    resource: { servers: changes(servers.entries), ...resource },
    changes: () => ({ sessions: { secrets: ["SEAL"] }, decision_log: {} }),
    ...rest,
  }).catch(async (error) => {
    await servers.close();
    throw error;
  });
  const close = async () => {
    await scene.close();
    await servers.close();
  };
  return { ...scene, servers, close };
}

const headers = async (scene, claims) => ({ Authorization: `Bearer ${await scene.token({ claims })}` });

/** A client of the modern era: npm `@modelcontextprotocol/client` 2.x. */
export async function modernClient(scene, { claims = {}, capabilities = {}, prepare } = {}) {
  const client = new Client(INFO, { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } });
  prepare?.(client);
  const requestInit = { headers: await headers(scene, claims) };
  await client.connect(new StreamableHTTPClientTransport(new URL(scene.resourceUrl), { requestInit }));
  return client;
}

/** The same client in the legacy era. */
export async function legacyClient(scene, { claims = {}, capabilities = {}, prepare } = {}) {
  const client = new Client(INFO, { capabilities, versionNegotiation: { mode: "legacy" } });
  prepare?.(client);
  const requestInit = { headers: await headers(scene, claims) };
  await client.connect(new StreamableHTTPClientTransport(new URL(scene.resourceUrl), { requestInit }));
  return client;
}

/** A client that knows the legacy era only: npm `@modelcontextprotocol/sdk` 1.x. */
export async function oldClient(scene, { claims = {}, capabilities = {}, prepare } = {}) {
  const client = new OldClient(INFO, { capabilities });
  prepare?.(client);
  const requestInit = { headers: await headers(scene, claims) };
  const transport = new OldTransport(new URL(scene.resourceUrl), { requestInit });
  await client.connect(transport);
  return Object.assign(client, { end: () => transport.terminateSession() });
}

export const CLIENTS = {
  "client 2.x, modern": { connect: modernClient, era: "modern" },
  "client 2.x, legacy": { connect: legacyClient, era: "legacy" },
  "sdk 1.x": { connect: oldClient, era: "legacy" },
};

export const textOf = ({ content }) => content.map((block) => block.text).join("\n");

/** Waits until `condition` holds. */
export async function eventually(condition, what, milliseconds = 10_000) {
  for (const end = Date.now() + milliseconds; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${what} did not happen within ${milliseconds} ms`);
}
