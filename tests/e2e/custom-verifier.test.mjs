/**
 * Credentials that a Worker of the user's own knows about, asked through a service binding. It answers as RFC 7662 has
 * it, or it is no answer.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { Response } from "miniflare";
import { eventually } from "./support/http.mjs";
import { assertRefused, challengeOf, lineOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };
const RETRY_SECONDS = "1";

const json = (value, status = 200) =>
  new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });

/**
 * A test with a verifier: `scene.asked` has what it was asked, `scene.answer` is what it answers with, a function of
 * the question.
 */
const withVerifier = ({ verifier = {}, resource = {}, bound = true }, work) =>
  async function run() {
    const asked = [];
    const verify = { answer: () => json({ active: true, sub: "ada", scope: "mcp:tools" }) };
    const services = {
      VERIFIER: async (request) => {
        const { method, url, headers } = request;
        const fields = Object.fromEntries(headers);
        const question = await request.json();
        asked.push({ method, url, fields, question });
        return verify.answer(question);
      },
    };
    const changes = () => ({
      issuers: [],
      verifiers: [{ name: "own", service: "VERIFIER", timeout_seconds: 1, ...verifier }],
    });
    const options = {
      resource: { issuers: [], verifiers: ["own"], ...resource },
      changes,
      services: bound ? services : {},
    };
    await withScene(options, async (scene) => {
      Object.assign(scene, { asked, verify, credential: () => scene.keep(randomBytes(24).toString("hex")) });
      await work(scene);
      assert.deepEqual(scene.tokensInLog(), []);
    })();
  };

async function assertPasses(scene, token, cache) {
  const answer = await scene.post({ token });
  assert.equal(answer.status, 200, answer.body);
  const line = await lineOf(scene.gateway, answer);
  assert.equal(line.credential, "custom");
  assert.equal(line.issuer, "own");
  if (cache) assert.equal(line.token_cache, cache);
  return line;
}

const assertRefusedToken = async (scene, token, reason = "token_inactive") =>
  assertRefused(scene.gateway, await scene.post({ token }), {
    status: 401,
    reason,
    challenge: challengeOf({
      error: "invalid_token",
      ...(reason === "token_expired" && { message: "The access token has expired." }),
      scope: "mcp:tools",
      // A resource that takes nothing else has no login (R6).
      realm: scene.resourceUrl,
    }),
  });

async function assertUnavailable(scene, detail, token = scene.credential()) {
  const line = await assertRefused(scene.gateway, await scene.post({ token }), {
    status: 503,
    reason: "verifier_unavailable",
    retryAfter: RETRY_SECONDS,
  });
  assert.match(line.detail, detail);
  assert.deepEqual(scene.origin.requests, []);
}

