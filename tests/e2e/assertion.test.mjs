/**
 * The signed statement to the origin server of who calls, checked there as an origin server would: with `jose`,
 * against the keys that the gateway publishes.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { send } from "./support/http.mjs";
import { makeKey } from "./support/issuer.mjs";
import { startScene } from "./support/scene.mjs";

const NAME = "ASSERTION_KEY";
const KEYS = "/.well-known/jwks.json";

for (const alg of ["ES256", "EdDSA"]) {
  describe(`an identity assertion in ${alg}`, () => {
    let scene;
    let key;
    let verify;

    before(
      async () => {
        key = await makeKey(alg, "not-what-is-published");
        scene = await startScene({
          secrets: { [NAME]: JSON.stringify(key.privateJwk) },
          changes: ({ origin, idp }) => ({
            identity_assertion: { key_secrets: [NAME] },
            issuers: [{ name: "idp", issuer: idp.issuer }],
            resources: [
              { path: "/mcp", origin: origin.url, issuers: ["idp"], scopes: ["mcp:tools"] },
              { path: "/other", origin: `http://${origin.authority}/else`, issuers: ["idp"] },
            ],
            public_paths: [{ path: "/logo.svg", origin: `http://${origin.authority}/logo.svg` }],
          }),
        });
        const published = createRemoteJWKSet(new URL(`${scene.gateway.url}${KEYS}`));
        verify = (assertion, audience = scene.origin.url) =>
          jwtVerify(assertion, published, {
            issuer: scene.gateway.url,
            audience,
            typ: "portcullis-assertion+jwt",
            algorithms: [alg],
            requiredClaims: ["sub", "exp", "iat", "jti"],
          });
      },
      { timeout: 60_000 },
    );
    after(() => scene?.close());
    beforeEach(() => scene.origin.reset());
    const assertionOf = (record) => record.headers["x-portcullis-assertion"];

    test("is signed with the published key, and says who calls, for what and for how long", async () => {
      const answer = await scene.post();
      assert.equal(answer.status, 200, answer.body);
      const { payload, protectedHeader } = await verify(assertionOf(scene.origin.only()));
      const { iat, exp, ...rest } = payload;
      assert.deepEqual(rest, {
        iss: scene.gateway.url,
        aud: scene.origin.url,
        sub: "ada",
        subject_issuer: scene.idp.issuer,
        client_id: "test-client",
        scope: "mcp:tools",
        jti: answer.fields["x-request-id"],
      });
      assert.equal(exp - iat, 60);
      assert.ok(Math.abs(iat - Date.now() / 1000) < 5, "it was made just now");
      assert.deepEqual(Object.keys(protectedHeader).sort(), ["alg", "kid", "typ"]);
    });

    test("is for one origin server alone, and new for each request", async () => {
      await scene.post();
      const token = await scene.token({ audience: `${scene.gateway.url}/other` });
      await scene.post({ token, target: "/other" });
      const [first, second] = scene.origin.requests.map(assertionOf);
      const other = await verify(second, `http://${scene.origin.authority}/else`);
      assert.notEqual((await verify(first)).payload.jti, other.payload.jti);
      await assert.rejects(verify(second), { code: "ERR_JWT_CLAIM_VALIDATION_FAILED" });
    });

    test("carries what the caller's token says, as it says it", async () => {
      const claims = { sub: "Zoë 100%\n", client_id: undefined, scope: "mcp:tools files:read" };
      await scene.post({ token: await scene.token({ claims }) });
      const { payload } = await verify(assertionOf(scene.origin.only()));
      assert.equal(payload.sub, claims.sub);
      assert.ok(!("client_id" in payload));
      assert.deepEqual(payload.scope.split(" ").sort(), ["files:read", "mcp:tools"]);
    });

    test("is not what a caller sends under its name", async () => {
      await scene.post();
      const old = assertionOf(scene.origin.only());
      scene.origin.reset();
      await scene.post({ fields: { "X-Portcullis-Assertion": old } });
      const { rawHeaders, ...record } = scene.origin.only();
      assert.notEqual(assertionOf(record), old);
      assert.equal(rawHeaders.filter((name) => /^x-portcullis-assertion$/i.test(name)).length, 1);
      await verify(assertionOf(record));
    });

    test("is not made for a path that is open to everyone", async () => {
      const answer = await send(scene.gateway, {
        target: "/logo.svg",
        fields: { "X-Portcullis-Subject": "x" },
      });
      assert.equal(answer.status, 200);
      const names = Object.keys(scene.origin.only().headers);
      assert.deepEqual(
        names.filter((name) => name.startsWith("x-portcullis")),
        [],
      );
    });

    test("is checked with a key set that has the public key alone, for everyone to read", async () => {
      const answer = await send(scene.gateway, { target: KEYS, fields: { Origin: "https://any.example" } });
      assert.equal(answer.status, 200);
      assert.equal(answer.fields["content-type"], "application/json");
      assert.equal(answer.fields["access-control-allow-origin"], "*");
      assert.equal(answer.fields["cache-control"], "public, max-age=300");
      await scene.post();
      const { kid } = decodeProtectedHeader(assertionOf(scene.origin.only()));
      const { kty, crv, x, y } = key.jwk;
      const curve = y === undefined ? { kty, crv, x } : { kty, crv, x, y };
      assert.deepEqual(answer.json(), { keys: [{ ...curve, kid, alg, use: "sig" }] });
      assert.match(kid, /^[\w-]{43}$/, "its thumbprint (RFC 7638)");
    });

    test("does not come back to the caller, nor into the log", async () => {
      const answer = await scene.post();
      const [, , signature] = assertionOf(scene.origin.only()).split(".");
      assert.ok(!JSON.stringify([answer.fields, answer.body]).includes(signature));
      const { d } = key.privateJwk;
      assert.ok(!scene.gateway.logs.some((line) => line.includes(signature) || line.includes(d)));
      const warnings = scene.gateway.events().filter(({ reason }) => reason === "configuration_warning");
      assert.ok(!warnings.some(({ detail }) => detail.includes("identity_assertion")));
    });
  });
}

describe("without a key", () => {
  let scene;
  before(async () => {
    scene = await startScene();
  });
  after(() => scene?.close());

  test("there is no assertion, no key set, and a warning at the start", async () => {
    assert.equal((await scene.post()).status, 200);
    assert.equal(scene.origin.only().headers["x-portcullis-assertion"], undefined);
    assert.equal((await send(scene.gateway, { target: KEYS })).status, 404);
    const warnings = scene.gateway.events().filter(({ reason }) => reason === "configuration_warning");
    assert.equal(warnings.filter(({ detail }) => detail.startsWith("identity_assertion is off")).length, 1);
  });
});
