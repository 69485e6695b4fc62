/**
 * Opaque tokens, about which the gateway asks their authorization server (RFC 7662): a real one, with each client
 * authentication.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { startAuthorizationServer } from "./support/authorization-server.mjs";
import { eventually } from "./support/http.mjs";
import {
  assertPasses,
  assertRefusedToken,
  assertSaysNothing,
  RETRY_SECONDS,
  unauthorized,
} from "./support/introspection.mjs";
import { assertRefused, challengeOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };

const METHODS = { basic: "client_secret_basic", post: "client_secret_post", key: "private_key_jwt" };

/** The issuer of a real server, asked as one of its gateways. */
const asked = (server, name = "basic", more = {}) => ({
  name: "idp",
  issuer: server.issuer,
  introspection: {
    client_id: server.gateways[name].clientId,
    secret: "INTROSPECTION_SECRET",
    authentication: METHODS[name],
    ...more,
  },
});

describe("a real authorization server", { concurrency: 2 }, () => {
  let server;
  before(async () => {
    server = await startAuthorizationServer();
  });
  after(() => server?.close());

  /** A test with a gateway of its own; `scene.opaque()` gives a token, `scene.asked()` the questions so far. */
  const withServer =
    ({ gateway = "basic", introspection, secret, ...options }, work) =>
    () =>
      withScene(
        {
          changes: () => ({ issuers: [asked(server, gateway, introspection)] }),
          secrets: { INTROSPECTION_SECRET: secret ?? server.gateways[gateway].secret },
          ...options,
        },
        async (scene) => {
          scene.opaque = async (more) => scene.keep(await server.token(scene.resourceUrl, more));
          await work(scene);
          assertSaysNothing(scene, [...server.secrets, ...(secret ? [secret] : [])]);
        },
      )();

  for (const [gateway, method] of Object.entries(METHODS)) {
    for (const signed of [false, true]) {
      test(
        `is asked as a client with ${method}${signed ? ", and signs its answers (RFC 9701)" : ""}`,
        PATIENCE,
        withServer({ gateway, introspection: signed ? { signed_response: true } : {} }, async (scene) => {
          const token = await scene.opaque();
          const line = await assertPasses(scene, token, "miss");
          assert.equal(line.issuer, "idp");
          assert.equal(line.client, "machine");
          const { headers } = scene.origin.only();
          assert.equal(headers["x-portcullis-subject"], "machine");
          assert.equal(headers["x-portcullis-issuer"], server.issuer);
          assert.equal(headers["x-portcullis-client"], "machine");
          assert.equal(headers["x-portcullis-scopes"], "mcp:tools");
          assert.ok(!("authorization" in headers));

          // The assertion of private_key_jwt is a new one each time, or the server would refuse it.
          await assertPasses(scene, await scene.opaque(), "miss");
          const nobodys = scene.keep(randomBytes(32).toString("base64url"));
          await assertRefusedToken(scene, nobodys, "token_inactive");
        }),
      );
    }
  }

  test(
    "which does not know this client: 503, because nothing is known of the token",
    PATIENCE,
    withServer({ secret: "another secret altogether" }, async (scene) => {
      const answer = await scene.post({ token: await scene.opaque() });
      const line = await assertRefused(scene.gateway, answer, {
        status: 503,
        reason: "introspection_unavailable",
        retryAfter: RETRY_SECONDS,
      });
      assert.match(line.detail, /: status 401$/);
      assert.deepEqual(scene.origin.requests, []);
    }),
  );

  test(
    "revokes a token, which ends here within cache_seconds",
    PATIENCE,
    withServer({ introspection: { cache_seconds: 1 } }, async (scene) => {
      const token = await scene.opaque();
      await assertPasses(scene, token);
      await server.revoke(token);
      const refused = await eventually("a refusal", async () => {
        const answer = await scene.post({ token });
        return answer.status === 200 ? undefined : answer;
      });
      await assertRefused(scene.gateway, refused, unauthorized(scene, "token_inactive"));
      await assertRefusedToken(scene, token, "token_inactive");
    }),
  );

  test(
    "wants an audience: a token for another resource is refused, each time",
    PATIENCE,
    withServer({}, async (scene) => {
      const token = scene.keep(await server.token(`${scene.gateway.url}/other`));
      await assertRefusedToken(scene, token, "token_audience");
      await assertRefusedToken(scene, token, "token_audience");
    }),
  );

  test(
    "gives a token without the scope",
    PATIENCE,
    withServer({}, async (scene) => {
      const answer = await scene.post({ token: await scene.opaque({ scope: "files:read" }) });
      await assertRefused(scene.gateway, answer, {
        status: 403,
        reason: "insufficient_scope",
        challenge: challengeOf({
          error: "insufficient_scope",
          scope: "mcp:tools",
          metadata: scene.metadataUrl,
        }),
        id: 7,
      });
    }),
  );
});

describe("a real authorization server is asked once", () => {
  let server;
  beforeEach(async () => {
    server = await startAuthorizationServer();
  });
  afterEach(() => server?.close());

  const withServer = (introspection, work) => () =>
    withScene(
      {
        changes: () => ({ issuers: [asked(server, "basic", introspection)] }),
        secrets: { INTROSPECTION_SECRET: server.gateways.basic.secret },
      },
      work,
    )();

  test(
    "for a token that is used again",
    PATIENCE,
    withServer({}, async (scene) => {
      const token = scene.keep(await server.token(scene.resourceUrl));
      await assertPasses(scene, token, "miss");
      for (let call = 0; call < 3; call += 1) await assertPasses(scene, token, "hit");
      assert.equal(server.introspections(), 1);
      assert.deepEqual(scene.tokensInLog(), []);
    }),
  );

  test(
    "for 20 calls at once",
    PATIENCE,
    withServer({}, async (scene) => {
      const token = scene.keep(await server.token(scene.resourceUrl));
      const answers = await Promise.all(Array.from({ length: 20 }, () => scene.post({ token })));
      assert.deepEqual(
        answers.map(({ status }) => status),
        answers.map(() => 200),
      );
      assert.equal(server.introspections(), 1);
    }),
  );

  test(
    "for 20 calls at once with a token that nobody knows",
    PATIENCE,
    withServer({}, async (scene) => {
      const token = scene.keep(randomBytes(32).toString("base64url"));
      const answers = await Promise.all(Array.from({ length: 20 }, () => scene.post({ token })));
      assert.deepEqual(
        answers.map(({ status }) => status),
        answers.map(() => 401),
      );
      assert.equal(server.introspections(), 1);
    }),
  );

  test(
    "but each time where cache_seconds and negative_cache_seconds are 0",
    PATIENCE,
    withServer({ cache_seconds: 0, negative_cache_seconds: 0 }, async (scene) => {
      const token = scene.keep(await server.token(scene.resourceUrl));
      for (let call = 0; call < 3; call += 1) await assertPasses(scene, token, "miss");
      assert.equal(server.introspections(), 3);
      await server.revoke(token);
      for (let call = 0; call < 2; call += 1) await assertRefusedToken(scene, token, "token_inactive");
      assert.equal(server.introspections(), 5);
    }),
  );
});