describe("a verifier", { concurrency: 2 }, () => {
  test(
    "is told the credential and the resource, and nothing else of the request",
    PATIENCE,
    withVerifier({}, async (scene) => {
      const token = scene.credential();
      const fields = await scene.fields({ Cookie: "a=b", "X-Other": "c" }, token);
      const answer = await scene.post({ token, fields });
      assert.equal(answer.status, 200, answer.body);
      const [{ method, url, fields: got, question }] = scene.asked;
      assert.equal(scene.asked.length, 1);
      assert.deepEqual([method, url], ["POST", "https://verifier.invalid/"]);
      assert.deepEqual(question, { version: 1, token, resource: scene.resourceUrl });
      assert.equal(got["content-type"], "application/json");
      assert.equal(got.accept, "application/json");
      for (const name of ["authorization", "cookie", "x-other"]) assert.ok(!(name in got), name);

      const { headers } = scene.origin.only();
      assert.equal(headers["x-portcullis-subject"], "ada");
      assert.equal(headers["x-portcullis-issuer"], scene.gateway.url);
      assert.equal(headers["x-portcullis-scopes"], "mcp:tools");
      for (const name of ["authorization", "x-portcullis-client"]) assert.ok(!(name in headers), name);
    }),
  );

  test(
    "may say who vouches, for which client, and under which label",
    PATIENCE,
    withVerifier({}, async (scene) => {
      scene.verify.answer = () =>
        json({
          active: true,
          iss: "https://people.example",
          sub: "björn %",
          client_id: "laptop",
          label: "Björn's laptop",
          scope: "mcp:tools files:read",
          exp: Math.floor(Date.now() / 1000) + 60,
        });
      const line = await assertPasses(scene, scene.credential());
      assert.equal(line.client, "laptop");
      assert.equal(line.label, "Björn's laptop");
      const { headers } = scene.origin.only();
      assert.equal(headers["x-portcullis-subject"], "bj%C3%B6rn%20%25");
      assert.equal(headers["x-portcullis-issuer"], "https://people.example");
      assert.equal(headers["x-portcullis-scopes"], "files:read mcp:tools");
    }),
  );

  test(
    "is asked each time, unless configuration says otherwise",
    PATIENCE,
    withVerifier({}, async (scene) => {
      const token = scene.credential();
      for (let call = 0; call < 3; call += 1) await assertPasses(scene, token, "miss");
      assert.equal(scene.asked.length, 3);
      scene.verify.answer = () => json({ active: false });
      for (let call = 0; call < 2; call += 1) await assertRefusedToken(scene, token);
      assert.equal(scene.asked.length, 5);
    }),
  );

  test(
    "is asked once in cache_seconds, by 20 calls at once too",
    PATIENCE,
    withVerifier({ verifier: { cache_seconds: 60, timeout_seconds: 5 } }, async (scene) => {
      const { answer } = scene.verify;
      scene.verify.answer = async () => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return answer();
      };
      const token = scene.credential();
      const answers = await Promise.all(Array.from({ length: 20 }, () => scene.post({ token })));
      assert.deepEqual(
        answers.map(({ status }) => status),
        answers.map(() => 200),
      );
      await assertPasses(scene, token, "hit");
      assert.equal(scene.asked.length, 1);
    }),
  );

  test(
    "is asked again after cache_seconds",
    PATIENCE,
    withVerifier({ verifier: { cache_seconds: 1 } }, async (scene) => {
      const token = scene.credential();
      await assertPasses(scene, token);
      scene.verify.answer = () => json({ active: false });
      await eventually("a refusal", async () => (await scene.post({ token })).status === 401);
      assert.equal(scene.asked.length, 2);
    }),
  );

  test(
    "is not asked again about a bad credential in negative_cache_seconds",
    PATIENCE,
    withVerifier({ verifier: { cache_seconds: 60, negative_cache_seconds: 60 } }, async (scene) => {
      scene.verify.answer = () => json({ active: false });
      const token = scene.credential();
      for (let call = 0; call < 3; call += 1) await assertRefusedToken(scene, token);
      assert.equal(scene.asked.length, 1);
      scene.verify.answer = () => json({ active: true, sub: "ada", scope: "mcp:tools" });
      await assertPasses(scene, scene.credential());
    }),
  );

  test(
    "ends a credential with exp, however long its answer may be kept",
    PATIENCE,
    withVerifier({ verifier: { cache_seconds: 600 } }, async (scene) => {
      const exp = Math.floor(Date.now() / 1000) + 3;
      scene.verify.answer = () => json({ active: true, sub: "ada", scope: "mcp:tools", exp });
      const token = scene.credential();
      await assertPasses(scene, token);
      await eventually("a refusal", async () => (await scene.post({ token })).status === 401, 10_000);
      await assertRefusedToken(scene, token, "token_expired");
    }),
  );

  const REFUSED = {
    "`active` as false": [{ active: false }, "token_inactive"],
    "nobody's name": [{ active: true }, "token_claim_missing"],
    "an empty name": [{ active: true, sub: "" }, "token_claim_missing"],
    "another audience": [{ active: true, sub: "ada", aud: "https://other.example" }, "token_audience"],
    "an end that has passed": [{ active: true, sub: "ada", exp: 1_000_000_000 }, "token_expired"],
    "a binding to a key": [{ active: true, sub: "ada", cnf: { jkt: "x" } }, "token_sender_constrained"],
  };
  for (const [what, [answer, reason]] of Object.entries(REFUSED)) {
    test(
      `that says ${what} refuses`,
      PATIENCE,
      withVerifier({}, async (scene) => {
        scene.verify.answer = () => json(answer);
        await assertRefusedToken(scene, scene.credential(), reason);
        assert.deepEqual(scene.origin.requests, []);
      }),
    );
  }

  test(
    "that gives no scope gives none",
    PATIENCE,
    withVerifier({}, async (scene) => {
      scene.verify.answer = () => json({ active: true, sub: "ada" });
      const answer = await scene.post({ token: scene.credential() });
      assert.equal(answer.status, 403);
      assert.equal((await lineOf(scene.gateway, answer)).reason, "insufficient_scope");
    }),
  );

  const good = { active: true, sub: "ada", scope: "mcp:tools" };
  const text = (body, type = "application/json", status = 200) =>
    new Response(body, { status, headers: { "content-type": type } });
  const UNAVAILABLE = {
    "an error": [() => json(good, 500), /: status 500$/],
    "a status of 401": [() => json(good, 401), /: status 401$/],
    "a redirect": [
      () => new Response(null, { status: 302, headers: { location: "https://elsewhere.example/" } }),
      /: status 302$/,
    ],
    "a page": [() => text("<!doctype html>", "text/html"), /not application\/json$/],
    "JSON that says it is text": [() => text(JSON.stringify(good), "text/plain"), /not application\/json$/],
    nothing: [() => new Response(null, { status: 204 }), /: status 204$/],
    "no body": [() => text(""), /./],
    garbage: [() => text("}{"), /./],
    "half an object": [() => text('{"active":true,"sub":"a'), /./],
    "an array": [() => json([good]), /not a JSON object$/],
    "no `active`": [() => json({ sub: "ada" }), /no boolean `active`$/],
    "`active` as a text": [() => json({ ...good, active: "true" }), /no boolean `active`$/],
    "a name that is a number": [() => json({ ...good, sub: 7 }), /sub is malformed$/],
    "a label that is a number": [() => json({ ...good, label: 7 }), /label is malformed$/],
    "an end that is a text": [() => json({ ...good, exp: "1000000000" }), /exp is malformed$/],
    "`active` twice": [() => text('{"active":true,"active":true,"sub":"ada"}'), /repeated member/],
    "300 KB": [() => json({ ...good, padding: "x".repeat(300_000) }), /too large/],
  };
  for (const [what, [answer, detail]] of Object.entries(UNAVAILABLE)) {
    test(
      `that answers with ${what} is 503, and well again with its next answer`,
      PATIENCE,
      withVerifier({ verifier: { cache_seconds: 60, negative_cache_seconds: 60 } }, async (scene) => {
        const token = scene.credential();
        scene.verify.answer = answer;
        await assertUnavailable(scene, detail, token);
        scene.verify.answer = () => json(good);
        await assertPasses(scene, token, "miss");
      }),
    );
  }

  test(
    "that throws, or answers too late, is 503",
    PATIENCE,
    withVerifier({}, async (scene) => {
      scene.verify.answer = () => {
        throw new Error("a failure of the verifier");
      };
      await assertUnavailable(scene, /./);
      scene.verify.answer = () => new Promise((resolve) => setTimeout(() => resolve(json(good)), 2_500));
      await assertUnavailable(scene, /./);
    }),
  );

  test(
    "that is not bound is 503",
    PATIENCE,
    withVerifier({ bound: false }, async (scene) => {
      await assertUnavailable(scene, /there is no such binding "VERIFIER"/);
    }),
  );
});

