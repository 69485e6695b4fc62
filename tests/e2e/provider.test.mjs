/**
 * Identity providers that fail, in every way that they do: nobody passes who cannot be verified, nobody is told that
 * a token is bad because its issuer is down, and what the gateway fetches is bounded.
 */
import assert from "node:assert/strict";
import { sign } from "node:crypto";
import { describe, test } from "node:test";
import { eventually } from "./support/http.mjs";
import { assembleToken, claimsFor, makeKey } from "./support/issuer.mjs";
import { assertPasses, assertUnavailable, atJwksUri } from "./support/provider.mjs";
import { assertRefused, challengeOf } from "./support/refusal.mjs";
import { withScene } from "./support/scene.mjs";

const PATIENCE = { timeout: 30_000 };

for (const type of ["text/plain; charset=utf-8", "application/octet-stream", "text/html", undefined]) {
  test(
    `metadata and a JWK set with the media type ${type ?? "left out"} are accepted, and the log says so`,
    PATIENCE,
    withScene({}, async (scene) => {
      const { answers } = scene.idp;
      for (const name of ["metadata", "jwks"]) {
        const { status, body } = answers[name]();
        answers[name] = () => ({ status, body, fields: type === undefined ? {} : { "content-type": type } });
      }
      await assertPasses(scene);
      const lines = () => scene.gateway.events().filter(({ reason }) => reason === "provider_content_type");
      await eventually("two lines in the log", () => lines().length === 2);
      for (const { level, detail } of lines()) {
        assert.equal(level, "warn");
        assert.ok(detail.includes(JSON.stringify(type?.split(";")[0] ?? "")), detail);
      }
    }),
  );
}

