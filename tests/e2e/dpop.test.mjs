/**
 * Tokens that are bound to a key (RFC 9449): a real authorization server's, as JWTs and as opaque tokens, and those of
 * one that binds to whatever the test says. A stolen token opens nothing, and a proof is good for one request.
 */
import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { calculateJwkThumbprint } from "jose";
import { startAuthorizationServer } from "./support/authorization-server.mjs";
import { hashOf, makeProof, makeProofKey } from "./support/dpop.mjs";
import { send } from "./support/http.mjs";
import { ALGORITHMS, assembleToken, makeKey } from "./support/issuer.mjs";
import { assertRefused, challengeOf, lineOf } from "./support/refusal.mjs";
import { CALL, startScene, withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };
const SECRETS = { NONCE_SECRET: "0123456789abcdef0123456789abcdef" };
const INVALID_PROOF = "invalid_dpop_proof";

/** What a refusal says where the resource takes both schemes, or DPoP alone: the error under the scheme that was used. */
function challengesOf(scene, { mode = "optional", used = "DPoP", error }) {
  const schemes = { optional: ["Bearer", "DPoP"], required: ["DPoP"] }[mode];
  const spoken = schemes.includes(used) ? used : schemes[0];
  return schemes
    .map((scheme) =>
      challengeOf({
        scheme,
        scope: "mcp:tools",
        metadata: scene.metadataUrl,
        ...(scheme === spoken ? { error } : {}),
      }),
    )
    .join(", ");
}

const assertRefusedFor = (scene, answer, { reason, error = INVALID_PROOF, ...more }) =>
  assertRefused(scene.gateway, answer, {
    status: 401,
    reason,
    challenge: challengesOf(scene, { error, ...more }),
  });

/** Calls with a token under DPoP; `proof` may be any text, or an array for several fields, or `undefined` for none. */
const call = (scene, token, proof, { scheme = "DPoP", fields = [], method = "POST", ...rest } = {}) =>
  send(scene.gateway, {
    method,
    fields: [
      ["Authorization", `${scheme} ${token}`],
      ["Content-Type", "application/json"],
      ...[proof ?? []].flat().map((text) => ["DPoP", text]),
      ...fields,
    ],
    body: method === "POST" ? JSON.stringify(CALL) : undefined,
    ...rest,
  });

/** What scenes of this file have besides: a key, a token that is bound to it, a proof for it. */
async function equip(scene) {
  const key = await makeProofKey();
  return Object.assign(scene, {
    key,
    async bound(holder = key, changes = {}) {
      const claims = { cnf: { jkt: await calculateJwkThumbprint(holder.jwk) }, ...changes };
      return scene.token({ claims });
    },
    proof: (token, changes = {}, holder = key) =>
      makeProof(holder, { method: "POST", url: scene.resourceUrl, token, ...changes }),
  });
}

const withKey = (options, work) => withScene(options, async (scene) => work(await equip(scene)));

