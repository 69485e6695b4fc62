/** Each user's own account at another party's authorization server, from the first call to the end of the connection. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeJwt } from "jose";
import { Browser, linkIn, startConnecting } from "./support/connecting.mjs";

const CONNECTED = /<h1>Connected<\/h1>/;

/** The link in the answer to a call of a user who is not connected. */
async function linkOf(scene, token) {
  const { text } = await scene.call(token);
  const link = linkIn(text);
  assert.ok(link, text);
  return link;
}

describe("an account that a user connects", { timeout: 180_000 }, () => {
  let scene;
  let token;
  before(async () => {
    scene = await startConnecting();
    token = await scene.tokenOf("ada");
  });
  after(() => scene?.close());

  test("before: a client that opens URLs is asked to, and nothing reaches the MCP server", async () => {
    const { status, body } = await scene.call(token, { url: true });
    assert.equal(status, 200);
    assert.equal(body.id, 7);
    assert.equal(body.result.resultType, "input_required");
    const { method, params } = body.result.inputRequests.connect;
    assert.equal(method, "elicitation/create");
    assert.equal(params.mode, "url");
    assert.match(params.message, /Tools of the example needs access to your account/);
    assert.ok(params.url.startsWith(`${scene.issuer}/connect?link=`));
    assert.deepEqual(scene.tools.seen, []);
    assert.equal(scene.last().reason, "not_connected");
    assert.ok(
      !scene.gateway.logs.join("\n").includes(params.url.split("link=")[1]),
      "the link is not in the log",
    );
  });

  test("before: other clients get the URL in words, in both eras", async () => {
    for (const era of ["modern", "legacy"]) {
      const { status, body } = await scene.call(token, { era });
      assert.equal(status, 200);
      assert.equal(body.result.isError, true);
      assert.ok(linkIn(body.result.content[0].text));
      const listed = await scene.call(token, { era, method: "tools/list", params: {} });
      assert.equal(listed.status, 403);
      assert.equal(listed.fields.get("www-authenticate"), null);
      assert.equal(listed.body.id, 7);
      assert.ok(linkIn(listed.body.error.message));
    }
  });

  test("the page names the server and the user, and sends them on", async () => {
    const browser = new Browser();
    const asked = await browser.open(await linkOf(scene, token));
    assert.equal(asked.status, 200);
    assert.match(asked.page, /Connect your account for Tools of the example\?/);
    assert.match(asked.page, /<code>ada<\/code>/);
    assert.ok(asked.page.includes(new URL(scene.third.issuer).host));
    const done = await browser.send(asked, "connect");
    assert.equal(done.status, 200, done.page);
    assert.match(done.page, CONNECTED);
  });

  test("after: calls reach the MCP server with the user's own token, in both eras", async () => {
    for (const era of ["modern", "legacy"]) {
      const client = await scene.connect(token, { era });
      const { content } = await client.callTool({ name: "whoami", arguments: {} });
      assert.equal(JSON.parse(content[0].text).sub, "ada");
      await client.close();
    }
    const { fields } = scene.tools.seen.at(-1);
    const sent = decodeJwt(fields.authorization.slice(7));
    assert.equal(sent.iss, scene.third.issuer);
    assert.equal(sent.aud, scene.tools.url);
    assert.ok(Object.keys(fields).every((name) => !name.startsWith("x-portcullis-")));
    assert.equal(scene.last().origin_credential, "per_user");
    assert.equal(scene.asked("/token").length, 1);
  });

  test("another user of the gateway is not connected by that", async () => {
    const other = await scene.tokenOf("bob");
    assert.ok(linkIn((await scene.call(other)).text));
  });

  test("the page of grants lists it; disconnecting revokes it at the other server", async () => {
    const browser = new Browser();
    scene.idp.user = { sub: "ada", email: "ada@acme.example", email_verified: true };
    const page = await browser.open(`${scene.issuer}/grants`);
    assert.match(page.page, /Accounts that this gateway uses for you/);
    assert.ok(page.page.includes(scene.third.issuer));
    const form = page.page.match(/name="form" value="([^"]*)"/)[1];
    const fields = { form, resource: scene.resource, action: "disconnect" };
    const done = await browser.post(`${scene.issuer}/grants`, fields);
    assert.equal(done.status, 303);
    assert.equal(scene.asked("/revoke").length, 2);
    const again = await browser.open(done.next);
    assert.match(again.page, /no longer connected/);
    assert.doesNotMatch(again.page, /Accounts that this gateway uses/);
  });
});

