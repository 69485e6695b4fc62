/**
 * Credentials that open nothing, at the built Worker: the status, the challenge, the body and the one line in the
 * log for each, and nothing of it at the origin server.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { send } from "./support/http.mjs";
import { assembleToken, claimsFor, makeKey, signToken } from "./support/issuer.mjs";
import { assertRefused, challengeOf } from "./support/refusal.mjs";
import { CALL, startScene } from "./support/scene.mjs";

const SECOND = 1;
const HOUR = 3600;
const now = () => Math.floor(Date.now() / 1000);

let scene;
let good;
let stranger;

before(
  async () => {
    const keys = [await makeKey("RS256", "rsa"), await makeKey("ES256", "ec"), await makeKey("EdDSA", "ed")];
    stranger = await makeKey("RS256", "rsa");
    scene = await startScene({ keys });
    good = await scene.token();
  },
  { timeout: 60_000 },
);

after(() => scene?.close());
beforeEach(() => scene.origin.reset());

const challenge = (error, message) =>
  challengeOf({ error, message, scope: "mcp:tools", metadata: scene.metadataUrl });

/** Sends a call with this `Authorization`, and holds the answer to a 401 `invalid_token`. */
async function assertTokenRefused(token, reason, { message, detail } = {}) {
  scene.keep(token);
  const answer = await scene.post({ token });
  const line = await assertRefused(scene.gateway, answer, {
    status: 401,
    reason,
    challenge: challenge("invalid_token", message),
    resource: "/mcp",
  });
  if (detail !== undefined) assert.equal(line.detail, detail);
  assert.equal(line.subject, undefined, "a caller who was not verified has no name");
  assert.deepEqual(scene.origin.requests, [], "nothing reaches the origin server");
  assert.deepEqual(scene.tokensInLog(), []);
}

const signed = (claims, header, key = scene.idp.keys[0]) =>
  signToken(claimsFor(scene.idp.issuer, scene.resourceUrl, claims), key, header);

const hmacKey = (text) => ({ alg: "HS256", kid: "rsa", secret: new TextEncoder().encode(text) });

test("a good token of each algorithm passes, so that the refusals below are for their own reasons", async () => {
  for (const key of scene.idp.keys) {
    const answer = await scene.post({ token: await scene.token({ key }) });
    assert.equal(answer.status, 200, `${key.alg}: ${answer.body}`);
  }
});

describe("without a credential that could be judged", () => {
  const NO_CREDENTIALS = {
    "a request without Authorization": undefined,
    "the Basic scheme": "Basic YWRhOmxvdmVsYWNl",
    "the DPoP scheme": "DPoP eyJhbGciOiJub25lIn0",
    "an empty Authorization": "",
  };
  for (const [what, value] of Object.entries(NO_CREDENTIALS)) {
    test(`${what} gets a challenge without an error code`, async () => {
      const fields = { "Content-Type": "application/json" };
      if (value !== undefined) fields.Authorization = value;
      const body = JSON.stringify(CALL);
      const answer = await send(scene.gateway, { method: "POST", fields, body });
      const expected = { status: 401, reason: "no_credentials", challenge: challenge(), resource: "/mcp" };
      await assertRefused(scene.gateway, answer, expected);
      assert.deepEqual(scene.origin.requests, []);
    });
  }

  for (const method of ["GET", "DELETE"]) {
    test(`${method} is asked for a token as POST is (R13)`, async () => {
      const answer = await send(scene.gateway, { method });
      const expected = { status: 401, reason: "no_credentials", challenge: challenge(), resource: "/mcp" };
      await assertRefused(scene.gateway, answer, expected);
    });
  }

  const MALFORMED = {
    "Bearer without a token": "Bearer",
    "Bearer with a space and nothing after it": "Bearer ",
    "a token with characters that no token has": "Bearer {not} a token",
    "two tokens in one field": "Bearer abc, Bearer def",
    "a token of padding alone": "Bearer ==",
  };
  for (const [what, value] of Object.entries(MALFORMED)) {
    test(`${what} is an invalid request`, async () => {
      const fields = { "Content-Type": "application/json", Authorization: value };
      const answer = await send(scene.gateway, { method: "POST", fields, body: JSON.stringify(CALL) });
      await assertMalformed(answer);
    });
  }

  test("Authorization twice is an invalid request, even with a good token first", async () => {
    const fields = [
      ["Authorization", `Bearer ${good}`],
      ["Authorization", `Bearer ${good}`],
      ["Content-Type", "application/json"],
    ];
    await assertMalformed(await send(scene.gateway, { method: "POST", fields, body: JSON.stringify(CALL) }));
  });

  async function assertMalformed(answer) {
    await assertRefused(scene.gateway, answer, {
      status: 400,
      reason: "malformed_credentials",
      challenge: challengeOf({
        error: "invalid_request",
        message: "The credentials are malformed or repeated.",
        metadata: scene.metadataUrl,
      }),
      resource: "/mcp",
    });
    assert.deepEqual(scene.origin.requests, []);
    assert.deepEqual(scene.tokensInLog(), []);
  }
});