for (const format of ["jwt", "opaque"]) {
  describe(`a real authorization server's ${format} token`, { concurrency: 2 }, () => {
    let server;
    before(async () => {
      server = await startAuthorizationServer({ format });
    });
    after(() => server?.close());

    const withServer = (mode, work) => () =>
      withScene(
        {
          resource: { dpop: mode },
          changes: () => ({
            issuers: [
              {
                name: "idp",
                issuer: server.issuer,
                ...(format === "opaque" && {
                  introspection: {
                    client_id: server.gateways.basic.clientId,
                    secret: "INTROSPECTION_SECRET",
                  },
                }),
              },
            ],
          }),
          secrets: { INTROSPECTION_SECRET: server.gateways.basic.secret },
        },
        async (scene) => {
          await equip(scene);
          scene.issued = async (proofKey) => scene.keep(await server.token(scene.resourceUrl, { proofKey }));
          await work(scene);
          assert.deepEqual(scene.tokensInLog(), []);
        },
      )();

    for (const mode of ["optional", "required"]) {
      test(
        `passes with a proof for each call where binding is ${mode}, and no proof passes twice`,
        PATIENCE,
        withServer(mode, async (scene) => {
          const token = await scene.issued(scene.key);
          const proof = await scene.proof(token);
          const answer = await call(scene, token, proof);
          assert.equal(answer.status, 200, answer.body);
          assert.equal((await lineOf(scene.gateway, answer)).token_cache, "miss");
          const { headers } = scene.origin.only();
          assert.equal(headers["x-portcullis-client"], "machine");
          for (const name of ["authorization", "dpop"]) assert.ok(!(name in headers), name);

          await assertRefusedFor(scene, await call(scene, token, proof), { reason: "proof_replayed", mode });

          const again = await call(scene, token, await scene.proof(token));
          assert.equal(again.status, 200, again.body);
          assert.equal((await lineOf(scene.gateway, again)).token_cache, "hit");
          assert.ok(!scene.gateway.logs.some((line) => line.includes(proof.split(".")[2])));
        }),
      );

      test(
        `under Bearer is refused where binding is ${mode}, with its proof or without, known or not`,
        PATIENCE,
        withServer(mode, async (scene) => {
          const token = await scene.issued(scene.key);
          const bearer = { scheme: "Bearer" };
          const expected = {
            reason: "token_bound_under_bearer",
            mode,
            used: "Bearer",
            error: "invalid_token",
          };
          await assertRefusedFor(scene, await call(scene, token, undefined, bearer), expected);
          await assertRefusedFor(scene, await call(scene, token, await scene.proof(token), bearer), expected);
          assert.equal((await call(scene, token, await scene.proof(token))).status, 200);
          await assertRefusedFor(scene, await call(scene, token, undefined, bearer), expected);
          assert.equal(scene.origin.requests.length, 1);
        }),
      );
    }

    test(
      "that is bound to nothing passes under Bearer alone where binding is optional",
      PATIENCE,
      withServer("optional", async (scene) => {
        const token = await scene.issued();
        const answer = await call(scene, token, undefined, { scheme: "Bearer" });
        assert.equal(answer.status, 200, answer.body);
        const expected = { reason: "token_not_bound", error: "invalid_token" };
        await assertRefusedFor(scene, await call(scene, token, await scene.proof(token)), expected);
      }),
    );

    test(
      "that is bound to nothing is refused where binding is required",
      PATIENCE,
      withServer("required", async (scene) => {
        const token = await scene.issued();
        const expected = { reason: "token_not_bound", mode: "required", error: "invalid_token" };
        const under = (scheme) => ({ ...expected, used: scheme });
        const answer = await call(scene, token, undefined, { scheme: "Bearer" });
        await assertRefusedFor(scene, answer, under("Bearer"));
        await assertRefusedFor(scene, await call(scene, token, await scene.proof(token)), under("DPoP"));
        assert.deepEqual(scene.origin.requests, []);
      }),
    );

    test(
      "is refused where the resource takes no binding",
      PATIENCE,
      withServer("off", async (scene) => {
        const token = await scene.issued(scene.key);
        const challenge = (error) => challengeOf({ error, scope: "mcp:tools", metadata: scene.metadataUrl });
        const answer = await call(scene, token, undefined, { scheme: "Bearer" });
        await assertRefused(scene.gateway, answer, {
          status: 401,
          reason: "token_sender_constrained",
          challenge: challenge("invalid_token"),
        });
        await assertRefused(scene.gateway, await call(scene, token, await scene.proof(token)), {
          status: 401,
          reason: "no_credentials",
          challenge: challenge(),
        });
        assert.deepEqual(scene.origin.requests, []);
      }),
    );
  });
}

