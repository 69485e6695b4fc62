/**
 * Published MCP clients, from the first 401 to the result of a tool: they find the metadata, register,
 * authorize with PKCE at a real identity provider, and call a real origin through the gateway.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { decodeJwt } from "jose";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { CLIENTS } from "./support/clients/all.mjs";
import { startEverything } from "./support/everything.mjs";
import { freePort } from "./support/processes.mjs";
import { startRecorder } from "./support/recorder.mjs";

const MODERN = "2026-07-28";
const LEGACY = "2025-11-25";

const { startGateway } = await import(
  process.env.PORTCULLIS_GATEWAY_MODULE ?? new URL("./support/gateway.mjs", import.meta.url)
);
const { startOrigin } = await import(
  process.env.PORTCULLIS_ORIGIN_MODULE ?? new URL("../../examples/origin/server.mjs", import.meta.url)
);

const ORIGINS = {
  "dual-era origin": {
    start: startOrigin,
    eras: ["modern", "legacy"],
    tool: { name: "add", arguments: { a: 19, b: 23 } },
    expected: /^\D*42\D*$/,
  },
  "server-everything": {
    start: startEverything,
    eras: ["legacy"],
    tool: { name: "get-sum", arguments: { a: 19, b: 23 } },
    expected: /The sum of 19 and 23 is 42/,
  },
};

for (const [originName, { start, eras, tool, expected }] of Object.entries(ORIGINS)) {
  describe(`through the gateway to ${originName}`, { timeout: 240_000 }, () => {
    const running = [];
    const keep = async (starting) => {
      const thing = await starting;
      running.push(thing);
      return thing;
    };
    let idp;
    let origin;
    let resource;

    before(
      async () => {
        idp = await keep(startIdentityProvider({ autoLogin: true }));
        origin = await keep(startRecorder((await keep(start())).url));
        const port = await freePort();
        const publicUrl = `http://127.0.0.1:${port}`;
        resource = `${publicUrl}/mcp`;
        await keep(
          startGateway({
            port,
            secrets: {},
            config: {
              public_url: publicUrl,
              development: true,
              issuers: [{ name: "idp", issuer: idp.issuer }],
              resources: [{ path: "/mcp", origin: origin.url, issuers: ["idp"], scopes: ["mcp:tools"] }],
            },
          }),
        );
      },
      { timeout: 60_000 },
    );

    after(
      async () => {
        await Promise.allSettled(running.reverse().map((thing) => thing.close()));
      },
      { timeout: 20_000 },
    );

    for (const [clientName, client] of Object.entries(CLIENTS)) {
      const era = client.eras.find((candidate) => eras.includes(candidate));
      if (!era) continue;

      test(`${clientName}: ${era} era`, { timeout: 60_000 }, async () => {
        const folder = await mkdtemp(join(tmpdir(), "portcullis-e2e-"));
        const tokens = [];
        const stopListening = idp.onToken(({ access_token }) => tokens.push(access_token));
        origin.requests.length = 0;
        try {
          const outcome = await client.run({ url: resource, tool, folder });

          const text = outcome.result.content.map((block) => block.text).join("\n");
          assert.match(text, expected);
          assert.notEqual(outcome.result.isError, true);
          if (outcome.tools) assert.ok(outcome.tools.includes(tool.name), "the tool is in the list");

          assertNegotiated(era, outcome, origin.requests);
          assertTokens(tokens, { issuer: idp.issuer, resource });
          assertTokensStayAtTheGateway(tokens, origin.requests);
        } finally {
          stopListening();
          await rm(folder, { recursive: true, force: true });
        }
      });
    }
  });
}

/** What the client says (when it says it), and what the origin saw. */
function assertNegotiated(era, outcome, requests) {
  const version = era === "modern" ? MODERN : LEGACY;
  if (outcome.era) assert.equal(outcome.era, era);
  if (outcome.protocolVersion) assert.equal(outcome.protocolVersion, version);

  const calls = requests.filter(({ rpcMethod }) => rpcMethod === "tools/call");
  assert.equal(calls.length, 1, "one tools/call reaches the origin");
  assert.equal(calls[0].headers["mcp-protocol-version"], version);
  assert.equal(calls[0].status, 200);

  const initialized = requests.some(({ rpcMethod }) => rpcMethod === "initialize");
  assert.equal(initialized, era === "legacy", "the handshake belongs to the legacy era, and only to it");
}

function assertTokens(tokens, { issuer, resource }) {
  assert.equal(tokens.length, 1, "one sign-in is enough");
  const claims = decodeJwt(tokens[0]);
  assert.equal(claims.iss, issuer);
  assert.equal(claims.aud, resource);
  assert.equal(claims.scope, "mcp:tools");
  assert.equal(claims.sub, "ada");
}

function assertTokensStayAtTheGateway(tokens, requests) {
  const seen = JSON.stringify(requests);
  for (const token of tokens) assert.ok(!seen.includes(token), "the origin gets no token of the client");
}