describe("a token in the wrong form is refused", () => {
  const FORMS = {
    "that is one word": ["opaque-token-0123456789", "token_malformed"],
    "of two parts": ["eyJhbGciOiJSUzI1NiJ9.e30", "token_malformed"],
    "of four parts": ["eyJhbGciOiJSUzI1NiJ9.e30.AAAA.AAAA", "token_malformed"],
    "of three parts that are no base64url": ["aaaaa.bbbbb.ccccc", "token_malformed"],
    "of three parts of garbage": [assembleToken("gar", "bage", "bage"), "token_header_malformed"],
    "whose header is an array": [assembleToken([], {}, "x"), "token_header_malformed"],
    "whose claims are an array": [assembleToken({ alg: "RS256" }, [], "x"), "token_claim_malformed"],
    "whose claims are no JSON": [assembleToken({ alg: "RS256" }, "{", "x"), "token_claims_not_json"],
    "without a signature": [assembleToken({ alg: "RS256" }, {}), "token_malformed"],
  };
  for (const [what, [token, reason]] of Object.entries(FORMS)) {
    test(`one ${what}`, () => assertTokenRefused(token, reason));
  }

  test("one with padding", () => assertTokenRefused(`${good}=`, "token_malformed"));

  test("one whose last base64url character has stray bits", async () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const stray = alphabet[alphabet.indexOf(good.at(-1)) ^ 1];
    await assertTokenRefused(`${good.slice(0, -1)}${stray}`, "token_malformed");
  });

  test("one that says a claim twice", async () => {
    const claims = JSON.stringify(claimsFor(scene.idp.issuer, scene.resourceUrl));
    const twice = `${claims.slice(0, -1)},"sub":"root"}`;
    await assertTokenRefused(await signToken(twice, scene.idp.keys[0]), "token_claims_not_json");
  });

  test("one with claims nested 3,000 deep", async () => {
    const claims = JSON.stringify(claimsFor(scene.idp.issuer, scene.resourceUrl));
    const deep = `${claims.slice(0, -1)},"deep":${"[".repeat(3000)}${"]".repeat(3000)}}`;
    await assertTokenRefused(await signToken(deep, scene.idp.keys[0]), "token_claims_not_json");
  });

  test("one with 129 claims", async () => {
    const many = Object.fromEntries(Array.from({ length: 121 }, (_, index) => [`claim${index}`, index]));
    await assertTokenRefused(await signed(many), "token_claims_too_many");
  });

  test("one of 20 KB, which logging in again would give again", async () => {
    const token = await signed({ long: "x".repeat(15_000) });
    await assertRefused(scene.gateway, await scene.post({ token }), {
      status: 403,
      reason: "token_too_long",
    });
  });

  for (const member of ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip"]) {
    test(`one whose header has ${member}`, async () => {
      const claims = claimsFor(scene.idp.issuer, scene.resourceUrl);
      const token = assembleToken({ alg: "RS256", kid: "rsa", typ: "at+jwt", [member]: [] }, claims, "x");
      await assertTokenRefused(token, "token_forbidden_header", { detail: member });
    });
  }

  test("one of 100 KB is too much to read at all: 431", async () => {
    const token = await signed({ long: "x".repeat(75_000) });
    scene.keep(token);
    const answer = await scene.post({ token });
    await assertRefused(scene.gateway, answer, { status: 431, reason: "fields_too_large" });
    assert.deepEqual(scene.origin.requests, []);
    assert.deepEqual(scene.tokensInLog(), []);
  });
});

