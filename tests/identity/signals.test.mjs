/** Signals of a real provider, received by several isolates: how long it takes until each of them refuses. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { send } from "../e2e/support/http.mjs";
import { startLogin } from "../e2e/support/login.mjs";
import { CookieJar } from "../e2e/support/token.mjs";
import { signed, use } from "./support/company.mjs";

const CAEP = "https://schemas.openid.net/secevent/caep/event-type";
const RISC = "https://schemas.openid.net/secevent/risc/event-type";
const SECRET = "what the transmitter sends".padEnd(40, ".");
const seconds = () => Math.floor(Date.now() / 1000);

/** Starts the gateway in several isolates. */
const start = (server = {}, login = {}) =>
  startLogin({
    isolates: 3,
    secrets: { SIGNALS_SECRET: SECRET },
    server: (idp) => ({
      token_claims: ["groups"],
      trusted_issuers: [{ name: "idp", issuer: idp.issuer, signals: { secret: "SIGNALS_SECRET" } }],
      ...server,
    }),
    login: { recheck_minutes: 60, ...login },
  });

/** Pushes an event about a user, in the isolate at this port. */
async function push(scene, kind, { sub = "ada", event = {}, claims = {}, port } = {}) {
  const subject = { format: "iss_sub", iss: scene.idp.issuer, sub };
  const set = await signed(
    scene.idp,
    {
      iss: scene.idp.issuer,
      aud: `${scene.issuer}/signals/idp`,
      iat: seconds(),
      jti: randomUUID(),
      events: { [kind]: { subject, ...event } },
      ...claims,
    },
    { typ: "secevent+jwt" },
  );
  const fields = { Authorization: `Bearer ${SECRET}`, "Content-Type": "application/secevent+jwt" };
  return send(scene.gateway, { method: "POST", target: "/signals/idp", port, fields, body: set });
}

/** Milliseconds from now until every isolate refuses a token. */
async function refusedEverywhere(scene, token, limit) {
  const begun = Date.now();
  for (const port of scene.gateway.directPorts)
    while ((await use(scene.gateway, token, port)).status !== 401) {
      assert.ok(Date.now() < begun + limit, `it takes longer than ${limit} ms`);
      await sleep(50);
    }
  return Date.now() - begun;
}

const USER = { sub: "ada", email: "ada@acme.example", email_verified: true, groups: ["tools"] };

for (const [mode, server, limit] of [
  ["by default", {}, 5_000],
  ["with revocation_seconds = 0", { revocation_seconds: 0 }, 1_000],
])
  describe(`signals ${mode}`, { timeout: 240_000 }, () => {
    let scene;
    before(async () => {
      scene = await start(server);
    });
    after(() => scene?.close());

    /** A user who logged in a while ago, whose token each isolate knows. */
    const known = async (sub) => {
      scene.idp.user = { ...USER, sub };
      const login = await scene.login();
      for (const port of scene.gateway.directPorts)
        assert.equal((await use(scene.gateway, login.body.access_token, port)).status, 200);
      return login;
    };

    for (const kind of [`${CAEP}/session-revoked`, `${RISC}/account-disabled`, `${RISC}/account-purged`])
      test(`${kind.split("/").at(-1)} is applied by every isolate`, async (t) => {
        const sub = `user-${randomUUID()}`;
        const [mine, others] = [await known(sub), await known("bystander")];
        const answer = await push(scene, kind, { sub });
        assert.equal(answer.status, 202, answer.body);
        const took = await refusedEverywhere(scene, mine.body.access_token, limit);
        t.diagnostic(`${mode}: ${took} ms from the signal to the last refusal`);
        const refreshed = await scene.token({
          grant_type: "refresh_token",
          client_id: mine.client.client_id,
          refresh_token: mine.body.refresh_token,
        });
        assert.equal(refreshed.body.error, "invalid_grant");
        for (const port of scene.gateway.directPorts)
          assert.equal((await use(scene.gateway, others.body.access_token, port)).status, 200);
      });

    test("revoking by RFC 7009, the page of grants and an administrator reach every isolate", async (t) => {
      for (const revoke of [
        ({ client, body }) =>
          fetch(`${scene.issuer}/revoke`, {
            method: "POST",
            body: new URLSearchParams({ client_id: client.client_id, token: body.access_token }),
          }),
        ({ sub }) => scene.admin({ action: "delete", subject: sub }),
      ]) {
        const sub = `user-${randomUUID()}`;
        const login = await known(sub);
        assert.equal((await revoke({ ...login, sub })).status, 200);
        const took = await refusedEverywhere(scene, login.body.access_token, limit);
        t.diagnostic(`${mode}: ${took} ms from the revocation to the last refusal`);
      }
    });
  });

