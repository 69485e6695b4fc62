import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { startOrigin } from "../../examples/origin/server.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { startShim } from "./shim.mjs";

/** What the URIs of the suite's resources begin with; a tool that changes one has to be at the server that has it. */
const URIS = ["test://static-", "test://template/", "test://watched-"];
const WATCHED = 2;

/** The tools and prompts of an origin server, by name, without those that only one era has. */
async function fixturesOf(url) {
  const names = { tools: new Set(), prompts: new Set() };
  for (const mode of ["legacy", { pin: "2026-07-28" }]) {
    const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };
    const client = new Client(
      { name: "stack", version: "1" },
      { capabilities, versionNegotiation: { mode } },
    );
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    for (const { name } of (await client.listTools()).tools) names.tools.add(name);
    for (const { name } of (await client.listPrompts()).prompts) names.prompts.add(name);
    await client.close();
  }
  return names;
}

/**
 * The servers of a federation whose names are those of the suite. With several, each has a part of the tools, prompts and resources,
 * and the rest is hidden.
 */
async function serversOf(origins) {
  const { tools, prompts } = await fixturesOf(origins[0].url);
  const count = origins.length;
  const ownerOf = (name, at) => (name.startsWith("test_trigger_") ? WATCHED : at) % count;
  const tables = [tools, prompts].map((names) => {
    const owned = origins.map(() => []);
    for (const [at, name] of [...names].entries()) owned[ownerOf(name, at)].push(name);
    return owned;
  });
  return origins.map(({ url }, at) => {
    const [ownTools, ownPrompts] = tables.map((owned) => owned[at]);
    const same = (names) => Object.fromEntries(names.map((name) => [name, name]));
    const others = [...tools, ...prompts].filter(
      (name) => !ownTools.includes(name) && !ownPrompts.includes(name),
    );
    const kept = count === 1 ? ["test://"] : [URIS[at]];
    const foreign = count === 1 ? [] : URIS.filter((uri) => uri !== kept[0]).map((uri) => `${uri}*`);
    return {
      name: `server${at}`,
      origin: url,
      aliases: same(ownTools),
      prompt_aliases: same(ownPrompts),
      keep_uris: kept,
      hidden: [...others, ...foreign],
    };
  });
}

/**
 * Starts everything the suites need and says where they find it: the gateway with an identity provider, an
 * origin and a shim that brings the token, or (`direct`) the origin alone. `servers` is the number of servers of a federation, if there
 * is to be one.
 */
export async function startStack({ direct = false, servers = 0 } = {}) {
  const started = [];
  const keep = (part) => {
    started.push(part);
    return part;
  };
  const close = async () => {
    for (const part of started.reverse()) await part.close();
  };

  try {
    const origins = [];
    for (let at = 0; at < Math.max(servers, 1); at++)
      origins.push(keep(await startOrigin({ extensions: true })));
    const [origin] = origins;
    if (direct) return { url: origin.url, logs: () => "", close };

    // Loaded late, so that the origin can be tested where the gateway was not built.
    const { startIdentityProvider } = await import("../../examples/identity-provider/provider.mjs");
    const { startGateway } = await import("../e2e/support/gateway.mjs");
    const { getToken } = await import("../e2e/support/token.mjs");

    const idp = keep(await startIdentityProvider());
    // The configuration names the gateway's own URL, so the port has to be known before the gateway runs.
    const port = await freePort();
    const publicUrl = `http://127.0.0.1:${port}`;
    const scope = "mcp:tools";
    const gateway = keep(
      await startGateway({
        port,
        secrets: { SESSIONS: "a secret of the conformance suite's own" },
        // Everything that reads messages is on, and allows everything: the suite must not notice.
        config: {
          public_url: publicUrl,
          development: true,
          issuers: [{ name: "idp", issuer: idp.issuer }],
          sessions: { secrets: ["SESSIONS"] },
          decision_log: {},
          resources: [
            {
              path: "/mcp",
              ...(servers > 0 ? { servers: await serversOf(origins) } : { origin: origin.url }),
              issuers: ["idp"],
              scopes: [scope],
              rules: [{ id: "everything", effect: "allow" }],
            },
          ],
        },
      }),
    );
    const token = await getToken(idp, { resource: `${publicUrl}/mcp`, scope });
    const shim = keep(await startShim({ target: gateway.url, token }));
    return { url: `${shim.url}/mcp`, logs: () => [gateway.logs].flat().join("\n"), close };
  } catch (error) {
    await close();
    throw error;
  }
}
