/** Published MCP clients with a federation of servers of both eras: from the first 401 to the results of tools of each server. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { CLIENTS } from "../e2e/support/clients/all.mjs";
import { startGateway } from "../e2e/support/gateway.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { SERVERS, startServers } from "./support/servers.mjs";

describe("published clients with a federation", { timeout: 480_000 }, () => {
  let idp;
  let servers;
  let gateway;
  let resource;

  before(
    async () => {
      [idp, servers] = await Promise.all([startIdentityProvider({ autoLogin: true }), startServers()]);
      const port = await freePort();
      const publicUrl = `http://127.0.0.1:${port}`;
      resource = `${publicUrl}/mcp`;
      gateway = await startGateway({
        port,
        secrets: { SEAL: "a secret that seals".padEnd(40, ".") },
        config: {
          public_url: publicUrl,
          development: true,
          issuers: [{ name: "idp", issuer: idp.issuer }],
          sessions: { secrets: ["SEAL"] },
          resources: [{ path: "/mcp", servers: servers.entries, issuers: ["idp"], scopes: ["mcp:tools"] }],
        },
      });
    },
    { timeout: 300_000 },
  );

  after(
    async () => {
      await Promise.allSettled([gateway?.close(), servers?.close(), idp?.close()]);
    },
    { timeout: 30_000 },
  );

  for (const [clientName, client] of Object.entries(CLIENTS)) {
    for (const serverName of Object.keys(SERVERS)) {
      const [era] = client.eras;
      test(`${clientName} (${era}), ${serverName} (${SERVERS[serverName].eras.join(", ")})`, {
        timeout: 60_000,
      }, async () => {
        const folder = await mkdtemp(join(tmpdir(), "portcullis-federation-"));
        const tokens = [];
        const stopListening = idp.onToken(({ access_token }) => tokens.push(access_token));
        const { tool, recorder } = servers.named[serverName];
        for (const { recorder } of servers.all) recorder.requests.length = 0;
        try {
          const name = `${serverName}_${tool.name}`;
          const outcome = await client.run({
            url: resource,
            tool: { name, arguments: tool.arguments },
            folder,
          });
          const text = outcome.result.content.map((block) => block.text).join("\n");
          assert.match(text, tool.expected);
          assert.notEqual(outcome.result.isError, true);
          if (outcome.era) assert.equal(outcome.era, era);
          if (outcome.tools) {
            assert.ok(outcome.tools.includes(name));
            // Every server has its tools in the list, whatever its era is.
            for (const other of servers.all)
              assert.ok(outcome.tools.includes(`${other.name}_${other.tool.name}`), other.name);
          }
          const calls = (of) => of.requests.filter(({ rpcMethod }) => rpcMethod === "tools/call");
          assert.equal(calls(recorder).length, 1);
          for (const other of servers.all)
            if (other.name !== serverName) assert.equal(calls(other.recorder).length, 0, other.name);
          const version = calls(recorder)[0].headers["mcp-protocol-version"];
          const eras = SERVERS[serverName].eras;
          const used = version === "2026-07-28" ? "modern" : "legacy";
          assert.equal(
            used,
            eras.includes(era) ? era : eras[0],
            "the era of the client, if the server has it",
          );
          const seen = JSON.stringify(servers.all.map((it) => it.recorder.requests));
          assert.ok(tokens.length > 0);
          for (const token of tokens)
            assert.ok(!seen.includes(token), "no server gets a token of the client");
        } finally {
          stopListening();
          await rm(folder, { recursive: true, force: true });
        }
      });
    }
  }
});