describe("a provider whose documents are wrong is as good as none", { concurrency: 2 }, () => {
  const reply =
    (status, body, fields = {}) =>
    () => ({ status, fields: { "content-type": "application/json", ...fields }, body });
  const html = reply(200, "<!doctype html><title>Sign in</title>", { "content-type": "text/html" });
  const elsewhere = (path) => reply(302, "", { location: path });

  const JWKS = {
    "its JWK set is an HTML page": [html, /: the answer is not JSON by its content type/],
    "its JWK set is an HTML page that says it is JSON": [
      reply(200, "<!doctype html><title>Sign in</title>"),
      /: the JWK set is not JSON/,
    ],
    "its JWK set has no keys": [reply(200, '{"keys":[]}'), /no usable key \(0 skipped/],
    "its JWK set is another document": [reply(200, '{"issuer":"x"}'), /no array `keys`/],
    "its JWK set is empty": [reply(200, ""), /: the JWK set is cut short/],
    "its JWK set says a member twice": [reply(200, '{"keys":[],"keys":[]}'), /a repeated member/],
    "its JWK set is nested 10,000 deep": [
      reply(200, `{"keys":${"[".repeat(10_000)}${"]".repeat(10_000)}}`),
      /nested too deeply/,
    ],
    "its JWK set is missing": [reply(404, "{}"), /: status 404$/],
    "its JWK set fails": [reply(500, "{}"), /: status 500$/],
    "its JWK set is somewhere else": [elsewhere("/elsewhere"), /: status 302$/],
  };
  for (const [what, [answer, detail]] of Object.entries(JWKS)) {
    test(
      what,
      PATIENCE,
      withScene({ changes: atJwksUri }, async (scene) => {
        scene.idp.answers.jwks = answer;
        await assertUnavailable(scene, detail);
        assert.deepEqual(scene.idp.fetches, ["/jwks"], "and nothing else is asked for");
      }),
    );
  }

  for (const status of [301, 302, 303, 307, 308]) {
    test(
      `its JWK set is behind a redirect with ${status}, which is not followed`,
      PATIENCE,
      withScene({ changes: atJwksUri }, async (scene) => {
        // The keys are where the redirect leads.
        const [{ answers, keys, json }, path] = [scene.idp, "/.well-known/openid-configuration"];
        answers.metadata = () => json({ keys: keys.map(({ jwk }) => jwk) });
        answers.jwks = reply(status, "", { location: path });
        await assertUnavailable(scene, new RegExp(`: status ${status}$`));
        assert.deepEqual(scene.idp.fetches, ["/jwks"]);
      }),
    );
  }

  const metadata = (changes) => (scene) => () =>
    scene.idp.json({ issuer: scene.idp.issuer, jwks_uri: scene.idp.jwksUri, ...changes(scene) });
  const METADATA = {
    "its metadata is of another issuer": [
      metadata(() => ({ issuer: "https://login.evil.example" })),
      /the metadata names another issuer/,
    ],
    "its metadata has its issuer with a slash at the end": [
      metadata(({ idp }) => ({ issuer: `${idp.issuer}/` })),
      /the metadata names another issuer/,
    ],
    "its metadata has no jwks_uri": [metadata(() => ({ jwks_uri: undefined })), /no jwks_uri/],
    "its keys are at a URL that is not protected": [
      metadata(() => ({ jwks_uri: "http://login.evil.example/jwks" })),
      /jwks_uri must be https/,
    ],
    "its keys are in a file": [
      metadata(() => ({ jwks_uri: "file:///etc/passwd" })),
      /jwks_uri must be https/,
    ],
    "its metadata is an HTML page": [() => html, /: the answer is not JSON by its content type/],
    "its metadata is somewhere else": [() => elsewhere("/elsewhere"), /: status 302; .*: status 302$/],
    "its metadata is missing": [() => reply(404, ""), /: status 404; .*: status 404$/],
  };
  for (const [what, [answer, detail]] of Object.entries(METADATA)) {
    test(
      what,
      PATIENCE,
      withScene({}, async (scene) => {
        scene.idp.answers.metadata = answer(scene);
        await assertUnavailable(scene, detail);
        assert.ok(
          scene.idp.fetches.every((path) => path.startsWith("/.well-known/")),
          "neither keys nor another place is asked for",
        );
      }),
    );
  }

  test(
    "its JWK set has 10 MB, of which no more is read than a provider's document may have",
    PATIENCE,
    withScene({ changes: atJwksUri }, async (scene) => {
      let socket;
      scene.idp.answers.jwks = (request, response) => {
        socket = request.socket;
        response.writeHead(200, { "content-type": "application/json" });
        response.on("error", () => {});
        const piece = Buffer.alloc(64 * 1024, 0x20);
        let left = 160;
        const more = () => {
          while (left > 0 && response.write(piece)) left -= 1;
          if (left > 0) response.once("drain", more);
          else response.end('{"keys":[]}');
        };
        more();
      };
      await assertUnavailable(scene, /: the document is too large$/);
      await eventually("the end of the connection", () => socket.destroyed);
      assert.ok(socket.bytesWritten < 8_000_000, `${socket.bytesWritten} bytes were taken`);
    }),
  );

  test(
    "but metadata at the second location will do",
    PATIENCE,
    withScene({}, async (scene) => {
      const { metadata: found } = scene.idp.answers;
      scene.idp.answers.metadata = (request) =>
        request.url.endsWith("/openid-configuration") ? found() : { status: 404, fields: {}, body: "" };
      await assertPasses(scene);
      const locations = ["oauth-authorization-server", "openid-configuration"];
      assert.deepEqual(scene.idp.fetches, [...locations.map((name) => `/.well-known/${name}`), "/jwks"]);
    }),
  );
});

/** jose, rightly, does not sign with such a key. */
function signWeakly(key, { idp, resourceUrl }) {
  const header = { alg: "RS256", kid: key.kid, typ: "at+jwt" };
  const input = assembleToken(header, claimsFor(idp.issuer, resourceUrl)).slice(0, -1);
  return `${input}.${sign("sha256", Buffer.from(input), key.privateKey).toString("base64url")}`;
}

describe("a weak key", { concurrency: 2 }, () => {
  const weak = () => makeKey("RS256", "weak", 1024);

  test(
    "alone is as good as no key",
    PATIENCE,
    withScene({ changes: atJwksUri }, async (scene) => {
      const key = await weak();
      scene.idp.answers.jwks = () => scene.idp.json({ keys: [key.jwk] });
      await assertUnavailable(
        scene,
        /no usable key \(1 skipped: is an RSA key below 2048 or above 8192 bits/,
      );
    }),
  );

  test(
    "beside a good one leaves that one usable, and verifies nothing itself",
    PATIENCE,
    withScene({ changes: atJwksUri }, async (scene) => {
      const key = await weak();
      scene.idp.answers.jwks = () => scene.idp.json({ keys: [key.jwk, scene.idp.keys[0].jwk] });
      await assertPasses(scene);
      const answer = await scene.post({ token: scene.keep(signWeakly(key, scene)) });
      const challenge = challengeOf({
        error: "invalid_token",
        scope: "mcp:tools",
        metadata: scene.metadataUrl,
      });
      await assertRefused(scene.gateway, answer, { status: 401, reason: "token_key_unusable", challenge });
    }),
  );
});
