/** Token endpoints that are slow, down or wrong: what the caller gets, and that nothing reaches the MCP server without a credential. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../e2e/support/processes.mjs";
import { remember } from "../e2e/support/secrets.mjs";
import { startCredentialScene } from "./support/scene.mjs";

const ISSUED = remember("a-token-that-the-endpoint-issued");
const GOOD = { access_token: ISSUED, token_type: "Bearer", expires_in: 300 };

/** A token endpoint that answers as the test sets it, and can be taken away. */
async function startEndpoint() {
  const it = { asked: 0, answer: (response) => response.end(JSON.stringify(GOOD)) };
  let server;
  let port = 0;
  it.open = async () => {
    server = createServer((request, response) => {
      it.asked += 1;
      request.resume();
      response.setHeader("content-type", "application/json");
      it.answer(response, request);
    });
    await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
    port = server.address().port;
    it.url = `http://127.0.0.1:${port}/token`;
  };
  it.close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  await it.open();
  return it;
}

const json = (status, body) => (response) => response.writeHead(status).end(JSON.stringify(body));

const CASES = [
  [
    "answers late",
    (response) => setTimeout(() => response.end(JSON.stringify(GOOD)), 4_000),
    503,
    /in time|abort|time/i,
  ],
  ["answers half", (response) => response.writeHead(200, { "content-length": 500 }).end("{"), 503, /.+/],
  ["closes the connection", (response) => response.destroy(), 503, /.+/],
  ["answers 429", json(429, {}), 503, /status 429/],
  [
    "answers 500 with a page",
    (response) => response.writeHead(500, { "content-type": "text/html" }).end("<h1>"),
    503,
    /status 500/,
  ],
  [
    "answers 200 with a page",
    (response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>"),
    502,
    /not JSON/,
  ],
  [
    "redirects",
    (response) => response.writeHead(307, { location: "http://127.0.0.1:9/token" }).end(),
    502,
    /status 307/,
  ],
  [
    "sends a document without end",
    (response) => {
      const write = () =>
        response.write("x".repeat(65_536)) ? setImmediate(write) : response.once("drain", write);
      response.on("error", () => {});
      response.on("close", () => response.removeAllListeners("drain"));
      write();
    },
    503,
    /too large/,
  ],
  ["says that the secret is wrong", json(401, { error: "invalid_client" }), 502, /invalid_client/],
  ["has no expires_in", json(200, { ...GOOD, expires_in: undefined }), 200],
  ["has expires_in 0", json(200, { ...GOOD, expires_in: 0 }), 502, /expires_in/],
  ["has a negative expires_in", json(200, { ...GOOD, expires_in: -5 }), 502, /expires_in/],
  ["has expires_in as text", json(200, { ...GOOD, expires_in: "300" }), 200],
  ["has a token with a line feed", json(200, { ...GOOD, access_token: "a\nx-evil: 1" }), 502, /access_token/],
  ["issues a DPoP token", json(200, { ...GOOD, token_type: "DPoP" }), 502, /token_type/],
];

describe("a token endpoint that", { timeout: 180_000 }, () => {
  for (const [what, answer, status, detail] of CASES) {
    test(what, async () => {
      const endpoint = await startEndpoint();
      const scene = await startCredentialScene({
        credential: () => ({
          client_credentials: {
            client: {
              token_endpoint: endpoint.url,
              client_id: "gate",
              secret: "CURRENT",
              timeout_seconds: 2,
            },
          },
        }),
        tools: { keys: [`Bearer ${ISSUED}`] },
      });
      try {
        endpoint.answer = answer;
        const reply = await scene.post();
        assert.equal(reply.status, status, scene.last().detail);
        assert.equal(reply.fields.get("www-authenticate"), null);
        assert.equal(scene.tools.seen.length, status === 200 ? 1 : 0, "nothing without the credential");
        if (detail) assert.match(scene.last().detail, detail);
        // A gateway that asked for each request would make an outage worse.
        await scene.post();
        assert.equal(endpoint.asked, 1);
      } finally {
        await scene.close();
        await endpoint.close();
      }
    });
  }
});

describe("while a token endpoint hangs", { timeout: 120_000 }, () => {
  let endpoint;
  let scene;
  before(async () => {
    endpoint = await startEndpoint();
    scene = await startCredentialScene({
      credential: () => ({
        client_credentials: {
          client: { token_endpoint: endpoint.url, client_id: "gate", secret: "CURRENT", timeout_seconds: 3 },
        },
      }),
      tools: { keys: [`Bearer ${ISSUED}`] },
      changes: ({ idp, tools }) => ({
        resources: [
          {
            path: "/mcp",
            origin: tools.url,
            issuers: ["idp"],
            scopes: ["mcp:tools"],
            credential: {
              client_credentials: {
                client: {
                  token_endpoint: endpoint.url,
                  client_id: "gate",
                  secret: "CURRENT",
                  timeout_seconds: 3,
                },
              },
            },
          },
          { path: "/other", origin: tools.url, issuers: ["idp"], audiences: [`${idp.issuer}/other`] },
        ],
      }),
    });
  });
  after(async () => {
    await scene?.close();
    await endpoint?.close();
  });
  beforeEach(() => {
    endpoint.asked = 0;
    endpoint.answer = (response) => response.end(JSON.stringify(GOOD));
  });

  test("one request asks, all others wait for it, and resources without it are served", async () => {
    endpoint.answer = () => {};
    const token = await scene.token();
    const waiting = Array.from({ length: 30 }, () => scene.post({ token }));
    await delay(500);
    const other = await scene.idp.token(`${scene.idp.issuer}/other`);
    const begun = Date.now();
    const served = await fetch(`${scene.gateway.url}/other`, {
      method: "POST",
      headers: { Authorization: `Bearer ${other}`, "Content-Type": "application/json" },
      body: "{}",
    });
    // The MCP server refuses it, because this resource has no credential: it was reached.
    assert.equal(served.status, 502);
    assert.ok(Date.now() - begun < 1_500);
    const all = await Promise.all(waiting);
    assert.ok(all.every(({ status }) => status === 503));
    assert.equal(endpoint.asked, 1);
  });

  test("a client that leaves does not take the token with it", async () => {
    await delay(2_500);
    endpoint.answer = (response) => setTimeout(() => response.end(JSON.stringify(GOOD)), 1_000);
    const token = await scene.token();
    const left = fetch(scene.url, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: "{}",
      signal: AbortSignal.timeout(300),
    });
    await assert.rejects(left);
    await delay(1_500);
    assert.equal((await scene.post({ token })).status, 200);
    assert.equal(endpoint.asked, 1);
  });
});

test("an endpoint that is down when the gateway starts, and comes back", { timeout: 60_000 }, async () => {
  const port = await freePort();
  const scene = await startCredentialScene({
    credential: () => ({
      client_credentials: {
        client: { token_endpoint: `http://127.0.0.1:${port}/token`, client_id: "gate", secret: "CURRENT" },
      },
    }),
    tools: { keys: [`Bearer ${ISSUED}`] },
  });
  const reply = await scene.post();
  assert.equal(reply.status, 503);
  assert.equal(reply.fields.get("retry-after"), "2");
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(GOOD));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  try {
    await delay(2_100);
    assert.equal((await scene.post()).status, 200);
  } finally {
    await scene.close();
    server.closeAllConnections();
    server.close();
  }
});