describe("a token with the wrong signature is refused", () => {
  test("one bit of the signature is flipped", async () => {
    const [header, claims, signature] = good.split(".");
    const flipped = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
    await assertTokenRefused(`${header}.${claims}.${flipped}`, "token_signature");
  });

  test("the claims were changed after it was signed", async () => {
    const [header, claims, signature] = good.split(".");
    const changed = { ...JSON.parse(Buffer.from(claims, "base64url")), sub: "root" };
    const token = `${header}.${Buffer.from(JSON.stringify(changed)).toString("base64url")}.${signature}`;
    await assertTokenRefused(token, "token_signature");
  });

  test("it was signed by somebody else, under the key id of the issuer's key", async () =>
    assertTokenRefused(await signed({}, {}, stranger), "token_signature"));

  for (const alg of ["none", "None", "NONE", "nOnE"]) {
    test(`alg is ${alg}, with an empty signature or any other`, async () => {
      const claims = claimsFor(scene.idp.issuer, scene.resourceUrl);
      const header = { alg, kid: "rsa", typ: "at+jwt" };
      await assertTokenRefused(assembleToken(header, claims), "token_malformed");
      await assertTokenRefused(assembleToken(header, claims, "signature"), "token_algorithm");
      await assertTokenRefused(assembleToken({ alg, typ: "at+jwt" }, claims, "signature"), "token_algorithm");
    });
  }

  test("it has no alg", async () => {
    const claims = claimsFor(scene.idp.issuer, scene.resourceUrl);
    await assertTokenRefused(assembleToken({ kid: "rsa", typ: "at+jwt" }, claims, "x"), "token_algorithm");
  });

  test("HS256 with the RSA public key as its secret, in PEM", async () => {
    const { pem } = scene.idp.keys[0];
    for (const secret of [pem, pem.trim(), pem.replace(/-----[^-]+-----|\n/g, "")]) {
      await assertTokenRefused(await signed({}, {}, hmacKey(secret)), "token_algorithm");
    }
  });

  test("HS256 with the RSA public key as its secret, as JWK and as its modulus", async () => {
    const { jwk } = scene.idp.keys[0];
    for (const secret of [jwk.n, JSON.stringify(jwk)]) {
      await assertTokenRefused(await signed({}, {}, hmacKey(secret)), "token_algorithm");
    }
  });

  test("the algorithm is a good one that this issuer is not configured for", async () => {
    const key = { ...scene.idp.keys[0], alg: "PS256" };
    await assertTokenRefused(await signed({}, {}, key), "token_algorithm");
  });

  test("the algorithm does not fit the key that kid names", async () => {
    const key = { ...scene.idp.keys[1], kid: "rsa" };
    await assertTokenRefused(await signed({}, {}, key), "token_key_does_not_fit");
  });

  test("kid names no key of the issuer", async () =>
    assertTokenRefused(await signed({}, { kid: "no-such-key" }), "token_key_unknown"));
});