describe("links", { timeout: 180_000 }, () => {
  let scene;
  let token;
  before(async () => {
    scene = await startConnecting();
    token = await scene.tokenOf("ada");
  });
  after(() => scene?.close());

  test("another user cannot use it", async () => {
    const link = await linkOf(scene, token);
    scene.idp.user = { sub: "mallory", email: "mallory@acme.example", email_verified: true };
    const got = await new Browser().open(link);
    assert.equal(got.status, 403);
    assert.match(got.page, /for another user/);
    assert.ok(linkIn((await scene.call(token)).text), "nothing was connected");
  });

  test("it works once", async () => {
    scene.idp.user = { sub: "ada", email: "ada@acme.example", email_verified: true };
    const link = await linkOf(scene, token);
    const browser = new Browser();
    const asked = await browser.open(link);
    assert.match((await browser.send(asked, "connect")).page, CONNECTED);
    const again = await browser.send(asked, "connect");
    assert.equal(again.status, 400);
    assert.match(again.page, /used already/);
  });

  test("the way back works in the browser that began alone, and once", async () => {
    const bob = await scene.tokenOf("bob");
    const browser = new Browser();
    const asked = await browser.open(await linkOf(scene, bob));
    const isBack = (url) => url.pathname === "/connected/mcp";
    const back = (await browser.send(asked, "connect", { until: isBack })).next;
    assert.ok(back.searchParams.get("code"));
    const stolen = await new Browser().open(back);
    assert.equal(stolen.status, 400);
    assert.ok(linkIn((await scene.call(bob)).text));
    assert.match((await browser.open(back)).page, CONNECTED);
    assert.equal((await browser.open(back)).status, 400);
  });

  test("an answer that names another issuer, or none, connects nothing (RFC 9207)", async () => {
    for (const iss of ["https://evil.example", undefined]) {
      const eve = await scene.tokenOf(`eve-${iss === undefined}`);
      const browser = new Browser();
      const asked = await browser.open(await linkOf(scene, eve));
      const back = (
        await browser.send(asked, "connect", { until: (url) => url.pathname === "/connected/mcp" })
      ).next;
      if (iss === undefined) back.searchParams.delete("iss");
      else back.searchParams.set("iss", iss);
      const got = await browser.open(back);
      assert.equal(got.status, 400);
      assert.match(got.page, /Nothing was connected/);
      assert.ok(linkIn((await scene.call(eve)).text));
    }
  });

  test("a form of another site is refused", async () => {
    const dan = await scene.tokenOf("dan");
    const browser = new Browser();
    const asked = await browser.open(await linkOf(scene, dan));
    const got = await browser.send(asked, "connect", { origin: "https://evil.example" });
    assert.equal(got.status, 403);
  });

  test("a link that was changed, or is none", async () => {
    const link = await linkOf(scene, await scene.tokenOf("kim"));
    const changed = link.replace(/.$/, (end) => (end === "A" ? "B" : "A"));
    for (const url of [changed, `${scene.issuer}/connect`, `${scene.issuer}/connect?link=x`]) {
      const got = await new Browser().open(url);
      assert.equal(got.status, 400, url);
    }
  });

  test("the user denies", async () => {
    const pat = await scene.tokenOf("pat");
    const browser = new Browser();
    const asked = await browser.open(await linkOf(scene, pat));
    const back = (await browser.send(asked, "connect", { until: (url) => url.pathname === "/connected/mcp" }))
      .next;
    back.searchParams.delete("code");
    back.searchParams.set("error", "access_denied");
    const got = await browser.open(back);
    assert.equal(got.status, 403);
    assert.match(got.page, /did not allow/);
    assert.equal(scene.last().reason, "access_denied");
  });
});

