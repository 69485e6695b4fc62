/** Each kind of credential toward a real MCP server that checks it, called with a published MCP client in both eras. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeJwt } from "jose";
import { makeKey } from "../e2e/support/issuer.mjs";
import { CURRENT, ERAS, NEXT, startCredentialScene } from "./support/scene.mjs";

const target = ({ tools }) => ({ resource: tools.url, scopes: ["tools:call"] });

const KINDS = {
  "a static bearer token": {
    credential: () => ({ static: [{ secrets: ["CURRENT"] }] }),
    tools: { keys: [`Bearer ${CURRENT}`] },
    kind: "static",
    who: { key: CURRENT.slice(-4) },
  },
  "a static field of another name": {
    credential: () => ({ static: [{ field: "X-Api-Key", secrets: ["NEXT"] }] }),
    tools: { keys: [NEXT], field: "x-api-key" },
    kind: "static",
    who: { key: NEXT.slice(-4) },
  },
  "client credentials, client_secret_basic": {
    credential: (scene) => ({ client_credentials: { client: scene.client("basic"), ...target(scene) } }),
    kind: "client_credentials",
    who: { client: "gate:basic", scope: "tools:call", sub: "gate:basic" },
  },
  "client credentials, client_secret_post": {
    credential: (scene) => ({ client_credentials: { client: scene.client("post"), ...target(scene) } }),
    kind: "client_credentials",
    who: { client: "gate-post", scope: "tools:call", sub: "gate-post" },
  },
  "client credentials, private_key_jwt": {
    credential: (scene) => ({ client_credentials: { client: scene.client("key"), ...target(scene) } }),
    kind: "client_credentials",
    who: { client: "gate-key", scope: "tools:call", sub: "gate-key" },
  },
  "token exchange": {
    credential: (scene) => ({ token_exchange: { client: scene.client("basic"), ...target(scene) } }),
    kind: "token_exchange",
    who: { client: "gate:basic", scope: "tools:call", sub: "ada" },
    exchanges: true,
  },
  "on behalf of, in the form of Entra": {
    credential: (scene) => ({
      token_exchange: {
        profile: "entra_on_behalf_of",
        client: scene.client("post"),
        scopes: [`${scene.tools.url}/.default`],
      },
    }),
    kind: "token_exchange",
    who: { client: "gate-post", scope: "tools:call", sub: "ada" },
    exchanges: true,
  },
  "Enterprise-Managed Authorization": {
    credential: (scene) => ({
      enterprise: {
        provider: scene.client("basic", scene.provider),
        server: scene.client("key"),
        scopes: ["tools:call"],
      },
    }),
    kind: "enterprise",
    who: { client: "gate-key", scope: "tools:call", sub: "ada" },
    exchanges: true,
  },
};

for (const [name, { kind, who, exchanges = false, ...options }] of Object.entries(KINDS)) {
  describe(name, { timeout: 120_000 }, () => {
    let scene;
    before(async () => {
      scene = await startCredentialScene(options);
    });
    after(() => scene?.close());

    for (const era of Object.keys(ERAS)) {
      test(`a tool is called, ${era} era`, async () => {
        assert.deepEqual(await scene.whoami("ada", era), who);
        const line = scene.last();
        assert.equal(line.origin_credential, kind);
        assert.equal(typeof line.origin_credential_age, kind === "static" ? "undefined" : "number");
      });
    }

    test("the caller's own token never reaches the server, and its name only where it may", async () => {
      const token = await scene.token();
      assert.equal((await scene.post({ token })).status, 200);
      for (const { fields, admitted } of scene.tools.seen) {
        assert.ok(admitted);
        assert.ok(!JSON.stringify(fields).includes(token.split(".")[1]));
        const names = Object.keys(fields).filter((field) => field.startsWith("x-portcullis-"));
        assert.equal(names.length > 0, exchanges, `${names}`);
      }
    });

    test("the server's own challenge does not reach the caller", async () => {
      scene.tools.refused = () => true;
      const refused = await scene.post();
      scene.tools.refused = () => false;
      assert.equal(refused.status, 502);
      assert.equal(refused.fields.get("www-authenticate"), null);
      assert.ok(!refused.body.includes("elsewhere.example"));
      assert.equal(scene.last().reason, "origin_unauthorized");
    });

    if (exchanges) {
      test("two callers at once each get their own, and one who is not admitted gets 403", async () => {
        const names = ["bob", "eve", "bob", "eve", "ada"];
        const all = await Promise.all(names.map((sub) => scene.whoami(sub)));
        assert.deepEqual(
          all.map(({ sub }) => sub),
          names,
        );
        if (name.startsWith("on behalf")) return;
        const refused = await scene.post({ token: await scene.token("mallory") });
        assert.equal(refused.status, 403);
        assert.equal(refused.fields.get("www-authenticate"), null);
        assert.equal(scene.last().reason, "origin_credential_denied");
        assert.match(scene.last().detail, /access_denied/);
      });
    }
  });
}

test("the gateway names itself as the actor, and the service checks that with the published key", {
  timeout: 60_000,
}, async () => {
  const key = await makeKey("ES256");
  let gatewayUrl;
  const scene = await startCredentialScene({
    credential: (scene) => ({
      token_exchange: { client: scene.client("basic"), actor: true, ...target(scene) },
    }),
    changes: ({ url }) => {
      gatewayUrl = url;
      return { identity_assertion: { key_secrets: ["ASSERTION"] } };
    },
    moreSecrets: { ASSERTION: JSON.stringify(key.privateJwk) },
    trustsGateway: true,
  });
  try {
    assert.equal((await scene.whoami()).sub, "ada");
    const actor = scene.service.requests[0].form.get("actor_token");
    const { iss, sub, aud } = decodeJwt(actor);
    assert.deepEqual({ iss, sub, aud }, { iss: gatewayUrl, sub: gatewayUrl, aud: scene.service.issuer });
  } finally {
    await scene.close();
  }
});
