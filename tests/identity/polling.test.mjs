/** Signals that the gateway asks a transmitter for (RFC 8936): a real schedule, several isolates, a transmitter that holds requests. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startLogin } from "../e2e/support/login.mjs";
import { signed, use } from "./support/company.mjs";

const REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const TOKEN = "stream-token-0123456789";
const seconds = () => Math.floor(Date.now() / 1000);

/** A transmitter that keeps SETs until they are acknowledged. `holds` are the milliseconds for which it holds a request. */
async function startTransmitter({ holds = 20_000 } = {}) {
  const state = { sets: new Map(), acknowledged: [], errors: {}, requests: [], loses: 0, holds };
  const waiting = new Set();
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    const body = JSON.parse(text);
    state.requests.push({ body, fields: request.headers, method: request.method });
    const send = (status, answer) => {
      if (!response.destroyed) response.writeHead(status, { "Content-Type": "application/json" }).end(answer);
    };
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return send(401, "{}");
    // It got the request, and the gateway does not learn of it.
    if (state.loses > 0 && body.ack) {
      state.loses -= 1;
      return request.socket.destroy();
    }
    for (const id of body.ack ?? []) {
      state.sets.delete(id);
      state.acknowledged.push(id);
    }
    for (const [id, error] of Object.entries(body.setErrs ?? {})) {
      state.sets.delete(id);
      state.errors[id] = error;
    }
    const answer = () => {
      waiting.delete(answer);
      const all = [...state.sets];
      const sets = Object.fromEntries(all.slice(0, body.maxEvents));
      send(200, JSON.stringify({ sets, moreAvailable: all.length > body.maxEvents }));
    };
    if (state.sets.size > 0 || body.returnImmediately || state.holds === 0) return answer();
    waiting.add(answer);
    setTimeout(() => waiting.has(answer) && answer(), state.holds).unref();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    state,
    url: `http://127.0.0.1:${server.address().port}/poll`,
    put(id, set) {
      state.sets.set(id, set);
      for (const answer of [...waiting]) answer();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

const start = (transmitter, server = {}, poll = {}) =>
  startLogin({
    isolates: 3,
    secrets: { STREAM_TOKEN: TOKEN },
    server: (idp) => ({
      trusted_issuers: [
        {
          name: "idp",
          issuer: idp.issuer,
          signals: { poll: { url: transmitter.url, secret: "STREAM_TOKEN", ...poll } },
        },
      ],
      ...server,
    }),
    login: { recheck_minutes: 60 },
  });

const revoked = (scene, id, sub, claims = {}) =>
  signed(
    scene.idp,
    {
      iss: scene.idp.issuer,
      aud: `${scene.issuer}/signals/idp`,
      iat: seconds(),
      jti: id,
      events: { [REVOKED]: { subject: { format: "iss_sub", iss: scene.idp.issuer, sub } } },
      ...claims,
    },
    { typ: "secevent+jwt" },
  );

async function until(what, holds, limit) {
  const begun = Date.now();
  while (!(await holds())) {
    assert.ok(Date.now() < begun + limit, `${what}: not within ${limit} ms`);
    await sleep(50);
  }
  return Date.now() - begun;
}

/** Milliseconds from now until every isolate refuses a token. */
const refusedEverywhere = (scene, token, limit) =>
  until(
    "refused everywhere",
    async () => {
      for (const port of scene.gateway.directPorts)
        if ((await use(scene.gateway, token, port)).status !== 401) return false;
      return true;
    },
    limit,
  );

for (const [mode, server, holds, limit] of [
  ["by default, of a transmitter that holds requests", {}, 20_000, 5_000],
  ["by default, of a transmitter that answers at once", {}, 0, 7_000],
  ["with revocation_seconds = 0", { revocation_seconds: 0 }, 20_000, 1_000],
])
  describe(`signals that the gateway asks for ${mode}`, { timeout: 180_000 }, () => {
    let scene;
    let transmitter;
    before(async () => {
      transmitter = await startTransmitter({ holds });
      scene = await start(transmitter, server);
      // It lasts until the gateway ends.
      scene.gateway.schedule().catch(() => {});
    });
    after(async () => {
      await scene?.close();
      await transmitter?.close();
    });

    const known = async (sub) => {
      scene.idp.user = { sub, email: `${sub}@acme.example`, email_verified: true, groups: ["tools"] };
      const login = await scene.login();
      for (const port of scene.gateway.directPorts)
        assert.equal((await use(scene.gateway, login.body.access_token, port)).status, 200);
      return login;
    };

    test("a session that is revoked ends in every isolate, and the SET is acknowledged", async (t) => {
      const sub = `user-${randomUUID()}`;
      const [mine, others] = [await known(sub), await known("bystander")];
      const id = randomUUID();
      transmitter.put(id, await revoked(scene, id, sub));
      const took = await refusedEverywhere(scene, mine.body.access_token, limit);
      t.diagnostic(`${mode}: ${took} ms from the signal to the last refusal`);
      await until("acknowledged", () => transmitter.state.acknowledged.includes(id), 5_000);
      const refreshed = await scene.token({
        grant_type: "refresh_token",
        client_id: mine.client.client_id,
        refresh_token: mine.body.refresh_token,
      });
      assert.equal(refreshed.body.error, "invalid_grant");
      assert.equal((await use(scene.gateway, others.body.access_token)).status, 200);
    });

    // How the gateway acknowledges does not depend on the mode.
    if (holds === 0 || limit < 5_000) return;

    test("an acknowledgement that is lost is sent again, and the SET may come twice", async () => {
      const sub = `user-${randomUUID()}`;
      const mine = await known(sub);
      const id = randomUUID();
      transmitter.state.loses = 1;
      transmitter.put(id, await revoked(scene, id, sub));
      await refusedEverywhere(scene, mine.body.access_token, limit);
      await until("acknowledged", () => transmitter.state.acknowledged.includes(id), 20_000);
      assert.equal((await scene.login({})).status, 200, "who logs in again has access");
    });

    test("SETs that are not accepted are reported, and change nothing", async () => {
      const mine = await known("stays");
      const { put } = transmitter;
      put("audience", await revoked(scene, "audience", "stays", { aud: "https://elsewhere.example" }));
      put("garbage", "a.b.c");
      put("id", await revoked(scene, "another", "stays"));
      await until("reported", () => Object.keys(transmitter.state.errors).length >= 3, 10_000);
      const codes = Object.entries(transmitter.state.errors).map(([id, { err }]) => `${id} ${err}`);
      assert.deepEqual(codes.sort(), [
        "audience invalid_audience",
        "garbage invalid_request",
        "id invalid_request",
      ]);
      assert.equal((await use(scene.gateway, mine.body.access_token)).status, 200);
    });
  });

describe("a stream with many signals", { timeout: 240_000 }, () => {
  let scene;
  let transmitter;
  before(async () => {
    transmitter = await startTransmitter();
    scene = await start(transmitter);
  });
  after(async () => {
    await scene?.close();
    await transmitter?.close();
  });

  test("1,000 signals about unknown users delay the one about a known user by seconds", async (t) => {
    scene.idp.user = { sub: "last", email: "last@acme.example", email_verified: true, groups: ["tools"] };
    const mine = await scene.login();
    for (let one = 0; one < 1_000; one += 1) {
      const id = `many-${one}`;
      transmitter.state.sets.set(id, await revoked(scene, id, `unknown-${one}`));
    }
    transmitter.state.sets.set("last", await revoked(scene, "last", "last"));
    const begun = Date.now();
    const run = scene.gateway.schedule();
    await until("all acknowledged", () => transmitter.state.acknowledged.length === 1_001, 55_000);
    t.diagnostic(`1,001 signals: ${Date.now() - begun} ms`);
    assert.equal((await use(scene.gateway, mine.body.access_token)).status, 401);
    assert.deepEqual(transmitter.state.errors, {});
    assert.ok(transmitter.state.requests.every(({ body }) => (body.ack ?? []).length <= 25));
    assert.equal((await run).outcome, "ok", "the run ends before the next one begins");
    const [line] = scene.gateway.events().filter(({ reason }) => reason === "signals_polled");
    assert.match(line.detail, /received 1001, refused 0/);
  });
});

test("a transmitter that refuses the token is in the log, and the endpoint for pushed signals is closed", async () => {
  const transmitter = await startTransmitter();
  const scene = await startLogin({
    secrets: { STREAM_TOKEN: "another-token" },
    server: (idp) => ({
      trusted_issuers: [
        {
          name: "idp",
          issuer: idp.issuer,
          signals: { poll: { url: transmitter.url, secret: "STREAM_TOKEN" } },
        },
      ],
    }),
  });
  try {
    scene.gateway.schedule().catch(() => {});
    const said = () => scene.gateway.events().find(({ reason }) => reason === "signals_unavailable");
    await until("in the log", () => said() !== undefined, 10_000);
    assert.match(said().detail, /"idp": status 401/);
    const pushed = await fetch(`${scene.issuer}/signals/idp`, {
      method: "POST",
      headers: { "Content-Type": "application/secevent+jwt" },
      body: await revoked(scene, "x", "ada"),
    });
    assert.equal(pushed.status, 404);
  } finally {
    await scene.close();
    await transmitter.close();
  }
});
