/**
 * Callers that are known and may not: ID tokens of a real identity provider, which say who logged in and open
 * nothing, and tokens without the scopes that a resource asks for.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { configFor, startGateway } from "./support/gateway.mjs";
import { send } from "./support/http.mjs";
import { startWitness } from "./support/origin.mjs";
import { freePort } from "./support/processes.mjs";
import { assertRefused, challengeOf } from "./support/refusal.mjs";
import { CALL, startScene } from "./support/scene.mjs";
import { signIn } from "./support/sign-in.mjs";

describe("with tokens of a real identity provider", () => {
  let idp;
  let origin;
  let tokens;
  const gateways = [];
  const gatewayFor = async (port, issuer, resource) => {
    const config = (url) => ({
      ...configFor({ url, issuer: idp.issuer, origin: origin.url, resource }),
      issuers: [{ name: "idp", issuer: idp.issuer, ...issuer }],
    });
    const gateway = await startGateway({ config, port });
    gateways.push(gateway);
    return gateway;
  };
  const post = (gateway, token) =>
    send(gateway, {
      method: "POST",
      fields: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(CALL),
    });
  const challenge = (gateway) =>
    challengeOf({
      error: "invalid_token",
      scope: "mcp:tools",
      metadata: `${gateway.url}/.well-known/oauth-protected-resource/mcp`,
    });

  before(
    async () => {
      const port = await freePort();
      idp = await startIdentityProvider({ autoLogin: true });
      origin = await startWitness();
      tokens = await signIn(idp, { resource: `http://127.0.0.1:${port}/mcp`, nonce: "once" });
      await gatewayFor(port);
      await gatewayFor(
        undefined,
        { token_types: ["at+jwt", "JWT", "absent"] },
        { audiences: [tokens.clientId] },
      );
    },
    { timeout: 60_000 },
  );
  after(() => Promise.allSettled([...gateways, idp, origin].map((thing) => thing?.close())));
  beforeEach(() => origin.reset());

  test("the access token of an authorization code passes", async () => {
    const answer = await post(gateways[0], tokens.access_token);
    assert.equal(answer.status, 200, answer.body);
    assert.equal(origin.only().headers["x-portcullis-subject"], "ada");
    assert.equal(origin.only().headers["x-portcullis-client"], tokens.clientId);
  });

  test("the ID token that came with it is refused for its typ", async () => {
    assert.notEqual(decodeProtectedHeader(tokens.id_token).typ, "at+jwt");
    const [gateway] = gateways;
    const answer = await post(gateway, tokens.id_token);
    const expected = { status: 401, reason: "token_type", challenge: challenge(gateway) };
    await assertRefused(gateway, answer, expected);
    assert.deepEqual(origin.requests, []);
  });

  test("it is refused for its claims where any typ will do and the audience is its client", async () => {
    assert.equal(decodeJwt(tokens.id_token).aud, tokens.clientId);
    const gateway = gateways[1];
    const answer = await post(gateway, tokens.id_token);
    const expected = { status: 401, reason: "token_is_id_token", challenge: challenge(gateway) };
    await assertRefused(gateway, answer, expected);
    assert.deepEqual(origin.requests, []);
  });

  test("no part of a token is in the log", () => {
    const lines = gateways.flatMap(({ logs }) => logs).join("\n");
    for (const token of [tokens.access_token, tokens.id_token]) {
      for (const part of token.split(".").slice(1)) assert.ok(!lines.includes(part));
    }
  });
});

describe("with tokens of a static issuer", () => {
  let scene;
  before(
    async () => {
      scene = await startScene({
        resource: { scopes: ["mcp:tools", "files:write"] },
        changes: () => ({ scope_includes: { everything: ["mcp:tools", "files:*"], root: ["everything"] } }),
      });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close());
  beforeEach(() => scene.origin.reset());

  const post = async (claims, body = JSON.stringify(CALL), fields = {}) =>
    scene.post({ token: await scene.token({ claims }), body, fields });

  const ID_TOKEN_CLAIMS = {
    nonce: "once",
    at_hash: "x",
    c_hash: "x",
    s_hash: "x",
    token_use: "id",
    typ: "ID",
  };
  for (const [claim, value] of Object.entries(ID_TOKEN_CLAIMS)) {
    test(`an ID token whose header says at+jwt is known by its claim ${claim}`, async () => {
      const answer = await post({ [claim]: value });
      await assertRefused(scene.gateway, answer, {
        status: 401,
        reason: "token_is_id_token",
        challenge: challengeOf({
          error: "invalid_token",
          scope: "files:write mcp:tools",
          metadata: scene.metadataUrl,
        }),
      });
      assert.deepEqual(scene.origin.requests, []);
    });
  }

  const assertScopeMissing = async (answer, { detail, id = CALL.id }) => {
    const line = await assertRefused(scene.gateway, answer, {
      status: 403,
      reason: "insufficient_scope",
      challenge: challengeOf({
        error: "insufficient_scope",
        scope: "files:write mcp:tools",
        metadata: scene.metadataUrl,
      }),
      id,
      resource: "/mcp",
    });
    if (detail) assert.equal(line.detail, detail);
    assert.equal(line.issuer, "idp");
    assert.equal(line.client, "test-client");
    assert.match(line.subject, /^[0-9a-f]{16}$/, "the subject is a pseudonym");
    assert.deepEqual(scene.origin.requests, []);
  };

  const MISSING = {
    "without scope": [{ scope: undefined }, "missing: files:write mcp:tools"],
    "with an empty scope": [{ scope: "" }, "missing: files:write mcp:tools"],
    "with one of two": [{ scope: "mcp:tools" }, "missing: files:write"],
    "with a scope that only begins alike": [{ scope: "mcp:tools files:writer" }, "missing: files:write"],
    "with a wildcard of another name": [{ scope: "mcp:tools file:*" }, "missing: files:write"],
    "with a bare wildcard": [{ scope: "*" }, "missing: files:write mcp:tools"],
    "with the right scopes in another case": [
      { scope: "MCP:TOOLS FILES:WRITE" },
      "missing: files:write mcp:tools",
    ],
  };
  for (const [what, [claims, detail]] of Object.entries(MISSING)) {
    test(`a token ${what} is told all scopes at once`, async () =>
      assertScopeMissing(await post(claims), { detail }));
  }

  const ENOUGH = {
    "both scopes": { scope: "mcp:tools files:write" },
    "a wildcard for one": { scope: "mcp:tools files:*" },
    "a scope that includes both": { scope: "everything" },
    "a scope that includes that one": { scope: "root" },
    "an array of scopes in scp": { scope: undefined, scp: ["mcp:tools", "files:write"] },
  };
  for (const [what, claims] of Object.entries(ENOUGH)) {
    test(`a token with ${what} passes (R10)`, async () => {
      const answer = await post(claims);
      assert.equal(answer.status, 200, answer.body);
    });
  }

  const BODIES = {
    "a number": ['{"jsonrpc":"2.0","id":41,"method":"x"}', 41],
    text: ['{"jsonrpc":"2.0","id":"forty-one","method":"x"}', "forty-one"],
    "unknown for a notification": ['{"jsonrpc":"2.0","method":"x"}', null],
    "unknown for a response": ['{"jsonrpc":"2.0","id":41,"result":{}}', null],
    "unknown for a batch": ['[{"jsonrpc":"2.0","id":41,"method":"x"}]', null],
    "unknown where it stands twice": ['{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}', null],
    "unknown in a body that is no JSON": ["{", null],
    "unknown in JSON nested 10,000 deep": [
      `{"jsonrpc":"2.0","id":41,"method":"x","params":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
      null,
    ],
    "unknown in a body larger than what is read for it": [
      JSON.stringify({ ...CALL, padding: "x".repeat(70_000) }),
      null,
    ],
  };
  for (const [what, [body, id]] of Object.entries(BODIES)) {
    test(`the id of the refused request is ${what}`, async () =>
      assertScopeMissing(await post({ scope: "" }, body), { id }));
  }

  test("a body nested 10,000 deep of a caller who may is the origin server's to judge", async () => {
    const [body] = BODIES["unknown in JSON nested 10,000 deep"];
    const answer = await post({ scope: "everything" }, body);
    assert.equal(answer.status, 200, answer.body);
    assert.equal(scene.origin.only().body, body);
  });

  test("no part of a token is in the log", () => assert.deepEqual(scene.tokensInLog(), []));
});
