/** Event streams that stay open: they end when the access of their user does, in every isolate. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer, request as outgoing } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, send } from "../e2e/support/http.mjs";
import { startLogin } from "../e2e/support/login.mjs";
import { signed } from "./support/company.mjs";

const SECRET = "what the transmitter sends".padEnd(40, ".");
const CHANGED = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change";
const META = "io.modelcontextprotocol";

/** An MCP server whose streams stay open. `open` has those that are, by the name that the request has. */
async function startStreams() {
  const open = new Map();
  const server = createServer((request, response) => {
    request.resume();
    const name = request.headers["x-stream"];
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("event: message\ndata: {}\n\n");
    open.set(name, response);
    response.on("close", () => open.delete(name));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    open,
    url: `http://127.0.0.1:${server.address().port}/mcp`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

const KINDS = {
  legacy: { method: "GET", fields: { Accept: "text/event-stream", "MCP-Protocol-Version": "2025-11-25" } },
  modern: {
    method: "POST",
    fields: {
      Accept: "application/json, text/event-stream",
      "Content-Type": "application/json",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "subscriptions/listen",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "subscriptions/listen",
      params: {
        notifications: { toolsListChanged: true },
        _meta: {
          [`${META}/protocolVersion`]: "2026-07-28",
          [`${META}/clientInfo`]: { name: "streams", version: "1.0.0" },
          [`${META}/clientCapabilities`]: {},
        },
      },
    }),
  },
};

/** Opens a stream: resolves when the first event has come. `ended` says how it ended, and when. */
function openStream(scene, kind, token, port, name = randomUUID()) {
  const { method, fields, body } = KINDS[kind];
  return new Promise((resolve, reject) => {
    const request = outgoing({
      host: "127.0.0.1",
      port,
      path: "/mcp",
      method,
      agent: false,
      headers: {
        host: new URL(scene.url).host,
        authorization: `Bearer ${token}`,
        "x-stream": name,
        ...fields,
      },
    });
    request.once("error", reject);
    request.once("response", (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return reject(new Error(`status ${response.statusCode}`));
      }
      const stream = { name, isOpen: true, how: undefined, close: () => request.socket.resetAndDestroy() };
      const over = (how) => () => {
        if (!stream.isOpen) return;
        stream.isOpen = false;
        stream.how = how;
      };
      response.once("end", over("end")).once("error", over("error")).once("close", over("close"));
      response.once("data", () => resolve(stream));
      response.resume();
    });
    request.end(body);
  });
}

for (const [mode, server, limit] of [
  ["by default", {}, 5_000],
  ["with revocation_seconds = 0", { revocation_seconds: 0 }, 3_000],
])
  describe(`open streams ${mode}`, { timeout: 180_000 }, () => {
    let scene;
    let origin;
    before(async () => {
      origin = await startStreams();
      scene = await startLogin({
        origin,
        isolates: 2,
        resource: { forward_fields: ["x-stream"] },
        secrets: { SIGNALS_SECRET: SECRET },
        server: (idp) => ({
          token_claims: ["groups"],
          trusted_issuers: [{ name: "idp", issuer: idp.issuer, signals: { secret: "SIGNALS_SECRET" } }],
          ...server,
        }),
        login: { recheck_minutes: 60 },
      });
    });
    after(async () => {
      await scene?.close();
      await origin?.close();
    });

    const login = async (sub, groups = ["tools"]) => {
      scene.idp.user = { sub, email: `${sub}@acme.example`, email_verified: true, groups };
      return scene.login();
    };
    const removeGroup = async (sub) => {
      const subject = { format: "iss_sub", iss: scene.idp.issuer, sub };
      const set = await signed(
        scene.idp,
        {
          iss: scene.idp.issuer,
          aud: `${scene.issuer}/signals/idp`,
          iat: Math.floor(Date.now() / 1000),
          jti: randomUUID(),
          events: { [CHANGED]: { subject, claims: { groups: [] } } },
        },
        { typ: "secevent+jwt" },
      );
      const fields = { Authorization: `Bearer ${SECRET}`, "Content-Type": "application/secevent+jwt" };
      const answer = await send(scene.gateway, { method: "POST", target: "/signals/idp", fields, body: set });
      assert.equal(answer.status, 202, answer.body);
    };
    const revoke = ({ client, body }) =>
      fetch(`${scene.issuer}/revoke`, {
        method: "POST",
        body: new URLSearchParams({ client_id: client.client_id, token: body.refresh_token }),
      });

    for (const kind of Object.keys(KINDS))
      for (const [what, end] of [
        ["a group that is removed", (_login, sub) => removeGroup(sub)],
        ["a token that is revoked (RFC 7009)", (login) => revoke(login)],
      ])
        test(`${what} ends ${kind} streams in all isolates, and no other`, async (t) => {
          const sub = `user-${randomUUID()}`;
          const [mine, others] = [await login(sub), await login(`user-${randomUUID()}`)];
          const streams = [];
          // The same twice: the second request repeats the decision of the first one.
          for (const port of [
            ...scene.gateway.directPorts,
            scene.gateway.directPort,
            scene.gateway.directPort,
          ])
            streams.push(await openStream(scene, kind, mine.body.access_token, port));
          const other = await openStream(scene, kind, others.body.access_token, scene.gateway.directPort);
          await sleep(1_500);
          assert.ok(streams.every(({ isOpen }) => isOpen));
          const begun = Date.now();
          await end(mine, sub);
          while (streams.some(({ isOpen }) => isOpen)) {
            assert.ok(Date.now() < begun + limit, `a stream is open after ${limit} ms`);
            await sleep(50);
          }
          t.diagnostic(`${mode}, ${kind}: ${Date.now() - begun} ms until the last stream has ended`);
          assert.deepEqual(new Set(streams.map(({ how }) => how)), new Set(["end"]));
          await eventually("the server's side has ended", () =>
            streams.every(({ name }) => !origin.open.has(name)),
          );
          assert.ok(other.isOpen && origin.open.has(other.name), "another user's stream goes on");
          await assert.rejects(
            openStream(scene, kind, mine.body.access_token, scene.gateway.directPort),
            /status 401/,
          );
          const lines = scene.gateway.events().filter(({ reason }) => reason === "stream_revoked");
          assert.ok(lines.length >= streams.length);
          other.close();
          await eventually("the client's end reaches the server", () => !origin.open.has(other.name));
        });

    test("a stream goes on over refreshes of its grant", async () => {
      const mine = await login(`user-${randomUUID()}`);
      const stream = await openStream(scene, "legacy", mine.body.access_token, scene.gateway.directPort);
      const refreshed = await scene.token({
        grant_type: "refresh_token",
        client_id: mine.client.client_id,
        refresh_token: mine.body.refresh_token,
      });
      assert.equal(refreshed.status, 200);
      await sleep(6_000);
      assert.ok(stream.isOpen);
      stream.close();
    });
  });