describe("tokens of a connection", { timeout: 180_000 }, () => {
  const withScene =
    ({ isHidden = false, ...options }, work) =>
    async () => {
      const scene = await startConnecting(options);
      scene.tools.isHidden = isHidden;
      try {
        const token = await scene.tokenOf("ada");
        assert.match((await new Browser().connect(await linkOf(scene, token))).page, CONNECTED);
        await work(scene, token);
      } finally {
        await scene.close();
      }
    };
  const ask = async (scene, token) => (await scene.call(token)).body.result;

  test(
    "are refreshed when the server refuses them",
    withScene({}, async (scene, token) => {
      assert.equal((await ask(scene, token)).isError, undefined);
      const first = scene.tools.seen.at(-1).fields.authorization;
      scene.tools.refused = (value) => value === first;
      // A token that an isolate got a moment ago is not replaced yet.
      await new Promise((resolve) => setTimeout(resolve, 10_500));
      await scene.call(token);
      assert.equal((await ask(scene, token)).isError, undefined);
      assert.notEqual(scene.tools.seen.at(-1).fields.authorization, first);
      assert.equal(scene.asked("/token").length, 2);
    }),
  );

  test(
    "are refreshed once for many requests when they have expired",
    withScene({ third: { accessTokenTtl: 7 } }, async (scene, token) => {
      await new Promise((resolve) => setTimeout(resolve, 6_500));
      const all = await Promise.all(Array.from({ length: 15 }, () => ask(scene, token)));
      assert.ok(
        all.every((result) => result.isError === undefined),
        JSON.stringify(all[0]),
      );
      assert.ok(scene.asked("/token").length <= 3, `${scene.asked("/token").length}`);
    }),
  );

  test(
    "that the other server has revoked lead to a new link",
    withScene({ third: { accessTokenTtl: 7 } }, async (scene, token) => {
      const { refresh_token } = scene.issued.at(-1);
      await (await scene.third.provider.RefreshToken.find(refresh_token)).destroy();
      await new Promise((resolve) => setTimeout(resolve, 6_500));
      assert.ok(linkIn((await scene.call(token)).text));
      assert.match((await new Browser().connect(await linkOf(scene, token))).page, CONNECTED);
      assert.equal((await ask(scene, token)).isError, undefined);
    }),
  );

  test(
    "lack a scope: the challenge of the server becomes a link for exactly these scopes",
    withScene({}, async (scene, token) => {
      assert.equal((await ask(scene, token)).isError, undefined);
      scene.tools.lacks = "files:write";
      const { status, body } = await scene.call(token);
      // Without rules the message has been passed on as a stream, so that its id is not at hand.
      assert.deepEqual([status, body.id], [403, null]);
      const link = linkIn(body.error.message);
      assert.ok(link, JSON.stringify(body));
      const browser = new Browser();
      const asked = await browser.open(link);
      assert.match(asked.page, /files:write/);
      assert.match(asked.page, /mcp:tools/);
      scene.tools.lacks = undefined;
      assert.match((await browser.send(asked, "connect")).page, CONNECTED);
      const before = scene.tools.seen.at(-1).fields.authorization;
      assert.equal((await ask(scene, token)).isError, undefined);
      assert.notEqual(scene.tools.seen.at(-1).fields.authorization, before, "the new token is used at once");
    }),
  );

  test(
    "lack a scope where rules read the message: the link is the answer to this message",
    withScene({ resource: { rules: [{ effect: "allow", tools: ["*"] }] } }, async (scene, token) => {
      scene.tools.lacks = "files:write";
      for (const url of [true, false]) {
        const { status, body } = await scene.call(token, { url });
        assert.deepEqual([status, body.id], [200, 7]);
        if (url) assert.equal(body.result.resultType, "input_required");
        else assert.equal(body.result.isError, true);
      }
    }),
  );

  test(
    "of a server whose metadata is only where its challenge says",
    withScene({ isHidden: true }, async (scene, token) => {
      assert.equal((await ask(scene, token)).isError, undefined);
    }),
  );

  test(
    "are shown to administrators without their text, and deleted with their user",
    withScene({}, async (scene) => {
      const shown = await scene.admin({ action: "show", subject: "ada" });
      assert.equal(shown.body.connections.length, 1);
      assert.deepEqual(Object.keys(shown.body.connections[0]).sort(), [
        "created",
        "issuer",
        "resource",
        "scope",
        "used",
      ]);
      const deleted = await scene.admin({ action: "delete", subject: "ada" });
      assert.deepEqual(deleted.body.disconnected, [scene.resource]);
      assert.equal(scene.asked("/revoke").length, 2);
    }),
  );
});