test("a verifier beside an issuer gets what begins as configured, or is no JWT", PATIENCE, async () => {
  for (const token_prefix of ["own-", undefined]) {
    const asked = [];
    const work = withScene(
      {
        resource: { verifiers: ["own"] },
        changes: () => ({
          verifiers: [{ name: "own", service: "VERIFIER", ...(token_prefix && { token_prefix }) }],
        }),
        services: {
          VERIFIER: async (request) => {
            asked.push((await request.json()).token);
            return json({ active: true, sub: "ada", scope: "mcp:tools" });
          },
        },
      },
      async (scene) => {
        const answer = await scene.post();
        assert.equal((await lineOf(scene.gateway, answer)).credential, "jwt");
        assert.deepEqual(asked, []);
        await assertPasses(scene, "own-credential");
        const other = await scene.post({ token: "another-credential" });
        assert.equal(other.status, token_prefix === undefined ? 200 : 401);
        assert.deepEqual(asked, ["own-credential", ...(token_prefix ? [] : ["another-credential"])]);

        // A JWT of an issuer that nobody here knows is not handed to the verifier.
        const foreign = await scene.token({ claims: { iss: "https://login.evil.example" } });
        assert.equal((await scene.post({ token: foreign })).status, 401);
        assert.ok(!asked.includes(foreign));
      },
    );
    await work();
  }
});

test("what a verifier says of one resource is not used for another", PATIENCE, async () => {
  const asked = [];
  const work = withScene(
    {
      changes: ({ origin }) => ({
        issuers: [],
        verifiers: [{ name: "own", service: "VERIFIER", cache_seconds: 60, negative_cache_seconds: 60 }],
        resources: ["/mcp", "/other"].map((path) => ({ path, origin: origin.url, verifiers: ["own"] })),
      }),
      services: {
        VERIFIER: async (request) => {
          const { resource } = await request.json();
          asked.push(new URL(resource).pathname);
          return json({ active: resource.endsWith("/mcp"), sub: "ada" });
        },
      },
    },
    async (scene) => {
      const token = scene.keep(randomBytes(24).toString("hex"));
      const status = async (target) => (await scene.post({ token, target })).status;
      for (let round = 0; round < 2; round += 1) {
        assert.equal(await status("/mcp"), 200);
        assert.equal(await status("/other"), 401);
      }
      assert.deepEqual(asked, ["/mcp", "/other"]);
    },
  );
  await work();
});
