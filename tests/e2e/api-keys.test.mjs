/** API keys, for machines: of configuration and of KV, in either field, and never in a log. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { describe, test } from "node:test";
import { makeApiKey } from "./support/api-key.mjs";
import { eventually, send } from "./support/http.mjs";
import { ROOT, startProcess } from "./support/processes.mjs";
import { assertRefused, challengeOf, lineOf } from "./support/refusal.mjs";
import { CALL, withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };
const LABEL = "CI of the tools team";

const UNDER = {
  "Authorization: Bearer": (key) => [["Authorization", `Bearer ${key}`]],
  "X-API-Key": (key) => [["X-API-Key", key]],
};

const call = (scene, fields) =>
  send(scene.gateway, {
    method: "POST",
    fields: [["Content-Type", "application/json"], ...fields],
    body: JSON.stringify(CALL),
  });

const unauthorized = (scene, reason = "api_key_unknown", message = undefined) => ({
  status: 401,
  reason,
  challenge: challengeOf({
    error: "invalid_token",
    scope: "mcp:tools",
    metadata: scene.metadataUrl,
    realm: scene.realm,
    ...(message && { message }),
  }),
});

/** No part of a key is in the log, nor its hash. */
function assertSaysNothing(scene, keys) {
  const secrets = keys.flatMap(({ key, secret, record }) => [
    key,
    secret,
    ...record.hash.split("$").slice(1),
  ]);
  assert.deepEqual(
    scene.gateway.logs.filter((line) => secrets.some((secret) => line.includes(secret))),
    [],
  );
}

/** Where keys may be: each gives the options of a scene that knows `keys`. */
const PLACES = {
  configuration: (keys, set = {}) => ({
    changes: () => ({ api_keys: [{ prefix: "pk", keys: keys.map(({ record }) => record), ...set }] }),
  }),
  KV: (keys, set = {}) => ({
    changes: () => ({ api_keys: [{ prefix: "pk", kv: "KEYS", ...set }] }),
    kv: {
      KEYS: Object.fromEntries(keys.map(({ storedAt, record }) => [storedAt, JSON.stringify(record)])),
    },
  }),
};

const withKeys = (place, keys, work, { set, resource } = {}) =>
  withScene(
    { resource: { issuers: ["idp"], api_keys: ["pk"], ...resource }, ...PLACES[place](keys, set) },
    async (scene) => {
      await work(scene);
      assertSaysNothing(scene, keys);
      assert.deepEqual(scene.tokensInLog(), []);
    },
  );

