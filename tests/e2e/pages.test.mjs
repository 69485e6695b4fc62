/**
 * The pages of the gateway and of the demo's identity provider in a real browser: what users see, that all of it fits a phone and
 * a desk, that axe finds nothing wrong in light and dark, and that each page works without its script.
 *
 * Without Chromium (PORTCULLIS_CHROMIUM says where it is) these are skipped, and counted as skipped. With PORTCULLIS_PICTURES
 * the pictures go into that folder.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { chromium, startBrowser } from "./support/browser.mjs";
import { startGateway } from "./support/gateway.mjs";
import { CALLBACK, startLogin, WEB_CALLBACK } from "./support/login.mjs";
import { lookAt, SIZES } from "./support/look.mjs";
import { freePort } from "./support/processes.mjs";

const SKIP = chromium === undefined && "there is no Chromium here";
const LOGO = `data:image/svg+xml;base64,${Buffer.from(
  "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 60 30'><circle cx='15' cy='15' r='14' fill='#7a1fa2'/>" +
    "<rect x='32' y='4' width='26' height='22' fill='#f9a825'/><script>document.title='ran'</script></svg>",
).toString("base64")}`;
const OPERATOR = { name: "Acme Tools", color: "#7a1fa2", logo: LOGO };
const SCOPES = { "mcp:tools": "Use the tools of this server", "files:write": "Change and delete your files" };

describe("the pages of the gateway", { skip: SKIP, timeout: 240_000 }, () => {
  let browser;
  let scene;
  let context;
  let page;
  let failures;

  before(
    async () => {
      browser = await startBrowser();
      scene = await startLogin({
        server: { scopes: SCOPES },
        resource: { name: "Acme documents" },
        changes: { operator: OPERATOR },
      });
    },
    { timeout: 60_000 },
  );
  after(
    async () => {
      await browser?.close();
      await scene?.close();
    },
    { timeout: 30_000 },
  );

  /** A new browser. What its policy blocks, and errors of scripts, fail the test. */
  async function open(options = {}) {
    await context?.close();
    context = await browser.newContext(options);
    page = await context.newPage();
    failures = [];
    page.on("console", (message) => message.type() === "error" && failures.push(message.text()));
    page.on("pageerror", (error) => failures.push(error.message));
  }
  beforeEach(() => open());

  const look = (name) => lookAt(browser, page, name);
  const clean = () => assert.deepEqual(failures, []);

  const operator = async () => {
    const header = page.locator("header");
    assert.match(await header.textContent(), /^Acme Tools127\.0\.0\.1:\d+$/);
    const image = await header.locator("img").evaluate((it) => ({ source: it.src, width: it.naturalWidth }));
    assert.equal(image.source, LOGO);
    assert.ok(image.width > 0, "the policy lets the logo in");
    assert.equal(await page.getAttribute("link[rel=icon]", "href"), LOGO);
    assert.match(await page.title(), / - Acme Tools$/, "the script in the logo does not run");
  };

  const consent = async (client, changes = {}) =>
    page.goto(scene.authorization(client.client_id, changes).target.href);

  /** Grants of clients with this name: each logs in, and each `again` as often as it says. */
  async function connect(name, times, redirect = CALLBACK, scope = "mcp:tools") {
    const { body: client } = await scene.register({ client_name: name, redirect_uris: [redirect] });
    const parameters = { redirect_uri: redirect, scope };
    const logins = [];
    for (let time = 0; time < times; time += 1) logins.push(await scene.login({ client, parameters }));
    return { client, logins };
  }
  const refresh = async (client, tokens) => {
    const { status } = await scene.token({
      grant_type: "refresh_token",
      client_id: client.client_id,
      refresh_token: tokens.body.refresh_token,
    });
    return status;
  };

  test("public page: everything to copy is there in full, and a button copies it", async () => {
    await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await page.goto(`${scene.url}/`);
    await operator();
    await look("public");
    for (const viewport of Object.values(SIZES)) {
      await page.setViewportSize(viewport);
      const cut = await page.$$eval(
        "pre",
        (all) => all.filter((it) => it.scrollWidth > it.clientWidth).length,
      );
      assert.equal(cut, 0, `nothing is cut off at ${viewport.width}`);
    }
    const command = await page.locator("pre", { hasText: "claude mcp add" }).textContent();
    const button = page.getByRole("button", { name: "Copy the command for Claude Code" });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
    assert.equal(await page.getByRole("button", { name: /^Cop/ }).count(), 4);
    const text = await page.textContent("main");
    assert.doesNotMatch(text, /Keys for sign-ins|not asked for yet|not called yet/);
    clean();
  });

  test("public page: without scripts there are no buttons, and the text can be selected", async () => {
    await open({ javaScriptEnabled: false });
    await page.goto(`${scene.url}/`);
    assert.equal(await page.locator("button").count(), 0);
    const pre = page.locator("pre", { hasText: "claude mcp add" });
    assert.match(
      await pre.textContent(),
      new RegExp(`^claude mcp add --transport http \\S+ ${scene.resource}$`),
    );
    await pre.click({ clickCount: 3 });
    assert.ok(await pre.isVisible());
  });

  test("consent: the server, the scopes and what they mean, the buttons", async () => {
    const { body: client } = await scene.register({ client_name: "Acme Desk", redirect_uris: [CALLBACK] });
    await consent(client, { scope: "mcp:tools files:write offline_access" });
    await operator();
    assert.equal(await page.textContent("h1"), "Allow Acme Desk to use Acme documents?");
    const lists = await page.$$eval("main .scopes", (all) =>
      all.map((list) =>
        [...list.children].map((it) => ({
          words: it.firstChild.textContent,
          scope: it.lastChild.textContent,
        })),
      ),
    );
    const [asked, offline, provider] = lists;
    assert.deepEqual(
      Object.fromEntries(asked.map(({ words, scope }) => [scope, words])),
      SCOPES,
      "each with its description",
    );
    assert.equal(offline[0].scope, "offline_access");
    assert.match(offline[0].words, /while you are away, for up to 90 days or until you revoke it/);
    await look("consent-own");
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      const { row, buttons } = await page.$eval("form .row", (it) => ({
        row: it.clientWidth,
        buttons: [...it.children].map(({ offsetWidth, offsetHeight }) => ({ offsetWidth, offsetHeight })),
      }));
      for (const { offsetWidth, offsetHeight } of buttons) {
        assert.equal(offsetWidth === row, size === "phone", `${offsetWidth} of ${row} on a ${size}`);
        assert.ok(offsetHeight >= 44, "large enough for a finger");
      }
    }
    const asks = scene.idp.requests.length;
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(/callback|chrome-error/).catch(() => {});
    const sent = scene.idp.requests.slice(asks).find(({ url }) => url.searchParams.has("scope"));
    assert.deepEqual(
      provider.map(({ scope }) => scope),
      sent.url.searchParams.get("scope").split(" "),
      "the scopes that the provider's page gets",
    );
  });

  test("connected applications: one row for what is the same; one connection and all of them", async () => {
    await scene.admin({ action: "delete", subject: "ada" });
    const first = await connect("Claude Code", 2);
    const second = await connect("Claude Code", 1);
    const web = await connect("Acme Web", 1, WEB_CALLBACK, "mcp:tools files:write");
    await page.goto(`${scene.issuer}/grants`);
    await page.waitForURL(`${scene.issuer}/grants`);
    await operator();
    const application = (name) =>
      page.locator("article", { has: page.getByRole("heading", { name, exact: true }) });
    assert.equal(await page.locator("article").count(), 2, "one entry for each application");
    const claude = application("Claude Code");
    const shown = await claude.textContent();
    for (const words of [
      "Acme documents",
      "Since",
      "Last used",
      "3 connections",
      SCOPES["mcp:tools"],
      "mcp:tools",
    ])
      assert.ok(shown.includes(words), words);
    assert.equal(await claude.locator("dl").count(), 1, "the same server and scopes are one row");
    assert.match(shown, /Since\d{4}-\d\d-\d\dLast used\d{4}-\d\d-\d\d/);
    await look("applications");
    await claude.locator("summary").click();
    await look("applications-open");

    // One connection: the question first, which changes nothing, then what happened.
    const one = claude.locator("li", { hasText: second.client.client_id });
    await one.getByRole("button", { name: "Revoke this connection" }).click();
    assert.equal(await page.textContent("h1"), "Revoke one connection of Claude Code?");
    await look("question");
    await page.getByRole("link", { name: "Cancel" }).click();
    assert.equal(await application("Claude Code").locator("details li").count(), 3, "nothing is revoked");
    await application("Claude Code").locator("summary").click();
    await application("Claude Code")
      .locator("li", { hasText: second.client.client_id })
      .getByRole("button", { name: "Revoke this connection" })
      .click();
    await page.getByRole("button", { name: "Revoke" }).click();
    assert.match(await page.getByRole("status").textContent(), /^One connection of Claude Code is revoked\./);
    await look("applications-done");
    assert.equal(await refresh(second.client, second.logins[0]), 400);
    await page.reload();
    assert.equal(await page.getByRole("status").count(), 0, "said once");

    // All of them, and nothing of another application.
    await application("Claude Code").getByRole("button", { name: "Revoke all 2 connections" }).click();
    assert.equal(await page.textContent("h1"), "Revoke all 2 connections of Claude Code?");
    const style = await page
      .getByRole("button", { name: "Revoke" })
      .evaluate((it) => getComputedStyle(it).backgroundColor);
    assert.notEqual(style, "rgb(122, 31, 162)", "not in the color of the operator");
    await page.getByRole("button", { name: "Revoke" }).click();
    assert.match(
      await page.getByRole("status").textContent(),
      /^All 2 connections of Claude Code are revoked\./,
    );
    assert.equal(await application("Claude Code").count(), 0);
    for (const login of first.logins) assert.equal(await refresh(first.client, login), 400);
    assert.equal(await refresh(web.client, web.logins[0]), 200);
    clean();
  });

  test("connected applications: without scripts, too", async () => {
    await scene.admin({ action: "delete", subject: "ada" });
    const { client, logins } = await connect("Plain", 1);
    await open({ javaScriptEnabled: false });
    await page.goto(`${scene.issuer}/grants`);
    await page.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("button", { name: "Revoke" }).click();
    assert.match(await page.getByRole("status").textContent(), /^The access of Plain is revoked\./);
    assert.match(await page.textContent("main"), /No application can act in your name/);
    await look("applications-none");
    assert.equal(await refresh(client, logins[0]), 400);
  });

  test("an error page shows the operator", async () => {
    await page.goto(`${scene.issuer}/authorize?client_id=unknown`);
    await operator();
    assert.match(await page.textContent("h1"), /did not work/);
    await look("error");
  });
});

