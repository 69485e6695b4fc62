/**
 * A second real provider (PyPI canaille): users log in there, and the gateway asks it again about them. It does not provision them: the
 * SCIM client of canaille 0.3.6 needs a service that publishes every attribute of RFC 7643 §4.1.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startLogin } from "../e2e/support/login.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { noPython, python } from "../e2e/support/python.mjs";
import { rememberSecret } from "../e2e/support/secrets.mjs";
import { use } from "./support/company.mjs";

const PACKAGES = ["pytest-iam==0.3.0", "canaille[oidc]==0.3.6"];
const PROGRAM = fileURLToPath(new URL("support/canaille_provider.py", import.meta.url));
const secret = () => {
  const text = randomBytes(24).toString("base64url");
  rememberSecret(text);
  return text;
};
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

/** Starts canaille; `ask` has it do something, and resolves when it has. */
async function startCanaille({ port, redirectUri, clientSecret }) {
  const program = await python(PACKAGES);
  const child = spawn(program, [PROGRAM, `${port}`, redirectUri, clientSecret], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let complaint = "";
  child.stderr.on("data", (data) => (complaint = `${complaint}${data}`.slice(-3_000)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`canaille ended:\n${complaint}`);
    return value;
  };
  assert.equal(await read(), "ready");
  return {
    issuer: `http://localhost:${port}`,
    async ask(what) {
      child.stdin.write(`${JSON.stringify(what)}\n`);
      const answer = JSON.parse(await read());
      assert.deepEqual(answer, { done: true }, complaint);
    },
    async close() {
      child.stdin.end();
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

describe("canaille as provider", { skip: noPython, timeout: 400_000 }, () => {
  let scene;
  let provider;
  before(async () => {
    const ports = { gateway: await freePort() };
    const url = `http://127.0.0.1:${ports.gateway}`;
    const [port, clientSecret] = [await freePort(), secret()];
    provider = await startCanaille({ port, redirectUri: `${url}/callback`, clientSecret });
    scene = await startLogin({
      ports,
      isolates: 3,
      secrets: { CANAILLE_SECRET: clientSecret },
      server: {
        token_claims: ["groups"],
        entitlements: [{ scopes: ["files:write"], groups: ["Writers"] }],
        scopes: { "files:write": "Change your files" },
      },
      login: {
        issuer: provider.issuer,
        client_id: "portcullis",
        secret: "CANAILLE_SECRET",
        scopes: ["openid", "profile", "email", "groups", "offline_access"],
        // A refresh gives no ID token there.
        userinfo_endpoint: `${provider.issuer}/oauth/userinfo`,
        recheck_minutes: 1,
        outage_minutes: 0,
      },
    });
  });
  after(async () => {
    await scene?.close();
    await provider?.close();
  });

  /** A user of the provider who has logged in. */
  const known = async (name, scope = "mcp:tools") => {
    await provider.ask({ do: "login", name });
    const login = await scene.login({ parameters: { scope } });
    assert.equal(login.status, 200, JSON.stringify(login.body));
    for (const port of scene.gateway.directPorts)
      assert.equal((await use(scene.gateway, login.body.access_token, port)).status, 200);
    return login;
  };
  const refresh = ({ client, body }) =>
    scene.token({
      grant_type: "refresh_token",
      client_id: client.client_id,
      refresh_token: body.refresh_token,
    });

  test("its users log in and call a tool in every isolate, and its groups decide about scopes", async () => {
    await provider.ask({ do: "user", name: "ada" });
    const { body } = await known("ada");
    assert.equal(claimsOf(body.access_token).sub, "ada");
    await provider.ask({ do: "group", name: "Readers", members: ["ada"] });
    await assert.rejects(known("ada", "files:write"), /access_denied/);
    await provider.ask({ do: "group", name: "Writers", members: ["ada"] });
    const again = await known("ada", "mcp:tools files:write");
    assert.match(again.body.scope, /files:write/);
    assert.deepEqual(claimsOf(again.body.access_token).groups.sort(), ["Readers", "Writers"]);
  });

  test("a refresh after `recheck_minutes` follows what it says: who stays, who lost a group, and who left", async () => {
    const names = ["stays", "regrouped", "deleted"];
    for (const name of names) await provider.ask({ do: "user", name });
    await provider.ask({ do: "group", name: "Writers", members: names });
    const logins = {};
    for (const name of names) logins[name] = await known(name, "mcp:tools files:write");
    await provider.ask({ do: "login" });
    await provider.ask({ do: "group", name: "Writers", members: ["stays"] });
    await provider.ask({ do: "delete", name: "deleted" });
    // `recheck_minutes` is 1.
    await sleep(61_000);
    const stays = await refresh(logins.stays);
    assert.equal(stays.status, 200, JSON.stringify(stays.body));
    assert.match(stays.body.scope, /files:write/);
    const regrouped = await refresh(logins.regrouped);
    assert.equal(regrouped.status, 200, JSON.stringify(regrouped.body));
    assert.equal(regrouped.body.scope, "mcp:tools");
    const { status, body } = await refresh(logins.deleted);
    // It says `invalid_request` of a user who is gone, which could be about the gateway itself: without `outage_minutes` that is no
    // access, and not the end of the grant.
    assert.deepEqual([status, body.error], [503, "temporarily_unavailable"]);
    const said = scene.gateway.events().filter(({ reason }) => reason === "recheck_failed");
    assert.ok(said.every(({ detail }) => /invalid_request/.test(detail)) && said.length > 0);
  });
});