for (const place of Object.keys(PLACES)) {
  describe(`a key of ${place}`, { concurrency: 2 }, () => {
    for (const [field, write] of Object.entries(UNDER)) {
      const good = makeApiKey();
      test(
        `in ${field} passes, is known the second time, and goes no further`,
        PATIENCE,
        withKeys(place, [good], async (scene) => {
          for (const cache of ["miss", "hit"]) {
            scene.origin.reset();
            const answer = await call(scene, write(good.key));
            assert.equal(answer.status, 200, answer.body);
            const line = await lineOf(scene.gateway, answer);
            assert.equal(line.credential, "api_key");
            assert.equal(line.label, LABEL);
            assert.equal(line.issuer, "pk");
            assert.equal(line.client, "apikey:pk");
            assert.equal(line.token_cache, cache);
            assert.match(line.subject, /^[0-9a-f]{16}$/);
            const { headers } = scene.origin.only();
            assert.equal(headers["x-portcullis-subject"], `apikey:pk:${good.id}`);
            assert.equal(headers["x-portcullis-issuer"], scene.gateway.url);
            assert.equal(headers["x-portcullis-client"], "apikey:pk");
            assert.equal(headers["x-portcullis-scopes"], "mcp:tools");
            for (const name of ["authorization", "x-api-key"]) assert.ok(!(name in headers), name);
          }
        }),
      );
    }

    const good = makeApiKey();
    const other = makeApiKey();
    const expired = makeApiKey({ expires: "2020-01-31T00:00:00Z" });
    const powerless = makeApiKey({ scopes: [] });
    const lesser = makeApiKey({ scopes: ["files:read"] });
    const all = [good, other, expired, powerless, lesser];
    const flip = (text) => (text.startsWith("A") ? "B" : "A") + text.slice(1);
    const WRONG = {
      "with another secret": `pk_${good.id}_${flip(good.secret)}`,
      "with the secret of another key": `pk_${good.id}_${other.secret}`,
      "with an unknown id": `pk_${randomBytes(8).toString("hex")}_${good.secret}`,
      "with the last character missing": good.key.slice(0, -1),
      "with one character more": `${good.key}A`,
      "with padding": `${good.key}=`,
      "without a secret": `pk_${good.id}_`,
      "with a short secret": `pk_${good.id}_${good.secret.slice(0, 20)}`,
      "with an empty id": `pk__${good.secret}`,
      "with an id of 33 characters": `pk_${"a".repeat(33)}_${good.secret}`,
      "with an id that walks elsewhere": `pk_../apikey_${good.secret}`,
      "of the prefix alone": "pk_",
    };
    for (const [field, write] of Object.entries(UNDER)) {
      test(
        `${field}: what is no key is refused, each in the same words`,
        PATIENCE,
        withKeys(place, all, async (scene) => {
          for (const [what, key] of Object.entries(WRONG)) {
            for (const time of ["first", "second"]) {
              const answer = await call(scene, write(key));
              assert.equal(answer.status, 401, `${what}, the ${time} time: ${answer.body}`);
              const line = await assertRefused(scene.gateway, answer, unauthorized(scene));
              assert.ok(!("label" in line) && !("subject" in line), what);
            }
          }
          assert.deepEqual(scene.origin.requests, []);
          assert.equal((await call(scene, write(good.key))).status, 200);
        }),
      );

      test(
        `${field}: one that has expired is refused, one without the scope may not`,
        PATIENCE,
        withKeys(place, all, async (scene) => {
          const past = await call(scene, write(expired.key));
          const message = "The access token has expired.";
          await assertRefused(scene.gateway, past, unauthorized(scene, "token_expired", message));
          for (const { key } of [powerless, lesser]) {
            const line = await assertRefused(scene.gateway, await call(scene, write(key)), {
              status: 403,
              reason: "insufficient_scope",
              challenge: challengeOf({
                error: "insufficient_scope",
                scope: "mcp:tools",
                metadata: scene.metadataUrl,
              }),
              id: CALL.id,
            });
            assert.equal(line.label, LABEL);
          }
          assert.deepEqual(scene.origin.requests, []);
        }),
      );
    }

    test(
      "beside another credential is one too many",
      PATIENCE,
      withKeys(place, all, async (scene) => {
        const both = {
          "itself in the other field": [
            ["Authorization", `Bearer ${good.key}`],
            ["X-API-Key", good.key],
          ],
          "a token": [
            ["Authorization", `Bearer ${await scene.token()}`],
            ["X-API-Key", good.key],
          ],
          "another key": [
            ["X-API-Key", good.key],
            ["X-API-Key", other.key],
          ],
        };
        for (const [what, fields] of Object.entries(both)) {
          const answer = await call(scene, fields);
          assert.equal(answer.status, 400, what);
          await assertRefused(scene.gateway, answer, {
            status: 400,
            reason: "malformed_credentials",
            challenge: challengeOf({
              error: "invalid_request",
              message: "The credentials are malformed or repeated.",
              metadata: scene.metadataUrl,
            }),
          });
        }
        assert.deepEqual(scene.origin.requests, []);
      }),
    );

    test(
      "leaves tokens what they are, and a token is no key",
      PATIENCE,
      withKeys(place, all, async (scene) => {
        const answer = await scene.post();
        assert.equal((await lineOf(scene.gateway, answer)).credential, "jwt");
        assert.equal(answer.status, 200, answer.body);
        const refused = await call(scene, [["X-API-Key", await scene.token()]]);
        await assertRefused(scene.gateway, refused, unauthorized(scene));
      }),
    );
  });
}