describe("signals of a provider", { timeout: 240_000 }, () => {
  let scene;
  before(async () => {
    scene = await start({}, { back_channel_logout: true });
  });
  after(() => scene?.close());
  const login = async (sub, jar) => {
    scene.idp.user = { ...USER, sub };
    return scene.login({ jar });
  };
  const refresh = ({ client, body }) =>
    scene.token({
      grant_type: "refresh_token",
      client_id: client.client_id,
      refresh_token: body.refresh_token,
    });

  test("a group that is removed is gone after a signal, and the provider is asked for the others", async () => {
    const mine = await login("grouped");
    scene.idp.user = { ...USER, sub: "grouped", groups: ["readers"] };
    assert.equal((await push(scene, `${CAEP}/token-claims-change`, { sub: "grouped" })).status, 202);
    await refusedEverywhere(scene, mine.body.access_token, 7_000);
    await sleep(6_000);
    const { status, body } = await refresh(mine);
    assert.equal(status, 200, JSON.stringify(body));
    const claims = JSON.parse(Buffer.from(body.access_token.split(".")[1], "base64url"));
    assert.deepEqual(claims.groups, ["readers"]);
    assert.equal((await use(scene.gateway, body.access_token)).status, 200);
  });

  test("a user whom the provider no longer knows loses access at the next refresh after a signal", async () => {
    const mine = await login("leaver");
    scene.idp.mischief.forgets = "leaver";
    assert.equal((await push(scene, `${CAEP}/token-claims-change`, { sub: "leaver" })).status, 202);
    const { body } = await refresh(mine);
    assert.equal(body.error, "invalid_grant");
  });

  test("a sign-in to the page of grants ends with the session", async () => {
    const jar = new CookieJar();
    await login("signed-in", jar);
    const visit = async () => {
      const url = new URL(`${scene.issuer}/grants`);
      return (await fetch(url, { redirect: "manual", headers: { cookie: jar.header(url) } })).status;
    };
    assert.equal(await visit(), 200);
    assert.equal((await push(scene, `${CAEP}/session-revoked`, { sub: "signed-in" })).status, 202);
    assert.equal(await visit(), 302);
  });

  test("a logout token of the provider ends the user's access", async () => {
    const mine = await login("leaving");
    const token = await signed(
      scene.idp,
      {
        iss: scene.idp.issuer,
        aud: scene.idp.client.id,
        iat: seconds(),
        exp: seconds() + 60,
        jti: randomUUID(),
        sub: "leaving",
        events: { "http://schemas.openid.net/event/backchannel-logout": {} },
      },
      { typ: "logout+jwt" },
    );
    const answer = await fetch(`${scene.issuer}/backchannel-logout`, {
      method: "POST",
      body: new URLSearchParams({ logout_token: token }),
    });
    assert.equal(answer.status, 200, await answer.text());
    await refusedEverywhere(scene, mine.body.access_token, 7_000);
  });

  // SIGNALS=10000 sends as many as the busiest transmitter would in a minute.
  const many = Number(process.env.SIGNALS ?? 1_000);
  test(`${many} signals about users who are not known leave others alone`, {
    timeout: 120_000,
  }, async (t) => {
    const mine = await login("bystander");
    const begun = Date.now();
    let next = 0;
    const statuses = new Map();
    const worker = async (port) => {
      while (next < many) {
        next += 1;
        const { status } = await push(scene, `${CAEP}/session-revoked`, { sub: `stranger-${next}`, port });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    const ports = scene.gateway.directPorts;
    const workers = Array.from({ length: 12 }, (_, at) => worker(ports[at % ports.length]));
    let slowest = 0;
    const used = (async () => {
      while (next < many) {
        const asked = Date.now();
        assert.equal((await use(scene.gateway, mine.body.access_token)).status, 200);
        slowest = Math.max(slowest, Date.now() - asked);
        await sleep(250);
      }
    })();
    await Promise.all([...workers, used]);
    const took = Date.now() - begun;
    t.diagnostic(`${many} signals in ${took} ms; the slowest of the other requests took ${slowest} ms`);
    assert.deepEqual([...statuses], [[202, many]]);
    assert.equal((await push(scene, `${CAEP}/session-revoked`, { sub: "bystander" })).status, 202);
    await refusedEverywhere(scene, mine.body.access_token, 7_000);
  });
});