describe("a proof", { concurrency: 4 }, () => {
  let scene;
  before(
    async () => {
      scene = await equip(
        await startScene({
          resource: { dpop: "optional" },
          changes: ({ origin }) => ({ allowed_hosts: [`localhost:${origin.port}`] }),
        }),
      );
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close());

  const now = () => Math.floor(Date.now() / 1000);
  const claim = (claims) => (token) => scene.proof(token, { claims: claims(token) });
  const header = (changes) => (token) => scene.proof(token, { header: changes() });
  const unsigned = (fields, signature) => (token) =>
    assembleToken(
      { alg: "none", typ: "dpop+jwt", jwk: scene.key.jwk, ...fields },
      { jti: "once", htm: "POST", htu: scene.resourceUrl, iat: now(), ath: hashOf(token) },
      signature,
    );

  const REFUSED = {
    "that is missing": ["proof_missing", () => undefined],
    "that comes with another one": [
      "proof_missing",
      async (token) => [await scene.proof(token), await scene.proof(token)],
    ],
    "that comes twice": [
      "proof_missing",
      async (token) => {
        const proof = await scene.proof(token);
        return [proof, proof];
      },
    ],
    "that is empty": ["proof_malformed", () => ""],
    "that is no JWT": ["proof_malformed", () => "proof"],
    "that is larger than 8 KiB": ["proof_malformed", claim(() => ({ padding: "x".repeat(9_000) }))],
    "for another path": ["proof_url", claim(() => ({ htu: `${scene.gateway.url}/other` }))],
    "for a path below": ["proof_url", claim(() => ({ htu: `${scene.resourceUrl}/below` }))],
    "for the path with a slash at its end": ["proof_url", claim(() => ({ htu: `${scene.resourceUrl}/` }))],
    "for the path in another case": ["proof_url", claim(() => ({ htu: `${scene.gateway.url}/MCP` }))],
    "for another host": ["proof_url", claim(() => ({ htu: "http://other.example/mcp" }))],
    "for another port": ["proof_url", claim(() => ({ htu: "http://127.0.0.1:1/mcp" }))],
    "for an allowed host that the caller does not name": [
      "proof_url",
      claim(() => ({ htu: `http://localhost:${scene.origin.port}/mcp` })),
    ],
    "for another scheme": ["proof_url", claim(() => ({ htu: scene.resourceUrl.replace("http:", "https:") }))],
    "for a URL with a user in it": [
      "proof_url",
      claim(() => ({ htu: scene.resourceUrl.replace("//", "//ada@") })),
    ],
    "for a path alone": ["proof_url", claim(() => ({ htu: "/mcp" }))],
    "without htu": ["proof_claims", claim(() => ({ htu: undefined }))],
    "with htu as an array": ["proof_claims", claim(() => ({ htu: [scene.resourceUrl] }))],
    "for another method": ["proof_method", claim(() => ({ htm: "GET" }))],
    "for the method in another case": ["proof_method", claim(() => ({ htm: "post" }))],
    "without htm": ["proof_claims", claim(() => ({ htm: undefined }))],
    "from six minutes ago": ["proof_expired", claim(() => ({ iat: now() - 360 }))],
    "from six minutes ahead": ["proof_expired", claim(() => ({ iat: now() + 360 }))],
    "from the year 5138": ["proof_expired", claim(() => ({ iat: 1e11 }))],
    "from before time": ["proof_claims", claim(() => ({ iat: -1 }))],
    "with iat as a text": ["proof_claims", claim(() => ({ iat: `${now()}` }))],
    "without iat": ["proof_claims", claim(() => ({ iat: undefined }))],
    "without ath": ["proof_claims", claim(() => ({ ath: undefined }))],
    "for another token": ["proof_access_token_hash", claim((token) => ({ ath: hashOf(`${token}x`) }))],
    "with ath in hexadecimal": [
      "proof_access_token_hash",
      claim((token) => ({ ath: Buffer.from(hashOf(token), "base64url").toString("hex") })),
    ],
    "with ath with padding": ["proof_access_token_hash", claim((token) => ({ ath: `${hashOf(token)}=` }))],
    "without jti": ["proof_claims", claim(() => ({ jti: undefined }))],
    "with an empty jti": ["proof_claims", claim(() => ({ jti: "" }))],
    "with jti as a number": ["proof_claims", claim(() => ({ jti: 1 }))],
    "with a jti of 257 bytes": ["proof_claims", claim(() => ({ jti: "x".repeat(257) }))],
    "by another key": ["proof_other_key", async (token) => scene.proof(token, {}, await makeProofKey())],
    "by another key, with the right one in its header": [
      "proof_signature",
      async (token) => scene.proof(token, { header: { jwk: scene.key.jwk } }, await makeProofKey()),
    ],
    "with a changed signature": [
      "proof_signature",
      async (token) => {
        const [head, claims, signature] = (await scene.proof(token)).split(".");
        const flipped = signature[10] === "A" ? "B" : "A";
        return `${head}.${claims}.${signature.slice(0, 10)}${flipped}${signature.slice(11)}`;
      },
    ],
    "with a signature of another length": [
      "proof_signature",
      async (token) => {
        const [head, claims] = (await scene.proof(token)).split(".");
        return `${head}.${claims}.AAAA`;
      },
    ],
    "without a signature": ["proof_malformed", unsigned({})],
    "with alg none": ["proof_algorithm", unsigned({}, "signature")],
    "with alg NonE": ["proof_algorithm", unsigned({ alg: "NonE" }, "signature")],
    "with HS256, keyed by the public key": [
      "proof_algorithm",
      (token) => {
        const secret = createSecretKey(Buffer.from(JSON.stringify(scene.key.jwk)));
        return scene.proof(token, {}, { ...scene.key, alg: "HS256", secret });
      },
    ],
    "with HS256 and its secret for a key": [
      "proof_algorithm",
      (token) => {
        const secret = Buffer.alloc(32, 7);
        const jwk = { kty: "oct", k: secret.toString("base64url") };
        return scene.proof(token, {}, { alg: "HS256", jwk, secret: createSecretKey(secret) });
      },
    ],
    "with an alg that is not its key's": [
      "proof_algorithm",
      async (token) => scene.proof(token, { header: { jwk: scene.key.jwk } }, await makeProofKey("RS256")),
    ],
    "with the private key in its header": ["proof_key", header(() => ({ jwk: scene.key.privateJwk }))],
    "with an RSA key of 1024 bits": [
      "proof_key",
      async (token) => {
        const { jwk } = await makeKey("RS256", "weak", 1024);
        return unsigned({ alg: "RS256", jwk }, "x".repeat(128))(token);
      },
    ],
    "with a key that is no point of its curve": [
      "proof_key",
      header(() => ({ jwk: { ...scene.key.jwk, y: scene.key.jwk.x } })),
    ],
    "without a key": ["proof_malformed", header(() => ({ jwk: undefined }))],
    "with a key id for a key": ["proof_malformed", header(() => ({ jwk: undefined, kid: "key" }))],
    "with a key at a URL": [
      "proof_malformed",
      header(() => ({ jwk: undefined, jku: "https://evil.example/jwks" })),
    ],
    "with a key at a URL besides": ["proof_malformed", header(() => ({ jku: "https://evil.example/jwks" }))],
    "without typ": ["proof_malformed", header(() => ({ typ: undefined }))],
    "with the typ of any JWT": ["proof_malformed", header(() => ({ typ: "JWT" }))],
    "that is an access token": ["proof_malformed", (token) => token],
  };
  for (const [what, [reason, make]] of Object.entries(REFUSED)) {
    // A point that is none is another key than the token's, so a token for it is needed.
    const offCurve = what.includes("curve");
    test(`${what} is refused`, PATIENCE, async () => {
      const holder = offCurve ? { jwk: { ...scene.key.jwk, y: scene.key.jwk.x } } : scene.key;
      const token = await scene.bound(holder);
      const answer = await call(scene, token, await make(token));
      await assertRefusedFor(scene, answer, { reason });
      assert.ok(!("dpop-nonce" in answer.fields));
      assert.deepEqual(scene.origin.requests, []);
    });
  }
});

describe("a good proof", { concurrency: 2 }, () => {
  const PASSES = {
    "with query and fragment in htu": ({ resourceUrl }) => ({ claims: { htu: `${resourceUrl}?a=b#c` } }),
    "from four minutes ago": () => ({ claims: { iat: Math.floor(Date.now() / 1000) - 240 } }),
    "from four minutes ahead": () => ({ claims: { iat: Math.floor(Date.now() / 1000) + 240 } }),
    "with a fraction in iat": () => ({ claims: { iat: Date.now() / 1000 } }),
    "with claims that nobody asked for": () => ({ claims: { nonce: "of another server", more: { a: 1 } } }),
    "with its typ spelled in full": () => ({ header: { typ: "application/dpop+jwt" } }),
  };
  for (const [what, changes] of Object.entries(PASSES)) {
    test(
      `${what} passes`,
      PATIENCE,
      withKey({ resource: { dpop: "required" } }, async (scene) => {
        const token = await scene.bound();
        const answer = await call(scene, token, await scene.proof(token, changes(scene)));
        assert.equal(answer.status, 200, answer.body);
      }),
    );
  }

  test(
    "passes for a call with a query, and for GET; each wants its own",
    PATIENCE,
    withKey({ resource: { dpop: "required" } }, async (scene) => {
      const token = await scene.bound();
      const query = await call(scene, token, await scene.proof(token), { target: "/mcp?session=1" });
      assert.equal(query.status, 200, query.body);
      const get = await scene.proof(token, { method: "GET" });
      assert.equal((await call(scene, token, get, { method: "GET" })).status, 200);
    }),
  );

  test(
    "may be for the host that the caller names, where that is an allowed one",
    PATIENCE,
    withKey(
      { resource: { dpop: "required" }, changes: () => ({ allowed_hosts: ["localhost:9"] }) },
      async (scene) => {
        const token = await scene.bound();
        const claims = { htu: "HTTP://LocalHost:9/mcp" };
        const fields = [["Host", "localhost:9"]];
        const answer = await call(scene, token, await scene.proof(token, { claims }), { fields });
        assert.equal(answer.status, 200, answer.body);
        const other = await call(scene, token, await scene.proof(token, { claims }));
        await assertRefusedFor(scene, other, { reason: "proof_url", mode: "required" });
      },
    ),
  );

  test(
    "may be signed with each algorithm that the metadata names",
    PATIENCE,
    withKey({ resource: { dpop: "required" } }, async (scene) => {
      for (const alg of ALGORITHMS) {
        const key = await makeProofKey(alg);
        const token = await scene.bound(key);
        const answer = await call(scene, token, await scene.proof(token, {}, key));
        assert.equal(answer.status, 200, `${alg}: ${answer.body}`);
      }
    }),
  );

  test(
    "of one key has a jti that another key's proof may have too",
    PATIENCE,
    withKey({ resource: { dpop: "required" } }, async (scene) => {
      const other = await makeProofKey();
      for (const key of [scene.key, other]) {
        const token = await scene.bound(key);
        const answer = await call(scene, token, await scene.proof(token, { claims: { jti: "one" } }, key));
        assert.equal(answer.status, 200, answer.body);
      }
      const token = await scene.bound();
      const answer = await call(scene, token, await scene.proof(token, { claims: { jti: "one" } }));
      await assertRefusedFor(scene, answer, { reason: "proof_replayed", mode: "required" });
    }),
  );

  test(
    "of which ten copies arrive at once passes once",
    PATIENCE,
    withKey({ resource: { dpop: "required" } }, async (scene) => {
      const token = await scene.bound();
      const proof = await scene.proof(token);
      const answers = await Promise.all(Array.from({ length: 10 }, () => call(scene, token, proof)));
      const statuses = answers.map(({ status }) => status).sort();
      assert.deepEqual(statuses, [200, ...Array(9).fill(401)]);
      assert.equal(scene.origin.requests.length, 1);
    }),
  );

  test(
    "does not mend its token",
    PATIENCE,
    withKey({ resource: { dpop: "required" } }, async (scene) => {
      const token = await scene.bound(scene.key, { aud: "https://other.example/mcp" });
      const answer = await call(scene, token, await scene.proof(token));
      const expected = { reason: "token_audience", mode: "required", error: "invalid_token" };
      await assertRefusedFor(scene, answer, expected);
    }),
  );

  test(
    "is asked for only where the resource takes it: the window is configured",
    PATIENCE,
    withKey(
      { resource: { dpop: "required" }, changes: () => ({ dpop: { window_seconds: 30 } }) },
      async (scene) => {
        const token = await scene.bound();
        const at = (iat) => scene.proof(token, { claims: { iat: Math.floor(Date.now() / 1000) + iat } });
        assert.equal((await call(scene, token, await at(-20))).status, 200);
        const answer = await call(scene, token, await at(-60));
        await assertRefusedFor(scene, answer, { reason: "proof_expired", mode: "required" });
      },
    ),
  );
});

describe("the metadata of a resource", { concurrency: 2 }, () => {
  const MEMBERS = {
    off: {},
    optional: { dpop_signing_alg_values_supported: ALGORITHMS, dpop_bound_access_tokens_required: false },
    required: { dpop_signing_alg_values_supported: ALGORITHMS, dpop_bound_access_tokens_required: true },
  };
  for (const [dpop, expected] of Object.entries(MEMBERS)) {
    test(
      `says what it takes where binding is ${dpop}, and so does the challenge without credentials`,
      PATIENCE,
      withScene({ resource: { dpop } }, async (scene) => {
        const { pathname: target } = new URL(scene.metadataUrl);
        const document = (await send(scene.gateway, { target })).json();
        const members = Object.entries(document).filter(([name]) => name.startsWith("dpop"));
        assert.deepEqual(Object.fromEntries(members), expected);

        const answer = await send(scene.gateway, { method: "GET" });
        const challenge =
          dpop === "off"
            ? challengeOf({ scope: "mcp:tools", metadata: scene.metadataUrl })
            : challengesOf(scene, { mode: dpop });
        await assertRefused(scene.gateway, answer, { status: 401, reason: "no_credentials", challenge });
      }),
    );
  }
});

describe("a nonce", { concurrency: 2 }, () => {
  const withNonce = (work, dpop = {}) =>
    withKey(
      {
        resource: { dpop: "required" },
        changes: () => ({ dpop: { nonce_secret: "NONCE_SECRET", ...dpop } }),
        secrets: SECRETS,
      },
      async (scene) => {
        scene.nonce = async () => {
          const token = await scene.bound();
          return (await call(scene, token, await scene.proof(token))).fields["dpop-nonce"];
        };
        await work(scene);
        assert.ok(!scene.gateway.logs.some((line) => line.includes(SECRETS.NONCE_SECRET)));
      },
    );
  const expected = { reason: "proof_nonce", mode: "required", error: "use_dpop_nonce" };

  test(
    "is asked for, and then the call passes",
    PATIENCE,
    withNonce(async (scene) => {
      const token = await scene.bound();
      const first = await call(scene, token, await scene.proof(token));
      await assertRefusedFor(scene, first, expected);
      const nonce = first.fields["dpop-nonce"];
      assert.match(nonce, /^[\w-]{32}$/);
      assert.deepEqual(scene.origin.requests, []);

      const second = await call(scene, token, await scene.proof(token, { nonce }));
      assert.equal(second.status, 200, second.body);
      assert.match(second.fields["dpop-nonce"], /^[\w-]{32}$/, "the next one");

      // A nonce is for many proofs, a proof for one call.
      const proof = await scene.proof(token, { nonce });
      assert.equal((await call(scene, token, proof)).status, 200);
      const replayed = await call(scene, token, proof);
      await assertRefusedFor(scene, replayed, { reason: "proof_replayed", mode: "required" });
    }),
  );

  test(
    "comes with the answer to a call without credentials, and pages may read it",
    PATIENCE,
    withNonce(async (scene) => {
      const fields = { Origin: scene.gateway.url };
      const answer = await send(scene.gateway, { fields });
      assert.equal(answer.status, 401);
      assert.match(answer.fields["dpop-nonce"], /^[\w-]{32}$/);
      assert.match(answer.fields["access-control-expose-headers"].toLowerCase(), /\bdpop-nonce\b/);
      const preflight = await send(scene.gateway, {
        method: "OPTIONS",
        fields: {
          ...fields,
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "authorization,dpop",
        },
      });
      assert.equal(preflight.status, 204);
      assert.match(preflight.fields["access-control-allow-headers"].toLowerCase(), /\bdpop\b/);
    }),
  );

  const WRONG = {
    "that somebody else gave out": (nonce) => Buffer.from(nonce, "base64url").map((byte) => byte ^ 1),
    "whose time was changed": (nonce) => {
      const bytes = Buffer.from(nonce, "base64url");
      bytes[7] ^= 1;
      return bytes;
    },
    "that is cut short": (nonce) => Buffer.from(nonce, "base64url").subarray(0, 23),
    "that is empty": () => Buffer.alloc(0),
  };
  for (const [what, change] of Object.entries(WRONG)) {
    test(
      `${what} is refused`,
      PATIENCE,
      withNonce(async (scene) => {
        const token = await scene.bound();
        const nonce = Buffer.from(change(await scene.nonce())).toString("base64url");
        await assertRefusedFor(
          scene,
          await call(scene, token, await scene.proof(token, { nonce })),
          expected,
        );
        assert.deepEqual(scene.origin.requests, []);
      }),
    );
  }

  test(
    "of a number is refused",
    PATIENCE,
    withNonce(async (scene) => {
      const token = await scene.bound();
      const proof = await scene.proof(token, { claims: { nonce: 1 } });
      await assertRefusedFor(scene, await call(scene, token, proof), expected);
    }),
  );

  test(
    "of another gateway with the same secret passes, so that isolates need not talk",
    PATIENCE,
    withNonce(async (scene) => {
      let nonce;
      await withNonce(async (other) => {
        nonce = await other.nonce();
      })();
      const token = await scene.bound();
      const answer = await call(scene, token, await scene.proof(token, { nonce }));
      assert.equal(answer.status, 200, answer.body);
    }),
  );
});

describe("the memory that all isolates share", { concurrency: 2 }, () => {
  const guarded = (objects, work) =>
    withKey(
      {
        resource: { dpop: "required" },
        changes: () => ({ dpop: { replay_binding: "REPLAY" } }),
        objects,
      },
      work,
    );
  const REPLAY = { REPLAY: { className: "ReplayGuard", useSQLite: true } };

  test(
    "lets a proof pass once, and others pass",
    PATIENCE,
    guarded(REPLAY, async (scene) => {
      const token = await scene.bound();
      const proof = await scene.proof(token);
      const answer = await call(scene, token, proof);
      assert.equal(answer.status, 200, answer.body);
      const again = await call(scene, token, proof);
      await assertRefusedFor(scene, again, { reason: "proof_replayed", mode: "required" });
      assert.equal((await call(scene, token, await scene.proof(token))).status, 200);

      const copies = await scene.proof(token);
      const answers = await Promise.all(Array.from({ length: 10 }, () => call(scene, token, copies)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    }),
  );

  test(
    "knows proofs that an isolate does not",
    PATIENCE,
    guarded(REPLAY, async (scene) => {
      // What another isolate would have done: it told the object of the key, and this isolate knows nothing of it.
      const token = await scene.bound();
      const jkt = await calculateJwkThumbprint(scene.key.jwk);
      const namespace = await scene.gateway.object("REPLAY");
      const id = hashOf(`${jkt}\0elsewhere`);
      const query = new URLSearchParams({
        id: Buffer.from(id, "base64url").toString("hex"),
        until: `${Math.floor(Date.now() / 1000) + 300}`,
      });
      const told = await namespace.get(namespace.idFromName(jkt)).fetch(`https://guard.invalid/?${query}`);
      assert.equal(await told.text(), "first");
      const answer = await call(scene, token, await scene.proof(token, { claims: { jti: "elsewhere" } }));
      await assertRefusedFor(scene, answer, { reason: "proof_replayed", mode: "required" });
      assert.deepEqual(scene.origin.requests, []);
    }),
  );

  test(
    "that is not there lets nothing pass",
    PATIENCE,
    guarded({}, async (scene) => {
      const token = await scene.bound();
      const answer = await call(scene, token, await scene.proof(token));
      const line = await assertRefused(scene.gateway, answer, {
        status: 503,
        reason: "replay_memory_unavailable",
        retryAfter: "1",
      });
      assert.match(line.detail, /no such binding "REPLAY"/);
      assert.deepEqual(scene.origin.requests, []);
    }),
  );
});