describe("the store", { concurrency: 2 }, () => {
  const field = UNDER["X-API-Key"];
  const status = async (scene, { key }) => (await call(scene, field(key))).status;

  const removed = makeApiKey();
  test(
    "loses a key, which ends here within cache_seconds",
    PATIENCE,
    withKeys(
      "KV",
      [removed],
      async (scene) => {
        assert.equal(await status(scene, removed), 200);
        const store = await scene.gateway.kv("KEYS");
        await store.delete(removed.storedAt);
        await eventually("a refusal", async () => (await status(scene, removed)) === 401);
      },
      { set: { cache_seconds: 1 } },
    ),
  );

  const added = makeApiKey();
  test(
    "gets a key, which opens within cache_seconds though it was refused before",
    PATIENCE,
    withKeys(
      "KV",
      [],
      async (scene) => {
        assert.equal(await status(scene, added), 401);
        const store = await scene.gateway.kv("KEYS");
        await store.put(added.storedAt, JSON.stringify(added.record));
        await eventually("a call that passes", async () => (await status(scene, added)) === 200);
        assertSaysNothing(scene, [added]);
      },
      { set: { cache_seconds: 1 } },
    ),
  );

  test(
    "has a key that ends while it is known",
    PATIENCE,
    withKeys(
      "KV",
      [],
      async (scene) => {
        const brief = makeApiKey({ expires: new Date(Date.now() + 2_500).toISOString() });
        const store = await scene.gateway.kv("KEYS");
        await store.put(brief.storedAt, JSON.stringify(brief.record));
        assert.equal(await status(scene, brief), 200);
        const refused = await eventually(
          "a refusal",
          async () => {
            const answer = await call(scene, field(brief.key));
            return answer.status === 200 ? undefined : answer;
          },
          10_000,
        );
        const line = await lineOf(scene.gateway, refused);
        assert.equal(line.reason, "token_expired");
        assert.equal(line.token_cache, "hit");
      },
      { set: { cache_seconds: 600 } },
    ),
  );

  const good = makeApiKey();
  const BROKEN = {
    "no JSON": "hello",
    "no object": "[]",
    "the record of another key": JSON.stringify(makeApiKey().record),
    "a record without a hash": JSON.stringify({ ...good.record, hash: undefined }),
    "a record with a member that nobody knows": JSON.stringify({ ...good.record, admin: true }),
    "a record with a hash of another scheme": JSON.stringify({ ...good.record, hash: "plain$secret" }),
    "a record with a salt of one byte": JSON.stringify({
      ...good.record,
      hash: good.record.hash.replace(/\$[^$]+\$/, "$AA$"),
    }),
    "a record with a moment that is none": JSON.stringify({ ...good.record, expires: "soon" }),
    "a record with a member twice": `{"id":"x",${JSON.stringify(good.record).slice(1)}`,
    "a record of 17 KB": JSON.stringify({ ...good.record, label: "x".repeat(17_000) }),
  };
  for (const [what, value] of Object.entries(BROKEN)) {
    test(
      `has ${what}: 503, because nothing is known of the key`,
      PATIENCE,
      withScene(
        {
          resource: { api_keys: ["pk"] },
          changes: () => ({ api_keys: [{ prefix: "pk", kv: "KEYS" }] }),
          kv: { KEYS: { [good.storedAt]: value } },
        },
        async (scene) => {
          await assertRefused(scene.gateway, await call(scene, field(good.key)), {
            status: 503,
            reason: "api_keys_unavailable",
            retryAfter: "1",
          });
          assert.deepEqual(scene.origin.requests, []);
          assertSaysNothing(scene, [good]);
          const store = await scene.gateway.kv("KEYS");
          await store.put(good.storedAt, JSON.stringify(good.record));
          assert.equal(await status(scene, good), 200, "and is well again");
        },
      ),
    );
  }

  test(
    "is not bound: 503 for its keys, and those of configuration pass",
    PATIENCE,
    withScene(
      {
        resource: { api_keys: ["pk"] },
        changes: () => ({ api_keys: [{ prefix: "pk", kv: "KEYS", keys: [good.record] }] }),
      },
      async (scene) => {
        assert.equal(await status(scene, good), 200);
        const answer = await call(scene, field(makeApiKey().key));
        const line = await assertRefused(scene.gateway, answer, {
          status: 503,
          reason: "api_keys_unavailable",
          retryAfter: "1",
        });
        assert.match(line.detail, /^KV "KEYS": there is no such binding/);
      },
    ),
  );

  test(
    "does not change a key of configuration",
    PATIENCE,
    withScene(
      {
        resource: { api_keys: ["pk"] },
        changes: () => ({ api_keys: [{ prefix: "pk", kv: "KEYS", keys: [good.record] }] }),
        kv: { KEYS: { [good.storedAt]: JSON.stringify(makeApiKey({ id: good.id }).record) } },
      },
      async (scene) => assert.equal(await status(scene, good), 200),
    ),
  );
});

