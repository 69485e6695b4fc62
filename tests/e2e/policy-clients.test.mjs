/** Published MCP clients under rules: what they may use, what they cannot see, and a step-up to its end. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { decodeJwt } from "jose";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { startOrigin } from "../../examples/origin/server.mjs";
import { CLIENTS } from "./support/clients/all.mjs";
import { MemoryOAuthProvider } from "./support/clients/oauth-provider.mjs";
import { startEverything } from "./support/everything.mjs";
import { configFor, startGateway } from "./support/gateway.mjs";
import { noPython, startPythonOrigin } from "./support/python.mjs";
import { startRecorder } from "./support/recorder.mjs";

const MODERN = "2026-07-28";
const args = { a: 19, b: 23 };

/** Of each origin: a tool for everybody, one for nobody, and one that asks for more; and what the first says. */
const ORIGINS = {
  "the dual-era origin": {
    start: startOrigin,
    eras: ["modern", "legacy"],
    tools: { free: "add", hidden: "whoami", dear: "countdown" },
    arguments: { free: args, hidden: {}, dear: { n: 0, ms: 0 } },
    says: { free: /^\D*42\D*$/, dear: /Counted down from 0/ },
  },
  "server-everything": {
    start: startEverything,
    eras: ["legacy"],
    tools: { free: "get-sum", hidden: "get-env", dear: "echo" },
    arguments: { free: args, hidden: {}, dear: { message: "heard" } },
    says: { free: /The sum of 19 and 23 is 42/, dear: /heard/ },
  },
  "a Python origin": {
    start: startPythonOrigin,
    skip: noPython,
    eras: ["modern", "legacy"],
    tools: { free: "add", hidden: "drop_table", dear: "write_file" },
    arguments: { free: args, hidden: { name: "x" }, dear: { path: "x" } },
    says: { free: /42/, dear: /written x/ },
  },
};

/**
 * An application that is registered already, for all that it may ever ask for: this provider holds clients to the scopes
 * that they registered with, and this client registers with those of the first challenge.
 */
async function registered(idp, scope) {
  const provider = new MemoryOAuthProvider();
  const answer = await fetch(`${idp.issuer}/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...provider.clientMetadata, scope }),
  });
  assert.equal(answer.status, 201);
  provider.saveClientInformation(await answer.json());
  return provider;
}

const textOf = ({ content }) => content.map(({ text }) => text).join("\n");

for (const [originName, { start, skip = false, eras, tools, arguments: given, says }] of Object.entries(
  ORIGINS,
)) {
  describe(`under rules, through the gateway to ${originName}`, { timeout: 400_000, skip }, () => {
    const running = [];
    const keep = async (starting) => running.at(running.push(await starting) - 1);
    const scene = {};

    before(
      async () => {
        scene.idp = await keep(startIdentityProvider({ autoLogin: true }));
        scene.origin = await keep(startRecorder((await keep(start())).url));
        const rules = [
          { id: "dear", effect: "step_up", scopes: ["files:write"], tools: [tools.dear] },
          { id: "free", effect: "allow", tools: [tools.free] },
        ];
        const config = (url) =>
          configFor({
            url,
            issuer: scene.idp.issuer,
            origin: scene.origin.url,
            resource: { rules },
            sessions: { secrets: ["SESSIONS"] },
          });
        const gateway = await keep(startGateway({ config, secrets: { SESSIONS: "s".repeat(40) } }));
        scene.url = `${gateway.url}/mcp`;
      },
      { timeout: 360_000 },
    );
    after(() => Promise.allSettled(running.reverse().map((thing) => thing.close())), { timeout: 20_000 });

    const calls = () => scene.origin.requests.filter(({ rpcMethod }) => rpcMethod === "tools/call").length;
    const use = async (client, what) => {
      const folder = await mkdtemp(join(tmpdir(), "portcullis-e2e-"));
      try {
        return await client.run({
          url: scene.url,
          folder,
          tool: { name: tools[what], arguments: given[what] },
        });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    };

    for (const [clientName, client] of Object.entries(CLIENTS)) {
      if (!client.eras.some((era) => eras.includes(era))) continue;

      test(`${clientName} uses what it may, and sees nothing else`, { timeout: 60_000 }, async () => {
        const before = calls();
        const { tools: listed, result } = await use(client, "free");
        assert.match(textOf(result), says.free);
        assert.deepEqual(listed, [tools.free]);
        assert.equal(calls(), before + 1);
      });

      // One origin is enough for what never arrives there.
      if (start !== startOrigin) continue;
      test(`${clientName} is told that a hidden tool is unknown`, { timeout: 60_000 }, async () => {
        const before = calls();
        const said = await use(client, "hidden").then(
          ({ result }) => (result.isError ? textOf(result) : assert.fail("it was called")),
          (error) => error.message,
        );
        // The Inspector looks at the list, and does not even ask.
        assert.match(said, /Unknown tool|Tool 'whoami' not found on server/);
        assert.equal(calls(), before);
      });
    }

    for (const mode of ["auto", "legacy", { pin: MODERN }]) {
      if (mode.pin && !eras.includes("modern")) continue;

      test(`client 2.x, ${mode.pin ?? mode}: 403, a bigger token, and the same call again`, async () => {
        const authProvider = await registered(scene.idp, "mcp:tools files:write offline_access");
        const make = () => new Client({ name: "e2e", version: "1.0.0" }, { versionNegotiation: { mode } });
        const transport = () => new StreamableHTTPClientTransport(new URL(scene.url), { authProvider });
        const stranger = transport();
        await assert.rejects(make().connect(stranger), UnauthorizedError);
        await stranger.finishAuth(await authProvider.authorize());
        const [client, wire] = [make(), transport()];
        try {
          await client.connect(wire);
          const call = () => client.callTool({ name: tools.dear, arguments: given.dear });
          const before = calls();
          await assert.rejects(call(), (error) => error instanceof UnauthorizedError);
          assert.equal(calls(), before, "it did not reach the origin server");
          const small = authProvider.tokens().access_token;
          await wire.finishAuth(await authProvider.authorize());
          const big = authProvider.tokens().access_token;
          assert.equal(decodeJwt(small).scope, "mcp:tools");
          const scopes = decodeJwt(big).scope.split(" ").sort();
          assert.deepEqual(scopes, ["files:write", "mcp:tools"]);

          const { sessionId } = wire;
          assert.match(textOf(await call()), says.dear);
          assert.equal(
            Boolean(wire.sessionId),
            Boolean(sessionId),
            "the session goes on under the new token",
          );
          const listed = (await client.listTools()).tools.map(({ name }) => name);
          assert.deepEqual(listed.sort(), [tools.dear, tools.free].sort());
        } finally {
          await client.close();
        }
      });
    }
  });
}
