/**
 * Answers about opaque tokens (RFC 7662, RFC 9701) from a scripted authorization server. If the gateway cannot know
 * whether a token is active, it neither accepts nor rejects it: the answer is 503.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "./support/http.mjs";
import {
  assertPasses,
  assertRefusedToken,
  assertUnavailable,
  SECRETS,
  scripted,
  unauthorized,
  withScripted,
} from "./support/introspection.mjs";
import { assembleToken, makeKey, signToken } from "./support/issuer.mjs";
import { startWitness } from "./support/origin.mjs";
import { assertRefused, challengeOf, lineOf } from "./support/refusal.mjs";
import { startScene, withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };

describe("an answer that is none", { concurrency: 2 }, () => {
  const reply =
    (body, fields = {}, status = 200) =>
    () => ({ status, fields: { "content-type": "application/json", ...fields }, body });
  const good = '{"active":true,"sub":"ada"}';

  const ANSWERS = {
    "an error": [reply(good, {}, 500), /: status 500$/],
    "a refusal of this client": [reply('{"error":"invalid_client"}', {}, 401), /: status 401$/],
    "a status of 201": [reply(good, {}, 201), /: status 201$/],
    "a page": [reply("<!doctype html>", { "content-type": "text/html" }), /not application\/json$/],
    "JSON that says it is text": [reply(good, { "content-type": "text/plain" }), /not application\/json$/],
    "JSON that does not say what it is": [() => ({ status: 200, fields: {}, body: good }), /not application/],
    "a signed answer that nobody asked for": [
      reply("a.b.c", { "content-type": "application/token-introspection+jwt" }),
      /not application\/json$/,
    ],
    nothing: [reply(""), /cut short|not JSON/],
    "half an object": [reply('{"active":true,"sub'), /cut short|not JSON/],
    "an array": [reply(`[${good}]`), /not a JSON object$/],
    "no `active`": [reply('{"sub":"ada","scope":"mcp:tools"}'), /no boolean `active`$/],
    "an audience that is a number": [reply('{"active":true,"sub":"ada","aud":1}'), /aud is malformed$/],
    "a subject that is a number": [reply('{"active":true,"sub":7}'), /sub is malformed$/],
    "an end that is a text": [
      reply('{"active":true,"sub":"ada","aud":"x","exp":"2030-01-01"}'),
      /exp is malformed$/,
    ],
    "`active` as a text": [reply('{"active":"true","sub":"ada"}'), /no boolean `active`$/],
    "`active` as a number": [reply('{"active":1,"sub":"ada"}'), /no boolean `active`$/],
    "`active` as null": [reply('{"active":null,"sub":"ada"}'), /no boolean `active`$/],
    "`active` twice": [reply('{"active":true,"active":false}'), /repeated member/],
    "another issuer's answer": [
      reply('{"active":true,"sub":"ada","iss":"https://login.evil.example"}'),
      /the iss of another issuer$/,
    ],
    "an answer of 10 MB": [reply(" ".repeat(10_000_000)), /too large$/],
  };
  for (const [what, [answer, detail]] of Object.entries(ANSWERS)) {
    test(
      `${what} is 503`,
      PATIENCE,
      withScripted({}, async (scene) => {
        scene.idp.answers.introspection = answer;
        await assertUnavailable(scene, detail);
      }),
    );
  }

  test(
    "half an answer, after which the connection breaks, is 503",
    PATIENCE,
    withScripted({}, async (scene) => {
      scene.idp.answers.introspection = (_request, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": 500 });
        response.write('{"active":true,"sub":"ada"}', () => response.destroy());
      };
      await assertUnavailable(scene, /./);
    }),
  );

  test(
    "a head without a body, or nothing at all, within timeout_seconds is 503",
    PATIENCE,
    withScripted({}, async (scene) => {
      scene.idp.answers.introspection = (_request, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.write('{"active":true,');
      };
      await assertUnavailable(scene, /./);
      scene.idp.answers.introspection = () => {};
      await assertUnavailable(scene, /./);
    }),
  );

  test(
    "a redirect is 503, and nobody else gets the token",
    PATIENCE,
    withScripted({}, async (scene) => {
      const elsewhere = await startWitness();
      try {
        for (const status of [301, 302, 303, 307, 308]) {
          scene.idp.answers.introspection = reply("", { location: elsewhere.url }, status);
          await assertUnavailable(scene, new RegExp(`: status ${status}$`));
        }
        assert.deepEqual(elsewhere.requests, []);
      } finally {
        await elsewhere.close();
      }
    }),
  );

  test(
    "a server that is down is 503",
    PATIENCE,
    withScripted({}, async (scene) => {
      await scene.idp.close();
      await assertUnavailable(scene, /./);
      await scene.idp.reopen();
      await assertPasses(scene, scene.opaque(), "miss");
    }),
  );

  test(
    "metadata that does not say where to ask, or says where the token would not be safe, is 503",
    PATIENCE,
    withScripted({}, async (scene) => {
      const { metadata } = scene.idp.answers;
      const document = JSON.parse(metadata().body);
      const says = (endpoint) => {
        scene.idp.answers.metadata = () => scene.idp.json({ ...document, introspection_endpoint: endpoint });
      };
      says(undefined);
      await assertUnavailable(scene, /introspection_endpoint/);
      says("http://login.evil.example/introspect");
      await assertUnavailable(scene, /introspection_endpoint/);
      says("file:///etc/passwd");
      await assertUnavailable(scene, /introspection_endpoint/);
      assert.equal(scene.idp.introspections(), 0);
      scene.idp.answers.metadata = metadata;
      await assertPasses(scene, scene.opaque(), "miss");
    }),
  );

  test(
    "failures are over when the server is well again",
    PATIENCE,
    withScripted({}, async (scene) => {
      const token = scene.opaque();
      const { introspection } = scene.idp.answers;
      scene.idp.answers.introspection = reply("", {}, 500);
      await assertUnavailable(scene, /: status 500$/, token);
      scene.idp.answers.introspection = introspection;
      await assertPasses(scene, token, "miss");
      await assertPasses(scene, token, "hit");
    }),
  );

  test(
    "a failure while a good token is in memory harms nobody",
    PATIENCE,
    withScripted({}, async (scene) => {
      const token = scene.opaque();
      await assertPasses(scene, token, "miss");
      scene.idp.answers.introspection = reply("", {}, 500);
      await assertPasses(scene, token, "hit");
      scene.origin.reset();
      await assertUnavailable(scene, /: status 500$/);
    }),
  );

  test(
    "a caller who asks and leaves keeps nobody else with that token out",
    PATIENCE,
    withScripted({ timeout_seconds: 5 }, async (scene) => {
      const token = scene.opaque();
      const { introspection } = scene.idp.answers;
      scene.idp.answers.introspection = (_request, response) => {
        setTimeout(() => {
          const { status, fields, body } = introspection();
          response.writeHead(status, fields).end(body);
        }, 400);
      };
      await scene.post({ token, abandon: true });
      await assertPasses(scene, token);
      assert.equal(scene.idp.introspections(), 1);
    }),
  );

  test(
    "20 calls at once with one token wait for a slow answer, and it is one",
    PATIENCE,
    withScripted({ timeout_seconds: 5 }, async (scene) => {
      const token = scene.opaque();
      const { introspection } = scene.idp.answers;
      scene.idp.answers.introspection = (_request, response) => {
        setTimeout(() => {
          const { status, fields, body } = introspection();
          response.writeHead(status, fields).end(body);
        }, 500);
      };
      const answers = await Promise.all(Array.from({ length: 20 }, () => scene.post({ token })));
      assert.deepEqual(
        answers.map(({ status }) => status),
        answers.map(() => 200),
      );
      assert.equal(scene.idp.introspections(), 1);
    }),
  );
});

describe("what an answer says is held to", { concurrency: 2 }, () => {
  const now = () => Math.floor(Date.now() / 1000);
  const REFUSED = {
    "no audience": [{ aud: undefined }, "token_claim_missing"],
    "another audience": [{ aud: ["https://other.example/mcp"] }, "token_audience"],
    "neither subject nor client": [{ sub: undefined }, "token_claim_missing"],
    "an end that has passed": [{ exp: now() - 60 }, "token_expired"],
    "a beginning that lies ahead": [{ nbf: now() + 600 }, "token_not_yet_valid"],
    "an issue that lies ahead": [{ iat: now() + 600 }, "token_issued_in_future"],
    "a binding that nobody here can check": [{ cnf: { jwe: "x" } }, "token_sender_constrained"],
    "a binding to a key, which the resource does not take": [
      { cnf: { jkt: "x".repeat(43) } },
      "token_sender_constrained",
    ],
    "`active` as false": [{ active: false }, "token_inactive"],
  };
  for (const [what, [changes, reason]] of Object.entries(REFUSED)) {
    test(
      `${what} is refused, also when it is known`,
      PATIENCE,
      withScripted({}, async (scene) => {
        scene.says(changes);
        const token = scene.opaque();
        const challenge =
          reason === "token_expired"
            ? challengeOf({
                error: "invalid_token",
                message: "The access token has expired.",
                scope: "mcp:tools",
                metadata: scene.metadataUrl,
              })
            : unauthorized(scene).challenge;
        for (let call = 0; call < 2; call += 1) {
          const answer = await scene.post({ token });
          await assertRefused(scene.gateway, answer, { status: 401, reason, challenge });
        }
        assert.equal(scene.idp.introspections(), 1);
        assert.deepEqual(scene.origin.requests, []);
      }),
    );
  }

  test(
    "no audience passes with allow_missing_audience, another one does not",
    PATIENCE,
    withScripted({ allow_missing_audience: true }, async (scene) => {
      scene.says({ aud: undefined });
      await assertPasses(scene, scene.opaque());
      scene.says({ aud: "https://other.example/mcp" });
      await assertRefusedToken(scene, scene.opaque(), "token_audience");
    }),
  );

  test(
    "a token ends with exp, however long answers may be kept",
    PATIENCE,
    withScripted(
      { cache_seconds: 600 },
      async (scene) => {
        scene.says({ exp: now() + 3 });
        const token = scene.opaque();
        await assertPasses(scene, token);
        const refused = await eventually(
          "a refusal",
          async () => {
            const answer = await scene.post({ token });
            return answer.status === 200 ? undefined : answer;
          },
          10_000,
        );
        assert.equal(refused.status, 401);
        assert.equal((await lineOf(scene.gateway, refused)).reason, "token_expired");
        assert.equal(scene.idp.introspections(), 2);
      },
      { leeway_seconds: 0 },
    ),
  );

  test(
    "a token that was not active and then is passes after negative_cache_seconds",
    PATIENCE,
    withScripted({ negative_cache_seconds: 1 }, async (scene) => {
      scene.says({ active: false });
      const token = scene.opaque();
      await assertRefusedToken(scene, token, "token_inactive");
      scene.says();
      await eventually("a call that passes", async () => (await scene.post({ token })).status === 200);
      assert.equal(scene.idp.introspections(), 2);
    }),
  );
});

describe("which tokens are asked about", { concurrency: 2 }, () => {
  test(
    "JWTs are not, as long as nobody says so",
    PATIENCE,
    withScripted({}, async (scene) => {
      scene.says({ active: false });
      const answer = await scene.post();
      assert.equal(answer.status, 200, answer.body);
      assert.equal((await lineOf(scene.gateway, answer)).credential, "jwt");
      assert.equal(scene.idp.introspections(), 0);
    }),
  );

  test(
    "JWTs are with `tokens = all`, and what their issuer revoked is refused",
    PATIENCE,
    withScripted({ tokens: "all" }, async (scene) => {
      await assertPasses(scene, await scene.token());
      scene.says({ active: false });
      await assertRefusedToken(scene, await scene.token(), "token_inactive");
      assert.equal(scene.idp.introspections(), 2);
      assert.equal(scene.idp.jwksFetches(), 0);
    }),
  );

  test("each of two servers is asked about the tokens that begin as its own", PATIENCE, async () => {
    const other = await startScene();
    const asking = (name, { issuer }, more) => ({
      name,
      issuer,
      introspection: { client_id: "gate", secret: "INTROSPECTION_SECRET", ...more },
    });
    const changes = ({ idp }) => ({
      issuers: [asking("first", idp, { token_prefix: "gho_" }), asking("second", other.idp)],
    });
    const work = withScene(
      { resource: { issuers: ["first", "second"] }, changes, secrets: SECRETS },
      async (scene) => {
        for (const idp of [scene.idp, other.idp]) {
          idp.answers.introspection = () =>
            idp.json({ active: true, sub: "ada", aud: scene.resourceUrl, scope: "mcp:tools" });
        }
        const call = async (token) => {
          const answer = await scene.post({ token: scene.keep(token) });
          assert.equal(answer.status, 200, answer.body);
          return (await lineOf(scene.gateway, answer)).issuer;
        };
        assert.equal(await call(`gho_${"x".repeat(40)}`), "first");
        assert.equal(await call(`ghp_${"x".repeat(40)}`), "second");
        assert.equal(await call("x".repeat(40)), "second");
        assert.deepEqual([scene.idp.introspections(), other.idp.introspections()], [1, 2]);
      },
    );
    try {
      await work();
    } finally {
      await other.close();
    }
  });
});

describe("a signed answer (RFC 9701)", { concurrency: 2 }, () => {
  const TYPE = "application/token-introspection+jwt";
  const SIGNED = { signed_response: true };
  const claims = (scene, changes = {}) => ({
    iss: scene.idp.issuer,
    aud: "gate",
    iat: Math.floor(Date.now() / 1000),
    token_introspection: { active: true, sub: "ada", aud: scene.resourceUrl, scope: "mcp:tools" },
    ...changes,
  });
  const answersWith = (scene, text, type = TYPE) => {
    scene.idp.answers.introspection = () => ({ status: 200, fields: { "content-type": type }, body: text });
  };
  const sign = (scene, { key = scene.idp.keys[0], header = {}, ...changes } = {}) =>
    signToken(claims(scene, changes), key, { typ: "token-introspection+jwt", ...header });

  test(
    "passes, and is known the second time",
    PATIENCE,
    withScripted(SIGNED, async (scene) => {
      let accept;
      const text = await sign(scene);
      scene.idp.answers.introspection = (request) => {
        accept = request.headers.accept;
        return { status: 200, fields: { "content-type": `${TYPE}; charset=utf-8` }, body: text };
      };
      const token = scene.opaque();
      await assertPasses(scene, token, "miss");
      await assertPasses(scene, token, "hit");
      assert.equal(accept, TYPE);
    }),
  );

  test(
    "says that the token is not active",
    PATIENCE,
    withScripted(SIGNED, async (scene) => {
      answersWith(scene, await sign(scene, { token_introspection: { active: false } }));
      await assertRefusedToken(scene, scene.opaque(), "token_inactive");
    }),
  );

  const WRONG = {
    "is not signed, though it was asked for": [
      async (scene) => answersWith(scene, JSON.stringify({ active: true, sub: "ada" }), "application/json"),
      /not application\/token-introspection\+jwt$/,
    ],
    "has the content type of any JWT": [
      async (scene) => answersWith(scene, await sign(scene), "application/jwt"),
      /not application\/token-introspection\+jwt$/,
    ],
    "is no JWT": [async (scene) => answersWith(scene, "{}"), /not a signed JWT$/],
    "is signed with `none`": [
      async (scene) => {
        const header = { alg: "none", kid: scene.idp.keys[0].kid, typ: "token-introspection+jwt" };
        answersWith(scene, assembleToken(header, claims(scene)));
      },
      /./,
    ],
    "is signed by somebody else under the key id of the issuer": [
      async (scene) => {
        const key = await makeKey("RS256", scene.idp.keys[0].kid);
        answersWith(scene, await sign(scene, { key }));
      },
      /signature is wrong$/,
    ],
    "has the type of an access token": [
      async (scene) => answersWith(scene, await sign(scene, { header: { typ: "at+jwt" } })),
      /not signed by the issuer, or not as configured$/,
    ],
    "is for another client": [
      async (scene) => answersWith(scene, await sign(scene, { aud: "other" })),
      /an aud without this client$/,
    ],
    "is for nobody": [
      async (scene) => answersWith(scene, await sign(scene, { aud: undefined })),
      /an aud without this client$/,
    ],
    "is of another issuer": [
      async (scene) => answersWith(scene, await sign(scene, { iss: "https://login.evil.example" })),
      /another iss than the issuer/,
    ],
    "has no answer in it": [
      async (scene) => answersWith(scene, await sign(scene, { token_introspection: undefined })),
      /no token_introspection$/,
    ],
    "has its answer outside of `token_introspection`": [
      async (scene) =>
        answersWith(scene, await sign(scene, { token_introspection: undefined, active: true, sub: "ada" })),
      /no token_introspection$/,
    ],
    "has `active` as a text": [
      async (scene) => answersWith(scene, await sign(scene, { token_introspection: { active: "true" } })),
      /no boolean `active`$/,
    ],
  };
  for (const [what, [answer, detail]] of Object.entries(WRONG)) {
    test(
      `that ${what} is 503`,
      PATIENCE,
      withScripted(SIGNED, async (scene) => {
        await answer(scene);
        await assertUnavailable(scene, detail);
      }),
    );
  }

  test(
    "is 503 while the keys of the issuer cannot be had",
    PATIENCE,
    withScripted(SIGNED, async (scene) => {
      answersWith(scene, await sign(scene));
      scene.idp.answers.jwks = () => ({ status: 500, fields: {}, body: "" });
      const token = scene.opaque();
      const refused = await scene.post({ token });
      assert.equal(refused.status, 503, refused.body);
      assert.ok(Number(refused.fields["retry-after"]) > 0);
      assert.deepEqual(scene.origin.requests, []);
    }),
  );
});

test(
  "a secret that is missing closes the gateway",
  PATIENCE,
  withScene({ changes: (scene) => scripted(scene) }, async (scene) => {
    const answer = await scene.post({ token: "opaque" });
    assert.equal(answer.status, 503);
    await lineOf(scene.gateway, answer);
    const mistakes = scene.gateway.events().filter(({ reason }) => reason === "configuration_invalid");
    assert.match(mistakes[0].detail, /^issuers\[0\]\.introspection\.secret: .*INTROSPECTION_SECRET/);
  }),
);
