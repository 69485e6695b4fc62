/** Two real identity providers for one authorization server: hints, the page on which users choose, and users who are never the same. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chromium, startBrowser } from "../e2e/support/browser.mjs";
import { CALLBACK, startLogin, startLoginProvider } from "../e2e/support/login.mjs";
import { lookAt } from "../e2e/support/look.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { authorizeHeadlessly, CookieJar } from "../e2e/support/token.mjs";
import { use } from "./support/company.mjs";

const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

describe("several identity providers", { timeout: 180_000 }, () => {
  let scene;
  let partner;
  let client;
  before(async () => {
    const gateway = await freePort();
    partner = await startLoginProvider({ redirectUri: `http://127.0.0.1:${gateway}/callback/partner` });
    scene = await startLogin({
      ports: { gateway },
      secrets: { PARTNER_SECRET: partner.client.secret },
      login: { title: "Acme", email_domains: ["acme.example"], recheck_minutes: 60 },
      server: {
        token_claims: ["groups", "email"],
        scopes: { "mcp:tools": "Use the tools of this server", "files:write": "Change your files" },
        entitlements: [{ scopes: ["files:write"], groups: ["tools"] }],
        other_logins: [
          {
            name: "partner",
            login: {
              title: "Partner GmbH",
              issuer: partner.issuer,
              client_id: partner.client.id,
              secret: "PARTNER_SECRET",
              anyone: true,
              email_domains: ["partner.example"],
              recheck_minutes: 60,
            },
          },
        ],
      },
    });
    ({ body: client } = await scene.register());
  });
  after(() => Promise.all([scene?.close(), partner?.close()]));

  /** Signs in with these parameters: the tokens, or the error. */
  async function signIn(more, { jar } = {}) {
    const { target, verifier } = scene.authorization(client.client_id, more);
    const back = await authorizeHeadlessly(target, { jar });
    if (back.searchParams.has("error")) return { error: back.searchParams.get("error") };
    const { body } = await scene.token({
      grant_type: "authorization_code",
      client_id: client.client_id,
      redirect_uri: CALLBACK,
      code: back.searchParams.get("code"),
      code_verifier: verifier,
    });
    return body;
  }

  for (const [what, more, sub] of [
    ["domain_hint with the name", { domain_hint: "partner" }, "partner|ada"],
    ["domain_hint with a domain", { domain_hint: "acme.example" }, "ada"],
    ["login_hint with an address", { login_hint: "Eve@Partner.example" }, "partner|ada"],
  ])
    test(`a hint leads to the provider: ${what}`, async () => {
      const tokens = await signIn(more);
      const claims = claimsOf(tokens.access_token);
      assert.equal(claims.sub, sub);
      assert.deepEqual(claims.groups, [sub === "ada" ? "tools" : "partner|tools"]);
      assert.equal(claims.email, sub === "ada" ? "ada@acme.example" : undefined);
      assert.equal((await use(scene.gateway, tokens.access_token)).status, 200);
    });

  test("the provider gets login_hint, and another provider does not", async () => {
    partner.requests.length = 0;
    await signIn({ login_hint: "eve@partner.example" });
    const asked = partner.requests.filter(({ url }) => url.pathname === "/auth").at(0);
    assert.equal(asked.url.searchParams.get("login_hint"), "eve@partner.example");
    scene.idp.requests.length = 0;
    await signIn({ domain_hint: "login", login_hint: "eve@partner.example" });
    const other = scene.idp.requests.filter(({ url }) => url.pathname === "/auth").at(0);
    assert.equal(other.url.searchParams.get("login_hint"), null);
  });

  test("a group of the same name at the other provider gives no rights", async () => {
    assert.equal((await signIn({ domain_hint: "login", scope: "files:write" })).scope, "files:write");
    assert.equal((await signIn({ domain_hint: "partner", scope: "files:write" })).error, "access_denied");
  });

  test("a refresh asks the provider of the user, and revocation reaches it", async () => {
    const tokens = await signIn({ domain_hint: "partner" });
    const refreshed = await scene.token({
      grant_type: "refresh_token",
      client_id: client.client_id,
      refresh_token: tokens.refresh_token,
    });
    assert.equal(claimsOf(refreshed.body.access_token).sub, "partner|ada");
    partner.requests.length = 0;
    await fetch(`${scene.issuer}/revoke`, {
      method: "POST",
      body: new URLSearchParams({ client_id: client.client_id, token: refreshed.body.refresh_token }),
    });
    assert.ok(partner.requests.some(({ path }) => path === "/token/revocation"));
  });

  test("the browser that has signed in before is not asked again, and another account can be chosen", async () => {
    const jar = new CookieJar();
    await signIn({ domain_hint: "partner" }, { jar });
    const again = await signIn({}, { jar });
    assert.equal(claimsOf(again.access_token).sub, "partner|ada");
    const { target } = scene.authorization(client.client_id, { prompt: "select_account" });
    const page = await fetch(target, { headers: { cookie: jar.header?.(target) ?? "" } });
    assert.match(await page.text(), /Where do you sign in\?/);
  });

  test("people choose in a browser", {
    skip: chromium === undefined && "there is no Chromium here",
  }, async () => {
    const browser = await startBrowser();
    try {
      const page = await (await browser.newContext()).newPage();
      await page.goto(scene.authorization(client.client_id).target.href);
      await lookAt(browser, page, "login choice");
      await page.getByLabel("Your e-mail address at work").fill("eve@nowhere.example");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("alert").waitFor();
      assert.match(
        await page.textContent("main"),
        /No organization here has the address eve@nowhere\.example/,
      );
      await lookAt(browser, page, "login choice without a match");
      await page.getByLabel("Your e-mail address at work").fill("eve@partner.example");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Next, you log in at Partner GmbH" }).waitFor();
      await page.goBack();
      await page.getByRole("link", { name: "Acme" }).click();
      await page.getByRole("heading", { name: "Next, you log in at Acme" }).waitFor();
      await page.goto(`${scene.issuer}/grants`);
      await page.getByRole("link", { name: "Partner GmbH" }).click();
      await page.getByText("You are signed in as partner|ada.").waitFor();
    } finally {
      await browser.close();
    }
  });
});
