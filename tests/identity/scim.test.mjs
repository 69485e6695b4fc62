/** Provisioning with SCIM, in real isolates with a real provider: conformance, access that ends, groups, and large groups. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CALLBACK, startLogin } from "../e2e/support/login.mjs";
import { noPython, python } from "../e2e/support/python.mjs";
import { authorizeHeadlessly, CookieJar } from "../e2e/support/token.mjs";
import { use } from "./support/company.mjs";

const SECRET = "what the provider sends".padEnd(40, ".");
const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const start = (server = {}, scim = {}) =>
  startLogin({
    isolates: 3,
    secrets: { SCIM_SECRET: SECRET },
    server: {
      token_claims: ["groups"],
      entitlements: [{ scopes: ["files:write"], groups: ["Writers"] }],
      scopes: { "files:write": "Change your files" },
      ...server,
    },
    login: { recheck_minutes: 60, scim: { secrets: ["SCIM_SECRET"], binding: "DIRECTORY", ...scim } },
  });

describe("provisioning with SCIM", { timeout: 400_000 }, () => {
  let scene;
  before(async () => {
    scene = await start();
  });
  after(() => scene?.close());

  /** A request to the SCIM service: status and body. */
  async function scim(
    method,
    path,
    body,
    { at = scene, token = SECRET, type = "application/scim+json" } = {},
  ) {
    const answer = await fetch(`${at.issuer}/scim/v2${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": type }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? undefined : JSON.parse(text), answer };
  }
  const patch = (path, Operations, options) => scim("PATCH", path, { schemas: [PATCH], Operations }, options);
  /** Provisions a user of this subject, as Okta does: the id in the directory. */
  async function provision(sub, more = {}, options) {
    const user = {
      schemas: [USER, ENTERPRISE],
      userName: `${sub}@acme.example`,
      externalId: sub,
      active: true,
      name: { givenName: sub, familyName: "Acme" },
      emails: [{ primary: true, value: `${sub}@acme.example`, type: "work" }],
      [ENTERPRISE]: { department: "Tools" },
      ...more,
    };
    const made = await scim("POST", "/Users", user, options);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.id;
  }
  /** Signs in as a user who is provisioned: tokens. */
  async function signIn(sub, scope = "mcp:tools", at = scene) {
    at.idp.user = { sub, email: `${sub}@acme.example`, email_verified: true };
    const { client, body } = await at.login({ parameters: { scope } });
    return { client, ...body };
  }
  /** Milliseconds until every isolate refuses a token. */
  async function refusedEverywhere(at, token, limit) {
    const since = Date.now();
    for (const port of at.gateway.directPorts)
      while ((await use(at.gateway, token, port)).status !== 401) {
        assert.ok(Date.now() < since + limit, `it takes longer than ${limit} ms`);
        await sleep(20);
      }
    return Date.now() - since;
  }

  test("scim2-tester and scim2-client find nothing wrong", { skip: noPython }, async (context) => {
    const program = await python(["scim2-tester==0.5.2", "scim2-client[httpx2]==0.13.2"]);
    const script = fileURLToPath(new URL("support/scim_conformance.py", import.meta.url));
    const child = spawn(program, [script, `${scene.issuer}/scim/v2`, SECRET]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const code = await new Promise((resolve) => child.once("close", resolve));
    const [, passed, failed] = output.match(/^(\d+) passed, (\d+) failed$/m) ?? [];
    assert.ok(code === 0 && failed === "0" && Number(passed) >= 60, output.slice(-4000));
    context.diagnostic(`scim2-tester: ${passed} passed, ${failed} failed`);
  });

  test("a user whom the provider has not provisioned does not get in", async () => {
    scene.idp.user = { sub: "stranger" };
    await assert.rejects(scene.login(), /access_denied/);
    await provision("stranger");
    assert.equal((await scene.login()).status, 200);
  });

  for (const [how, end] of [
    ["PATCH active (Okta)", (id) => patch(`/Users/${id}`, [{ op: "replace", value: { active: false } }])],
    [
      "PATCH active as text (Entra ID)",
      (id) => patch(`/Users/${id}`, [{ op: "Replace", path: "active", value: "False" }]),
    ],
    ["DELETE", (id) => scim("DELETE", `/Users/${id}`)],
  ])
    test(`access ends in every isolate: ${how}`, async (context) => {
      const sub = `ends-${randomUUID()}`;
      const id = await provision(sub);
      const tokens = await signIn(sub);
      for (const port of scene.gateway.directPorts)
        assert.equal((await use(scene.gateway, tokens.access_token, port)).status, 200);
      const since = Date.now();
      const ended = await end(id);
      assert.ok(ended.status === 200 || ended.status === 204, JSON.stringify(ended.body));
      await refusedEverywhere(scene, tokens.access_token, 10_000);
      const took = Date.now() - since;
      assert.ok(took < 10_000);
      context.diagnostic(`from the request to the last refusal: ${took} ms`);
      const refreshed = await scene.token({
        grant_type: "refresh_token",
        client_id: tokens.client.client_id,
        refresh_token: tokens.refresh_token,
      });
      assert.deepEqual([refreshed.status, refreshed.body.error], [400, "invalid_grant"]);
      await assert.rejects(signIn(sub), /access_denied/);
    });

  test("with revocation_seconds = 0, the next request is refused", async (context) => {
    const exact = await start({ revocation_seconds: 0 });
    try {
      const id = await provision("ada", {}, { at: exact });
      const tokens = await signIn("ada", "mcp:tools", exact);
      for (const port of exact.gateway.directPorts)
        assert.equal((await use(exact.gateway, tokens.access_token, port)).status, 200);
      await patch(`/Users/${id}`, [{ op: "replace", path: "active", value: false }], { at: exact });
      const took = await refusedEverywhere(exact, tokens.access_token, 1_000);
      context.diagnostic(`after the answer: ${took} ms`);
    } finally {
      await exact.close();
    }
  });

  test("groups of the directory decide, and a change of them takes effect", async () => {
    const id = await provision("writer");
    const made = await scim("POST", "/Groups", {
      schemas: [GROUP],
      displayName: "Writers",
      members: [{ value: id }],
    });
    assert.equal(made.status, 201);
    const tokens = await signIn("writer", "mcp:tools files:write");
    assert.equal(tokens.scope, "files:write mcp:tools");
    const removed = await patch(`/Groups/${made.body.id}`, [
      { op: "Remove", path: `members[value eq "${id}"]` },
    ]);
    assert.equal(removed.status, 204);
    await refusedEverywhere(scene, tokens.access_token, 10_000);
    const { body } = await scene.token({
      grant_type: "refresh_token",
      client_id: tokens.client.client_id,
      refresh_token: tokens.refresh_token,
    });
    assert.equal(body.scope, "mcp:tools");
    assert.equal((await use(scene.gateway, body.access_token)).status, 200);
  });

  test("a group of 5,000 members, in pages", async (context) => {
    const ids = [];
    const all = Array.from({ length: 5_000 }, (_, index) => `member-${index}`);
    const since = Date.now();
    for (let at = 0; at < all.length; at += 50)
      ids.push(...(await Promise.all(all.slice(at, at + 50).map((sub) => provision(sub, { emails: [] })))));
    const provisioned = Date.now() - since;
    const made = await scim("POST", "/Groups", { schemas: [GROUP], displayName: "Everyone" });
    const path = `/Groups/${made.body.id}`;
    for (let at = 0; at < ids.length; at += 1_000) {
      const value = ids.slice(at, at + 1_000).map((id) => ({ value: id }));
      assert.equal((await patch(path, [{ op: "add", path: "members", value }])).status, 204);
    }
    const whole = await scim("GET", path);
    assert.equal(whole.body.members.length, 5_000);
    const bare = await scim("GET", `${path}?excludedAttributes=members`);
    assert.equal(bare.body.members, undefined);
    const seen = new Set();
    for (let startIndex = 1; ; startIndex += 200) {
      const page = await scim("GET", `/Users?startIndex=${startIndex}&count=200`);
      for (const user of page.body.Resources ?? []) seen.add(user.id);
      if (startIndex + 200 > page.body.totalResults) break;
    }
    assert.ok(ids.every((id) => seen.has(id)));
    const asked = Date.now();
    const mine = await scim(
      "GET",
      `/Groups?filter=${encodeURIComponent(`members[value eq "${ids[4_321]}"]`)}`,
    );
    assert.deepEqual(
      mine.body.Resources.map((group) => group.displayName),
      ["Everyone"],
    );
    context.diagnostic(`5,000 users in ${provisioned} ms; a look-up by member in ${Date.now() - asked} ms`);
    // One of them is signed in: the deletion of the group concerns that one.
    const tokens = await signIn("member-4321");
    assert.equal((await scim("DELETE", path)).status, 204);
    await refusedEverywhere(scene, tokens.access_token, 10_000);
  });

  test("a login that its client holds open does not outlive a change of the directory", async () => {
    let slow = false;
    let asked = () => {};
    const redirectUri = CALLBACK;
    const host = createServer(async (_request, response) => {
      asked();
      if (slow) await sleep(2_000);
      const body = { client_id: id, client_name: "Slow", redirect_uris: [redirectUri] };
      response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify(body));
    });
    await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
    const id = `http://127.0.0.1:${host.address().port}/client`;
    /** Signs in, and changes the directory while the gateway reads the client's metadata. */
    const attempt = async (sub, scope, meanwhile) => {
      scene.idp.user = { sub };
      const jar = new CookieJar();
      const { target } = scene.authorization(id, { scope });
      slow = false;
      const until = `${scene.issuer}/callback`;
      const callback = await authorizeHeadlessly(target, { jar, until });
      slow = true;
      const reached = new Promise((resolve) => {
        asked = resolve;
      });
      const held = fetch(callback, { redirect: "manual", headers: { Cookie: jar.header(callback) } });
      await reached;
      await meanwhile();
      const back = await held;
      const sent = new URL(back.headers.get("location"));
      const session = back.headers.getSetCookie().some((cookie) => cookie.includes("session"));
      return { error: sent.searchParams.get("error"), code: sent.searchParams.get("code"), session };
    };
    try {
      const user = await provision("held");
      const ended = await attempt("held", "mcp:tools", () =>
        patch(`/Users/${user}`, [{ op: "replace", path: "active", value: false }]),
      );
      assert.deepEqual(ended, { error: "access_denied", code: null, session: false });
      const other = await provision("held-2");
      const { body } = await scim("POST", "/Groups", {
        schemas: [GROUP],
        displayName: `Held ${randomUUID()}`,
        members: [{ value: other }],
      });
      const changed = await attempt("held-2", "mcp:tools", () => scim("DELETE", `/Groups/${body.id}`));
      assert.deepEqual(changed, { error: "access_denied", code: null, session: false });
    } finally {
      host.close();
      host.closeAllConnections();
    }
  });

  test("requests that would occupy the directory are refused at once", async (context) => {
    const letters = "\u0130\u1e9e".repeat(40);
    const value = Array.from({ length: 32 }, (_, at) => ({ value: `${letters}${at}@x` }));
    const heavy = await provision("heavy", { emails: [] });
    const operations = Array.from({ length: 100 }, () => ({ op: "add", path: "emails", value }));
    const since = Date.now();
    assert.equal((await patch(`/Users/${heavy}`, operations)).status, 200);
    const patched = Date.now() - since;
    const terms = Array.from({ length: 32 }, (_, at) => `emails.value co "${at}"`).join(" or ");
    const filtered = await scim("GET", `/Users?filter=${encodeURIComponent(terms)}`);
    assert.deepEqual([filtered.status, filtered.body.scimType], [400, "tooMany"]);
    const many = Array.from({ length: 101 }, () => ({ op: "add", path: "emails", value }));
    assert.equal((await patch(`/Users/${heavy}`, many)).status, 413);
    context.diagnostic(`100 operations with 32 addresses each: ${patched} ms`);
    assert.ok(patched < 5_000);
  });

  test("requests at the same time leave one user of a name", async () => {
    const user = { schemas: [USER], userName: "race@acme.example", externalId: "race" };
    const made = await Promise.all(Array.from({ length: 12 }, () => scim("POST", "/Users", user)));
    const statuses = made.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [201, ...Array(11).fill(409)]);
    assert.equal(made.find(({ status }) => status === 409).body.scimType, "uniqueness");
  });

  test("strangers learn nothing", async () => {
    for (const token of ["", "wrong", scene.secrets.ADMIN_SECRET]) {
      const refused = await scim("GET", "/Users", undefined, { token });
      assert.equal(refused.status, 401);
      assert.equal(refused.answer.headers.get("www-authenticate"), "Bearer");
      assert.equal(JSON.stringify(refused.body).includes("acme"), false);
    }
    const body = { schemas: [USER], userName: "x@acme.example" };
    assert.equal((await scim("POST", "/Users", body, { token: "wrong" })).status, 401);
    const found = await scim("GET", `/Users?filter=${encodeURIComponent('userName eq "x@acme.example"')}`);
    assert.equal(found.body.totalResults, 0);
  });
});
