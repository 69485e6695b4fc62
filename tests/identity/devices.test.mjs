/** Device authorization with published clients that know it, a real provider, and people in a browser. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { chromium, startBrowser } from "../e2e/support/browser.mjs";
import { startLogin } from "../e2e/support/login.mjs";
import { lookAt } from "../e2e/support/look.mjs";
import { CookieJar } from "../e2e/support/token.mjs";
import { use } from "./support/company.mjs";

const DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code";
const insecure = { [oauth.allowInsecureRequests]: true };

describe("device authorization", { timeout: 180_000 }, () => {
  let scene;
  let client;
  before(async () => {
    scene = await startLogin({
      isolates: 3,
      server: {
        device_authorization: true,
        scopes: { "mcp:tools": "Use the tools of this server" },
      },
    });
    ({ body: client } = await scene.register({
      client_name: "A television",
      grant_types: [DEVICE_CODE, "refresh_token"],
    }));
  });
  after(() => scene?.close());

  /** Goes through the pages as a browser does: enters the code, and decides. The last page. */
  async function decide(userCode, decision) {
    const jar = new CookieJar();
    const send = async (url, options = {}) => {
      const headers = { Cookie: jar.header(url) ?? "", ...options.headers };
      const answer = await fetch(url, { ...options, headers, redirect: "manual" });
      jar.store(url, answer);
      return answer;
    };
    const post = (url, form) =>
      send(url, { method: "POST", headers: { Origin: scene.url }, body: new URLSearchParams(form) });
    const asked = await (await post(new URL(`${scene.issuer}/device`), { user_code: userCode })).text();
    const request = asked.match(/name="request" value="([^"]+)"/)?.[1];
    assert.ok(request, asked);
    let url = new URL(`${scene.issuer}/consent`);
    let answer = await post(url, { request, decision });
    for (let hops = 0; hops < 12; hops += 1) {
      const location = answer.headers.get("location");
      const page = location ? undefined : await answer.text();
      const next = location ?? page.match(/content="0;url=([^"]+)"/)?.[1]?.replaceAll("&amp;", "&");
      if (!next) return page;
      url = new URL(next, url);
      answer = await send(url);
    }
    throw new Error("too many redirects");
  }

  test("oauth4webapi asks, waits and gets tokens", async () => {
    const issuer = new URL(scene.issuer);
    const as = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }),
    );
    const public_ = oauth.None();
    const parameters = new URLSearchParams({ scope: "mcp:tools", resource: scene.resource });
    const asked = await oauth.processDeviceAuthorizationResponse(
      as,
      client,
      await oauth.deviceAuthorizationRequest(as, client, public_, parameters, insecure),
    );
    assert.match(asked.user_code, /^[BCDFGHJ-NP-TV-XZ]{4}-[BCDFGHJ-NP-TV-XZ]{4}$/);
    const poll = () => oauth.deviceCodeGrantRequest(as, client, public_, asked.device_code, insecure);
    await assert.rejects(
      async () => oauth.processDeviceCodeResponse(as, client, await poll()),
      (error) => error.error === "authorization_pending",
    );
    await assert.rejects(
      async () => oauth.processDeviceCodeResponse(as, client, await poll()),
      (error) => error.error === "slow_down",
    );
    assert.match(await decide(asked.user_code, "allow"), /The device has access now/);
    const tokens = await oauth.processDeviceCodeResponse(as, client, await poll());
    assert.equal((await use(scene.gateway, tokens.access_token)).status, 200);
    await assert.rejects(
      async () => oauth.processDeviceCodeResponse(as, client, await poll()),
      (error) => error.error === "expired_token",
    );
    const refreshed = await scene.token({
      grant_type: "refresh_token",
      client_id: client.client_id,
      refresh_token: tokens.refresh_token,
    });
    assert.equal(refreshed.status, 200);
  });

  test("openid-client polls by itself until the user has decided", async () => {
    const config = await openid.discovery(new URL(scene.issuer), client.client_id, undefined, openid.None(), {
      execute: [openid.allowInsecureRequests],
      algorithm: "oauth2",
    });
    const asked = await openid.initiateDeviceAuthorization(config, { scope: "mcp:tools" });
    const waiting = openid.pollDeviceAuthorizationGrant(config, asked);
    await decide(asked.user_code, "allow");
    const tokens = await waiting;
    assert.equal((await use(scene.gateway, tokens.access_token)).status, 200);
  });

  test("a user who denies", async () => {
    const ask = (path, form) =>
      fetch(`${scene.issuer}${path}`, { method: "POST", body: new URLSearchParams(form) });
    const asked = await (await ask("/device_authorization", { client_id: client.client_id })).json();
    assert.match(await decide(asked.user_code, "deny"), /The device gets no access/);
    const refused = await ask("/token", {
      grant_type: DEVICE_CODE,
      client_id: client.client_id,
      device_code: asked.device_code,
    });
    assert.deepEqual([refused.status, (await refused.json()).error], [400, "access_denied"]);
  });

  test("one device code in three isolates at once gives one grant", async () => {
    const form = { client_id: client.client_id };
    const began = await fetch(`${scene.issuer}/device_authorization`, {
      method: "POST",
      body: new URLSearchParams(form),
    });
    const asked = await began.json();
    await decide(asked.user_code, "allow");
    const answers = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const body = new URLSearchParams({
          ...form,
          grant_type: DEVICE_CODE,
          device_code: asked.device_code,
        });
        return (await fetch(`${scene.issuer}/token`, { method: "POST", body })).status;
      }),
    );
    assert.equal(answers.filter((status) => status === 200).length, 1, answers.join());
  });

  test("people connect a device in a browser", {
    skip: chromium === undefined && "there is no Chromium here",
  }, async () => {
    const began = await fetch(`${scene.issuer}/device_authorization`, {
      method: "POST",
      body: new URLSearchParams({ client_id: client.client_id, scope: "mcp:tools" }),
    });
    const asked = await began.json();
    const browser = await startBrowser();
    try {
      const page = await (await browser.newContext()).newPage();
      await page.goto(asked.verification_uri);
      await lookAt(browser, page, "device code");
      await page.getByLabel("Code").fill("BCDF-GHJK");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
      await lookAt(browser, page, "device code unknown");
      await page.goto(asked.verification_uri_complete);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("button", { name: "Allow" }).waitFor();
      const text = await page.textContent("main");
      for (const shown of [asked.user_code, "A television", scene.resource, "Use the tools of this server"])
        assert.ok(text.includes(shown), `${shown} is shown`);
      await lookAt(browser, page, "device consent");
      await page.getByRole("button", { name: "Allow" }).click();
      await page.getByRole("heading", { name: "Connected" }).waitFor();
      await lookAt(browser, page, "device connected");
    } finally {
      await browser.close();
    }
  });
});
