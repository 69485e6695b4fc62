/**
 * Users who connect an account in a real browser: the page, the way there and back, a link of another user, the list of accounts, and
 * its end; each page looked at by axe in light and dark, at the size of a phone and of a desk.
 *
 * Without Chromium (PORTCULLIS_CHROMIUM says where it is) these are skipped, and counted as skipped.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chromium, startBrowser } from "../e2e/support/browser.mjs";
import { lookAt } from "../e2e/support/look.mjs";
import { linkIn, startConnecting } from "./support/connecting.mjs";

describe("in a browser", {
  skip: chromium === undefined && "there is no Chromium here",
  timeout: 180_000,
}, () => {
  let browser;
  let scene;
  let context;
  let page;
  let token;
  before(
    async () => {
      browser = await startBrowser();
      scene = await startConnecting({ perUser: { scopes: ["mcp:tools", "files:read"] } });
      token = await scene.tokenOf("ada");
      context = await browser.newContext();
      page = await context.newPage();
    },
    { timeout: 90_000 },
  );
  after(async () => {
    await browser?.close();
    await scene?.close();
  });
  const link = async (whose = token) => linkIn((await scene.call(whose)).text);

  test("an account is connected", async () => {
    await page.goto(await link());
    await lookAt(browser, page, "connect");
    assert.match(await page.textContent("h1"), /Connect your account for Tools of the example/);
    await page.click("text=Continue at");
    await page.waitForSelector("text=Connected");
    await lookAt(browser, page, "connected");
    assert.equal((await scene.call(token)).body.result.isError, undefined);
  });

  test("a link that was used says so", async () => {
    const used = await link(await scene.tokenOf("kim"));
    scene.idp.user = { sub: "kim", email: "kim@acme.example", email_verified: true };
    const own = await (await browser.newContext()).newPage();
    await own.goto(used);
    await own.click("text=Continue at");
    await own.waitForSelector("text=Connected");
    await own.goto(used);
    await own.click("text=Continue at");
    await own.waitForSelector("text=used already");
    await lookAt(browser, own, "link-used");
    await own.context().close();
  });

  test("a link of another user connects nothing", async () => {
    const bob = await scene.tokenOf("bob");
    await page.goto(await link(bob));
    assert.match(await page.textContent("main"), /for another user/);
    await lookAt(browser, page, "link-of-another");
    assert.ok(await link(bob));
  });

  test("the account is in the list of the user, and can be disconnected there", async () => {
    await page.goto(`${scene.issuer}/grants`);
    await lookAt(browser, page, "accounts");
    assert.match(await page.textContent("main"), /Accounts that this gateway uses for you/);
    await page.click("text=Disconnect");
    await page.waitForSelector("text=no longer connected");
    await lookAt(browser, page, "disconnected");
    assert.equal(await page.locator("text=Accounts that this gateway uses").count(), 0);
  });
});