test("each resource takes what it says, and shows it in its metadata", PATIENCE, async () => {
  const good = makeApiKey();
  const resource = (path, { url }, accepts) => ({ path, origin: url, scopes: ["mcp:tools"], ...accepts });
  const work = withScene(
    {
      changes: ({ origin }) => ({
        api_keys: [{ prefix: "pk", keys: [good.record] }],
        resources: [
          resource("/mcp", origin, { issuers: ["idp"] }),
          resource("/machines", origin, { api_keys: ["pk"] }),
        ],
      }),
    },
    async (scene) => {
      await assertRefused(scene.gateway, await call(scene, [["X-API-Key", good.key]]), {
        status: 401,
        reason: "no_credentials",
        challenge: challengeOf({ scope: "mcp:tools", metadata: scene.metadataUrl }),
      });
      const bearer = await call(scene, UNDER["Authorization: Bearer"](good.key));
      await assertRefused(scene.gateway, bearer, unauthorized(scene, "token_not_for_this_resource"));

      const target = "/machines";
      const metadataUrl = scene.metadataUrl.replace(/mcp$/, "machines");
      assert.equal((await scene.post({ token: good.key, target })).status, 200);
      const audience = `${scene.gateway.url}/machines`;
      const token = await scene.token({ audience });
      // It takes keys alone: no login is offered (R6).
      const refused = unauthorized({ realm: audience }, "token_issuer");
      await assertRefused(scene.gateway, await scene.post({ token, target }), refused);

      const metadata = async (url) => (await send(scene.gateway, { target: new URL(url).pathname })).json();
      assert.deepEqual((await metadata(scene.metadataUrl)).authorization_servers, [scene.idp.issuer]);
      assert.equal((await send(scene.gateway, { target: new URL(metadataUrl).pathname })).status, 404);
    },
  );
  await work();
});

test("each of two sets has the keys of its prefix", PATIENCE, async () => {
  const first = makeApiKey();
  const second = makeApiKey({ prefix: "pk2", id: first.id });
  const work = withScene(
    {
      resource: { api_keys: ["pk", "pk2"] },
      changes: () => ({
        api_keys: [
          { prefix: "pk", keys: [first.record] },
          { prefix: "pk2", keys: [second.record] },
        ],
      }),
    },
    async (scene) => {
      for (const { key } of [first, second]) {
        assert.equal((await call(scene, UNDER["X-API-Key"](key))).status, 200);
      }
      const crossed = second.key.replace("pk2_", "pk_");
      assert.equal((await call(scene, UNDER["X-API-Key"](crossed))).status, 401);
    },
  );
  await work();
});

test("what the command makes and prints opens the gateway as it is", PATIENCE, async () => {
  const command = startProcess("node", [
    join(ROOT, "scripts", "portcullis.mjs"),
    "apikey",
    ...["--prefix", "pk", "--label", 'the team\'s "CI"', "--scopes", "mcp:tools"],
  ]);
  const { code } = await command.exited;
  assert.equal(code, 0, "the command ends well");
  const key = command.output.stdout.trim();
  const [, storedAt, quoted] = command.output.stderr.match(/"(apikey:pk:\w+)" '(.*)'\n/);
  const record = quoted.replaceAll("'\\''", "'");
  // The secret may have underscores of its own.
  const secret = key.match(/^pk_[0-9a-f]{16}_([\w-]{43})$/)[1];
  assert.ok(!command.output.stderr.includes(secret), "the record has no secret");
  const work = withScene(
    {
      resource: { api_keys: ["pk"] },
      changes: () => ({ api_keys: [{ prefix: "pk", kv: "KEYS" }] }),
      kv: { KEYS: { [storedAt]: record } },
    },
    async (scene) => {
      const answer = await call(scene, UNDER["Authorization: Bearer"](key));
      assert.equal(answer.status, 200, answer.body);
      assert.equal((await lineOf(scene.gateway, answer)).label, 'the team\'s "CI"');
    },
  );
  await work();
});
