/**
 * The authorization server when things happen at once, or stop in the middle: records in Durable Objects on disk, workerd
 * that ends and begins again.
 */
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { startOrigin } from "../../examples/origin/server.mjs";
import { eventually } from "./support/http.mjs";
import { startLogin } from "./support/login.mjs";
import { freePort } from "./support/processes.mjs";
import { authorizeHeadlessly, CookieJar } from "./support/token.mjs";

const withLogin = (options, work) => async () => {
  const scene = await startLogin(options);
  try {
    await work(scene);
  } finally {
    await scene.close();
  }
};

describe("the authorization server, at once and in the middle", { timeout: 180_000 }, () => {
  test(
    "50 refreshes of one token at once: one rotation, and all are told the same",
    { timeout: 60_000 },
    withLogin({}, async (scene) => {
      const { client, body } = await scene.login();
      const refresh = (token) =>
        scene.token({ grant_type: "refresh_token", client_id: client.client_id, refresh_token: token });
      const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(body.refresh_token)));
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      const next = new Set(answers.map((answer) => answer.body.refresh_token));
      assert.equal(next.size, 1);
      assert.ok(!next.has(body.refresh_token));
      const access = new Set(answers.map((answer) => answer.body.access_token));
      assert.equal(access.size, 50);
      const after = await refresh([...next][0]);
      assert.equal(after.status, 200);
      // The first one is older than its successor's use: a theft, and everything ends.
      assert.equal((await refresh(body.refresh_token)).status, 400);
      assert.equal((await refresh(after.body.refresh_token)).status, 400);
    }),
  );

  test(
    "20 redemptions of one code at once: at most one gets tokens, and those do not live on",
    { timeout: 60_000 },
    withLogin({}, async (scene) => {
      const { body: client } = await scene.register();
      const { target, verifier } = scene.authorization(client.client_id);
      const code = (await authorizeHeadlessly(target)).searchParams.get("code");
      const redeem = () =>
        scene.token({
          grant_type: "authorization_code",
          client_id: client.client_id,
          code,
          code_verifier: verifier,
        });
      const answers = await Promise.all(Array.from({ length: 20 }, redeem));
      const good = answers.filter(({ status }) => status === 200);
      assert.equal(good.length, 1);
      const refreshed = await scene.token({
        grant_type: "refresh_token",
        client_id: client.client_id,
        refresh_token: good[0].body.refresh_token,
      });
      assert.equal(refreshed.body.error, "invalid_grant");
    }),
  );

  test("what was granted outlives the Worker, and what was interrupted is not half done", {
    timeout: 90_000,
  }, async () => {
    const persist = await mkdtemp(join(tmpdir(), "portcullis-records-"));
    const ports = { gateway: await freePort(), provider: await freePort() };
    const origin = await startOrigin();
    const begin = (secrets) => startLogin({ persist, ports, origin, secrets });
    let scene = await begin();
    const { secrets } = scene;
    try {
      const { client, body } = await scene.login();
      const { target, verifier } = scene.authorization(client.client_id);
      const code = (await authorizeHeadlessly(target)).searchParams.get("code");
      // Killed between the code and its redemption.
      await Promise.all([scene.gateway.close(), scene.idp.close()]);
      const { IDP_SECRET: _, ...kept } = secrets;
      scene = await begin(kept);
      const redeemed = await scene.token({
        grant_type: "authorization_code",
        client_id: client.client_id,
        code,
        code_verifier: verifier,
      });
      assert.equal(redeemed.status, 200, JSON.stringify(redeemed.body));
      const refreshed = await scene.token({
        grant_type: "refresh_token",
        client_id: client.client_id,
        refresh_token: body.refresh_token,
      });
      assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));
      const shown = await scene.admin({ action: "show", subject: "ada" });
      assert.equal(Object.keys(shown.body.grants).length, 2);

      // Killed while the user is at the provider: the login goes on after it.
      await scene.login({ client });
      const jar = new CookieJar();
      const login = scene.authorization(client.client_id);
      const seen = [];
      scene.idp.mischief.down = true;
      await assert.rejects(authorizeHeadlessly(login.target, { jar, seen }));
      scene.idp.mischief.down = false;
      const again = seen.findLast(({ url }) => url.origin === scene.idp.issuer).url;
      await scene.gateway.close();
      const provider = scene.idp;
      await provider.close();
      scene = await begin(kept);
      // The provider is a new one, too, and has the same place.
      const back = await authorizeHeadlessly(again, { jar, until: "http://127.0.0.1:9/callback" });
      assert.ok(back.searchParams.get("code"), back.href);
    } finally {
      await scene.close();
      await rm(persist, { recursive: true, force: true });
    }
  });

  test(
    "a provider that fails, and another that answers in its place, leave nothing behind",
    { timeout: 60_000 },
    withLogin({}, async (scene) => {
      const { body: client } = await scene.register();
      scene.idp.user = undefined;
      const denied = await authorizeHeadlessly(scene.authorization(client.client_id).target);
      assert.equal(denied.searchParams.get("error"), "access_denied");
      assert.equal(denied.searchParams.get("iss"), scene.issuer);
      assert.equal(denied.searchParams.get("state"), "the state");
      scene.idp.user = { sub: "ada" };
      scene.idp.mischief.down = true;
      await assert.rejects(authorizeHeadlessly(scene.authorization(client.client_id).target), /503/);
      scene.idp.mischief.down = false;
      assert.deepEqual((await scene.admin({ action: "show", subject: "ada" })).body.grants, {});
    }),
  );

  test(
    "the gateway registers itself at a provider that lets it, once",
    { timeout: 60_000 },
    withLogin({ registration: true }, async (scene) => {
      const { status, body } = await scene.login();
      assert.equal(status, 200);
      assert.equal((await scene.call(body.access_token)).status, 400, "the origin server wants a session");
      await scene.login();
      const registrations = scene.idp.requests.filter(({ path }) => path === "/reg");
      assert.equal(registrations.length, 1);
    }),
  );

  test("what has had its time is cleared away, and who asks for what is not there leaves nothing", {
    timeout: 120_000,
  }, async () => {
    const persist = await mkdtemp(join(tmpdir(), "portcullis-records-"));
    const scene = await startLogin({ persist });
    /** Databases of a copy that have a record; undefined where something changed while it was made. */
    const counted = async (copy) => {
      try {
        await cp(persist, copy, { recursive: true });
        const names = (await readdir(copy, { recursive: true })).filter((name) => name.endsWith(".sqlite"));
        return names.filter((name) => {
          const database = new DatabaseSync(join(copy, name));
          try {
            const query = "SELECT COUNT(*) AS count FROM sqlite_master WHERE name = 'record'";
            return database.prepare(query).get().count > 0;
          } finally {
            database.close();
          }
        }).length;
      } catch {
        return undefined;
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
    };
    /** Objects on disk that have a record. A copy is read: a reader beside workerd would be in its way, and it in ours. */
    const records = async () => {
      const copies = await mkdtemp(join(tmpdir(), "portcullis-copies-"));
      try {
        const { count } = await eventually("a whole copy", async () => {
          const count = await counted(join(copies, "copy"));
          return count === undefined ? undefined : { count };
        });
        return count;
      } finally {
        await rm(copies, { recursive: true, force: true });
      }
    };
    try {
      const before = await records();
      for (let at = 0; at < 20; at += 1) {
        const unknown = scene.authorization(`pc-unknown-${at}`).target;
        assert.equal((await fetch(unknown)).status, 400);
        const stale = await fetch(`${scene.issuer}/callback?code=x&state=${at}`, {
          headers: { cookie: `__Host-portcullis-login=${"a".repeat(43)}` },
        });
        assert.equal(stale.status, 400);
      }
      assert.equal(await records(), before);
      const namespace = await scene.gateway.object("AUTHORIZATION");
      const object = namespace.get(namespace.idFromName("once/of a test"));
      const question = JSON.stringify({ kind: "once", question: Math.floor(Date.now() / 1000) + 6 });
      const use = async () =>
        (await object.fetch("http://object/", { method: "POST", body: question })).json();
      assert.deepEqual([await use(), await use()], [true, false]);
      assert.equal(await records(), before + 1);
      await eventually("the alarm", async () => (await records()) === before, 30_000);
    } finally {
      await scene.close();
      await rm(persist, { recursive: true, force: true });
    }
  });

  test(
    "documents of clients that redirect, are huge, slow or broken off are refused, and asked for no longer than a while",
    { timeout: 60_000 },
    withLogin({}, async (scene) => {
      const server = createServer((request, response) => {
        const own = `http://127.0.0.1:${server.address().port}`;
        const document = JSON.stringify({
          client_id: `${own}${request.url}`,
          client_name: "A client",
          redirect_uris: ["http://127.0.0.1:9/callback"],
        });
        if (request.url === "/redirect") return response.writeHead(302, { location: `${own}/good` }).end();
        response.setHeader("content-type", "application/json");
        if (request.url === "/huge")
          return response.end(document.replace("}", `,"x":"${"x".repeat(10_000_000)}"}`));
        if (request.url === "/broken") {
          response.write(document.slice(0, 20));
          return setTimeout(() => response.destroy(), 100);
        }
        if (request.url === "/slow") return response.write(document.slice(0, 20));
        if (request.url === "/good") return response.end(document);
        response.setHeader("content-type", "text/html");
        response.end(document);
      });
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const ask = async (path) => {
          const begun = Date.now();
          const id = `http://127.0.0.1:${server.address().port}${path}`;
          const response = await fetch(scene.authorization(id).target, { redirect: "manual" });
          return { status: response.status, seconds: (Date.now() - begun) / 1000 };
        };
        assert.equal((await ask("/good")).status, 200);
        // What is wrong is said so; what could not be had may be there the next time.
        for (const [path, expected] of Object.entries({
          "/redirect": 400,
          "/html": 400,
          "/huge": 503,
          "/broken": 503,
          "/slow": 503,
        })) {
          const { status, seconds } = await ask(path);
          assert.equal(status, expected, path);
          assert.ok(seconds < 15, `${path} took ${seconds} s`);
        }
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    }),
  );

  test(
    "a path of its own: metadata, login and tool",
    { timeout: 60_000 },
    withLogin({ server: { path: "/login", name: "gate" } }, async (scene) => {
      assert.equal(scene.issuer, `${scene.url}/login`);
      const { body } = await scene.login();
      assert.equal(JSON.parse(Buffer.from(body.access_token.split(".")[1], "base64url")).iss, scene.issuer);
    }),
  );
});