describe("the pages of the demo", { skip: SKIP, timeout: 120_000 }, () => {
  let browser;
  let idp;
  let gateway;
  let page;

  before(
    async () => {
      browser = await startBrowser();
      const port = await freePort();
      const url = `http://localhost:${port}`;
      const secret = "the secret of the demo gateway";
      idp = await startIdentityProvider({ gateway: { secret, redirectUri: `${url}/callback` } });
      const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
      gateway = await startGateway({
        port,
        secrets: { KEY: JSON.stringify(key), SEAL: "s".repeat(40), LOGIN: secret },
        objects: { AUTHORIZATION: { className: "AuthorizationRecords", useSQLite: true } },
        config: {
          public_url: url,
          development: true,
          authorization_server: {
            key_secrets: ["KEY"],
            secrets: ["SEAL"],
            binding: "AUTHORIZATION",
            registration: "open",
            login: { issuer: idp.issuer, client_id: "portcullis", secret: "LOGIN", anyone: true },
          },
          resources: [
            {
              path: "/mcp",
              origin: "http://127.0.0.1:9/mcp",
              issuers: ["portcullis"],
              scopes: ["mcp:tools"],
              name: "Portcullis demo",
            },
          ],
        },
      });
      page = await (await browser.newContext()).newPage();
    },
    { timeout: 60_000 },
  );
  after(
    async () => {
      await browser?.close();
      await Promise.all([gateway?.close(), idp?.close()]);
    },
    { timeout: 30_000 },
  );

  test("without a table `operator` the pages show the host, and a mark of it", async () => {
    await page.goto(`http://localhost:${gateway.port}/`);
    assert.equal(await page.textContent("header"), `localhost:${gateway.port}`);
    const mark = await page.locator("header img").evaluate((it) => it.naturalWidth);
    assert.ok(mark > 0);
    await lookAt(browser, page, "public-default");
  });

  test("the login page of the demo has margins, and shows the scopes of the consent page", async () => {
    const registered = await fetch(`http://localhost:${gateway.port}/register`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        client_name: "Demo client",
        redirect_uris: [CALLBACK],
        token_endpoint_auth_method: "none",
      }),
    });
    const { client_id } = await registered.json();
    const query = new URLSearchParams({
      response_type: "code",
      client_id,
      redirect_uri: CALLBACK,
      scope: "mcp:tools",
      code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      code_challenge_method: "S256",
    });
    await page.goto(`http://localhost:${gateway.port}/authorize?${query}`);
    await lookAt(browser, page, "consent-default");
    const announced = await page.locator(".scopes").last().locator("code").allTextContents();
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(`${idp.issuer}/interaction/**`);
    await lookAt(browser, page, "demo-login");
    assert.deepEqual(await page.locator("dl dd").first().locator("code").allTextContents(), announced);
    await page.setViewportSize(SIZES.phone);
    const box = await page.locator("main").boundingBox();
    assert.ok(box.x >= 12 && box.x + box.width <= SIZES.phone.width - 12, JSON.stringify(box));
    assert.ok(box.y >= 12, JSON.stringify(box));
  });
});
