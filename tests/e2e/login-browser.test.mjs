/**
 * People in a real browser: login, consent, denial, a form sent twice, the way back, another site's form, the page of one's
 * own grants; each page looked at by axe in light and dark, at the size of a phone and of a desk.
 *
 * Without Chromium (PORTCULLIS_CHROMIUM says where it is) these are skipped, and counted as skipped.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { chromium, startBrowser } from "./support/browser.mjs";
import { startLogin } from "./support/login.mjs";
import { lookAt } from "./support/look.mjs";

/** A client with a page for its callbacks, and another site that means no good. */
async function startSites() {
  const callbacks = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    if (url.pathname === "/callback") callbacks.push(url);
    response.setHeader("content-type", "text/html");
    response.end(pages.get(url.pathname) ?? "<title>The application</title><h1>Done</h1>");
  });
  const pages = new Map();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    callbacks,
    pages,
    callback: `http://127.0.0.1:${port}/callback`,
    other: `http://localhost:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

describe("people in a browser", {
  skip: chromium === undefined && "there is no Chromium here",
  timeout: 180_000,
}, () => {
  let browser;
  let scene;
  let sites;
  let context;
  let page;
  let client;

  before(
    async () => {
      browser = await startBrowser();
      sites = await startSites();
      scene = await startLogin({
        server: {
          scopes: { "mcp:tools": "Use the tools of this server", "files:write": "Change your files" },
        },
      });
      client = (await scene.register({ client_name: "A desk application", redirect_uris: [sites.callback] }))
        .body;
    },
    { timeout: 60_000 },
  );
  after(
    async () => {
      await browser?.close();
      await Promise.all([scene?.close(), sites?.close()]);
    },
    { timeout: 30_000 },
  );
  beforeEach(async () => {
    await context?.close();
    context = await browser.newContext();
    page = await context.newPage();
    sites.callbacks.length = 0;
    scene.idp.user = { sub: "ada", email: "ada@acme.example", email_verified: true };
  });

  const begin = (changes = {}) =>
    page.goto(
      scene.authorization(client.client_id, { redirect_uri: sites.callback, ...changes }).target.href,
    );
  const back = async () => {
    await page.waitForURL(`${sites.callback}?**`);
    return sites.callbacks.at(-1).searchParams;
  };

  const look = (name) => lookAt(browser, page, name);

  test("a login, and the tools after it", async () => {
    await begin();
    const text = await page.textContent("main");
    for (const shown of [
      "A desk application",
      "Use the tools of this server",
      scene.resource,
      "on your own computer",
    ])
      assert.ok(text.includes(shown), `${shown} is shown`);
    assert.ok(text.includes(new URL(sites.callback).host), "where the answer goes");
    await look("consent");
    await page.getByRole("button", { name: "Allow" }).click();
    const answer = await back();
    assert.ok(answer.get("code"));
    assert.equal(answer.get("state"), "the state");
    assert.equal(answer.get("iss"), scene.issuer);
  });

  test("by keyboard alone", async () => {
    await begin();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Allow");
    await page.keyboard.press("Enter");
    assert.ok((await back()).get("code"));
  });

  test("denial, and nobody was asked anything", async () => {
    const before = scene.idp.requests.length;
    await begin();
    await page.getByRole("button", { name: "Deny" }).click();
    assert.equal((await back()).get("error"), "access_denied");
    assert.equal(scene.idp.requests.length, before);
  });

  test("the form sent twice, and the way back", async () => {
    await begin();
    await page.evaluate(() => {
      const form = document.querySelector("form");
      form.target = "_blank";
    });
    const [second] = await Promise.all([
      context.waitForEvent("page"),
      page.getByRole("button", { name: "Allow" }).click(),
    ]);
    await second.waitForURL(`${sites.callback}?**`);
    await page.evaluate(() => {
      document.querySelector("form").target = "";
    });
    await page.getByRole("button", { name: "Allow" }).click();
    assert.ok((await back()).get("code"));
    const codes = sites.callbacks.map(({ searchParams }) => searchParams.get("code"));
    assert.equal(new Set(codes).size, 2, "two logins, each its own");
    await page.goBack();
    assert.match(
      await page.textContent("h1"),
      /Allow A desk application/,
      "back is the question, not a loop",
    );
    await page.getByRole("button", { name: "Deny" }).click();
    assert.equal((await back()).get("error"), "access_denied");
  });

  test("a login of another browser is refused", async () => {
    await begin();
    scene.idp.mischief.down = true;
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(`${scene.idp.issuer}/**`);
    const theirs = page.url();
    scene.idp.mischief.down = false;
    const victim = await (await browser.newContext()).newPage();
    await victim.goto(theirs);
    await victim.waitForURL(`${scene.issuer}/callback?**`);
    assert.match(await victim.textContent("main"), /was not begun in this browser/);
    await victim.context().close();
    await page.goto(theirs);
    assert.ok((await back()).get("code"), "the one that began it can go on");
  });

  test("another site can neither frame the question nor answer it", async () => {
    await begin();
    const request = await page.getAttribute("input[name=request]", "value");
    sites.pages.set("/frame", `<iframe src="${page.url().replaceAll("&", "&amp;")}"></iframe>`);
    sites.pages.set(
      "/post",
      `<form method="post" action="${scene.issuer}/consent"><input name="request" value="${request}">
       <input name="decision" value="allow"></form><script>document.forms[0].submit()</script>`,
    );
    await page.goto(`${sites.other}/frame`);
    await page.waitForTimeout(500);
    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    assert.equal(await framed?.$("form").catch(() => null), null, "it is not shown");
    const before = scene.idp.requests.length;
    await page.goto(`${sites.other}/post`);
    await page.waitForURL(`${scene.issuer}/consent`);
    assert.match(await page.textContent("main"), /was not sent from this server/);
    await look("problem");
    assert.equal(scene.idp.requests.length, before);
  });

  test("more than before: only that is asked for", async () => {
    const other = (await scene.register({ client_name: "Growing", redirect_uris: [sites.callback] })).body;
    const ask = (scope) =>
      page.goto(
        scene.authorization(other.client_id, { redirect_uri: sites.callback, scope, state: scope }).target
          .href,
      );
    await ask("mcp:tools");
    await page.getByRole("button", { name: "Allow" }).click();
    await back();
    await ask("mcp:tools files:write");
    const text = await page.textContent("main");
    assert.ok(text.includes("more than you allowed before"));
    await look("step-up");
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(`${sites.callback}?**state=mcp**files**`);
  });

  test("what anybody sees", async () => {
    await page.goto(`${scene.url}/`);
    assert.match(await page.textContent("main"), /Use the tools of this server/);
    await look("face");
  });

  test("one's own grants: seen, withdrawn, signed out", async () => {
    await page.goto(`${scene.issuer}/grants`);
    await page.waitForURL(`${scene.issuer}/grants`);
    await look("grants");
    const named = () => page.getByRole("heading", { name: "A desk application" }).count();
    assert.ok((await named()) > 0);
    await page
      .locator("article", { has: page.getByRole("heading", { name: "A desk application" }) })
      .getByRole("button", { name: "Revoke" })
      .first()
      .click();
    assert.match(await page.textContent("h1"), /^Revoke .* of A desk application\?$/, "it is asked first");
    await look("revoke");
    await page.getByRole("button", { name: "Revoke" }).click();
    await page.waitForURL(`${scene.issuer}/grants`);
    assert.match(await page.getByRole("status").textContent(), /of A desk application (is|are) revoked/);
    assert.equal(await named(), 0);
    await look("revoked");
    await page.getByRole("button", { name: "Sign out" }).click();
    assert.match(await page.textContent("h1"), /Signed out/);
    const cookies = await context.cookies(scene.issuer);
    assert.equal(
      cookies.find(({ name }) => name === "__Host-portcullis-session"),
      undefined,
    );
    for (const cookie of cookies.filter(({ name }) => name.startsWith("__Host-"))) {
      assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === "Lax", cookie.name);
    }
  });
});
