/** What Cloudflare says of a caller: the assertion of Access, and the client certificate of the connection. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { send } from "./support/http.mjs";
import { lineOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };
const AUD = "f00dfacef00dfacef00dfacef00dface";

describe("the assertion of Cloudflare Access", () => {
  const access = {
    resource: { audiences: [AUD] },
    changes: ({ idp }) => ({
      issuers: [
        {
          name: "idp",
          issuer: idp.issuer,
          profile: "cloudflare_access",
          jwks_uri: idp.jwksUri,
          grant_scopes: ["mcp:tools"],
        },
      ],
    }),
  };
  const assertion = (scene, claims = {}) =>
    scene.token({
      claims: { aud: [AUD], scope: undefined, client_id: undefined, type: "app", ...claims },
      header: { typ: undefined },
    });
  const call = (scene, fields) =>
    send(scene.gateway, {
      method: "POST",
      fields: { "Content-Type": "application/json", ...fields },
      body: "{}",
    });

  test(
    "opens, of a person and of a service",
    PATIENCE,
    withScene(access, async (scene) => {
      for (const [claims, subject] of [
        [{ sub: "7335d417" }, "7335d417"],
        [{ sub: "", common_name: "bot.access" }, "bot.access"],
      ]) {
        const answer = await call(scene, { "Cf-Access-Jwt-Assertion": await assertion(scene, claims) });
        assert.equal(answer.status, 200, answer.body);
        assert.equal((await lineOf(scene.gateway, answer)).credential, "cloudflare_access");
        const { headers } = scene.origin.requests.at(-1);
        assert.equal(headers["x-portcullis-subject"], subject);
        assert.equal(headers["cf-access-jwt-assertion"], undefined);
      }
    }),
  );

  test(
    "of another application, or where an access token belongs, opens nothing",
    PATIENCE,
    withScene(access, async (scene) => {
      const good = await assertion(scene);
      for (const [fields, reason] of [
        [{ "Cf-Access-Jwt-Assertion": await assertion(scene, { aud: ["another"] }) }, "token_audience"],
        [{ "Cf-Access-Jwt-Assertion": "x.y.z" }, "token_malformed"],
        [{ Authorization: `Bearer ${good}` }, "token_issuer"],
        [{ Authorization: "Bearer x", "Cf-Access-Jwt-Assertion": good }, "token_malformed"],
      ]) {
        const answer = await call(scene, fields);
        assert.equal(answer.status, 401);
        assert.equal((await lineOf(scene.gateway, answer)).reason, reason);
      }
      assert.deepEqual(scene.origin.requests, []);
    }),
  );
});

describe("a token that is bound to a client certificate", () => {
  const digest = createHash("sha256").update("a certificate").digest();
  const bound = (scene) => scene.token({ claims: { cnf: { "x5t#S256": digest.toString("base64url") } } });
  const good = { certVerified: "SUCCESS", certRevoked: "0", certFingerprintSHA256: digest.toString("hex") };

  for (const [what, tlsClientAuth, requirement, token, reason] of [
    ["with it", good, "required", bound, "forwarded"],
    ["with it, where it may be", good, "optional", bound, "forwarded"],
    [
      "with it, where no trusted CA issued it",
      { ...good, certVerified: "FAILED:self signed certificate" },
      "required",
      bound,
      "forwarded",
    ],
    [
      "with another",
      { ...good, certFingerprintSHA256: "00".repeat(32) },
      "optional",
      bound,
      "token_certificate",
    ],
    [
      "with one that has expired",
      { ...good, certVerified: "FAILED:certificate has expired" },
      "optional",
      bound,
      "token_certificate",
    ],
    ["with one that is revoked", { ...good, certRevoked: "1" }, "optional", bound, "token_certificate"],
    ["without any", undefined, "optional", bound, "token_certificate"],
    ["where nobody asked for one", good, undefined, bound, "token_sender_constrained"],
    ["which an unbound one is not", good, "required", (scene) => scene.token(), "token_not_bound"],
  ]) {
    test(
      `${what}: ${reason}`,
      PATIENCE,
      withScene(
        { resource: requirement && { certificate_bound: requirement }, cf: { tlsClientAuth } },
        async (scene) => {
          // Not the direct port, which has nothing of what the platform says.
          const answer = await fetch(`${scene.gateway.url}/mcp`, {
            method: "POST",
            headers: { authorization: `Bearer ${await token(scene)}`, "content-type": "application/json" },
            body: "{}",
          });
          await answer.text();
          const id = answer.headers.get("x-request-id");
          const line = scene.gateway.events().find(({ request_id }) => request_id === id);
          assert.equal(line.reason, reason);
          assert.equal(answer.status, reason === "forwarded" ? 200 : 401);
        },
      ),
    );
  }
});