describe("a token that is signed well and says the wrong thing is refused", () => {
  const later = (seconds) => now() + seconds;
  const CLAIMS = {
    "it has expired": [
      () => ({ exp: later(-HOUR) }),
      "token_expired",
      { message: "The access token has expired." },
    ],
    "it expired longer ago than the leeway": [
      () => ({ exp: later(-35 * SECOND) }),
      "token_expired",
      { message: "The access token has expired." },
    ],
    "it is not yet valid": [() => ({ nbf: later(HOUR) }), "token_not_yet_valid"],
    "it was issued in the future": [() => ({ iat: later(HOUR) }), "token_issued_in_future"],
    "it never expires": [() => ({ exp: undefined }), "token_claim_missing", { detail: "exp" }],
    "exp is text": [() => ({ exp: "tomorrow" }), "token_claim_malformed", { detail: "exp" }],
    "exp is beyond every calendar": [() => ({ exp: 1e18 }), "token_claim_malformed", { detail: "exp" }],
    "exp is negative": [() => ({ exp: -1 }), "token_claim_malformed", { detail: "exp" }],
    "iss is another issuer": [() => ({ iss: "https://login.evil.example" }), "token_issuer"],
    "iss has a slash at its end": [() => ({ iss: `${scene.idp.issuer}/` }), "token_issuer"],
    "iss is missing": [() => ({ iss: undefined }), "token_issuer"],
    "iss is an array": [() => ({ iss: [scene.idp.issuer] }), "token_issuer"],
    "aud is another server": [() => ({ aud: "https://other.example/mcp" }), "token_audience"],
    "aud is the gateway without the path": [() => ({ aud: scene.gateway.url }), "token_audience"],
    "aud has a slash at its end": [() => ({ aud: `${scene.resourceUrl}/` }), "token_audience"],
    "aud is a longer path": [() => ({ aud: `${scene.resourceUrl}/more` }), "token_audience"],
    "aud is in another case": [() => ({ aud: scene.resourceUrl.replace("/mcp", "/MCP") }), "token_audience"],
    "aud is empty": [() => ({ aud: [] }), "token_audience"],
    "aud is missing": [() => ({ aud: undefined }), "token_claim_missing", { detail: "aud" }],
    "aud is a number": [() => ({ aud: 7 }), "token_claim_malformed"],
    "sub is missing": [() => ({ sub: undefined }), "token_claim_missing", { detail: "sub" }],
    "sub is empty": [() => ({ sub: "" }), "token_claim_missing", { detail: "sub" }],
  };
  for (const [what, [claims, reason, more]] of Object.entries(CLAIMS)) {
    test(what, async () => assertTokenRefused(await signed(claims()), reason, more));
  }

  for (const typ of [undefined, "JWT", "id+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "at+jwt+x"]) {
    test(`typ is ${typ ?? "missing"}`, async () =>
      assertTokenRefused(await signed({}, { typ }), "token_type"));
  }

  for (const typ of ["AT+JWT", "application/at+jwt"]) {
    test(`but typ ${typ} is an access token`, async () => {
      assert.equal((await scene.post({ token: await signed({}, { typ }) })).status, 200);
    });
  }

  test("but one within the leeway passes", async () => {
    const claims = { exp: now() - 10, nbf: now() + 10, iat: now() + 10 };
    assert.equal((await scene.post({ token: await signed(claims) })).status, 200);
  });

  test("but one for several audiences passes, where one of them is this resource", async () => {
    const aud = ["https://other.example", scene.resourceUrl];
    assert.equal((await scene.post({ token: await signed({ aud }) })).status, 200);
  });
});

test("of everything above there is one line for each request, and no part of a token", async () => {
  const requests = scene.gateway.events().filter(({ event }) => event === "request");
  const ids = new Set(requests.map(({ request_id: id }) => id));
  assert.ok(ids.size > 80, `${ids.size} requests`);
  assert.equal(requests.length, ids.size);
  assert.deepEqual(scene.tokensInLog(), []);
});
