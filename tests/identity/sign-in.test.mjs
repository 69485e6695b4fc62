/** Rules that require a recent or a stronger sign-in (RFC 9470), with a real provider and a client that follows the challenge. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import { send } from "../e2e/support/http.mjs";
import { CALLBACK, startLogin } from "../e2e/support/login.mjs";
import { authorizeHeadlessly } from "../e2e/support/token.mjs";

const insecure = { [oauth.allowInsecureRequests]: true };

describe("a recent or a stronger sign-in", { timeout: 120_000 }, () => {
  let scene;
  let client;
  before(async () => {
    scene = await startLogin({
      resource: {
        rules: [
          { effect: "step_up", tools: ["add"], sign_in: { max_age: 60, acr: ["gold"], amr: ["hwk", "mfa"] } },
          { effect: "allow", tools: ["echo"] },
        ],
      },
    });
    ({ body: client } = await scene.register());
  });
  after(() => scene?.close());

  /** Calls a tool with a token. */
  const call = (token, tool, args) =>
    send(scene.gateway, {
      method: "POST",
      fields: {
        Authorization: `Bearer ${token}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: {
          name: tool,
          arguments: args,
          _meta: {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { name: "assured", version: "1.0.0" },
            "io.modelcontextprotocol/clientCapabilities": {},
          },
        },
      }),
    });
  const add = (token) => call(token, "add", { a: 1234567, b: 7654321 });
  /** The parameters of the challenge of a refused call. */
  const challenge = (answer) => {
    const field = answer.fields["www-authenticate"];
    assert.match(field, /^Bearer error="insufficient_user_authentication"/);
    return Object.fromEntries(
      [...field.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
    );
  };
  /** Signs in with these parameters of the authorization request, and redeems the code. */
  const signIn = async (more = {}) => {
    const { target, verifier } = scene.authorization(client.client_id, more);
    const back = await authorizeHeadlessly(target);
    const error = back.searchParams.get("error");
    if (error) return { error };
    const { body } = await scene.token({
      grant_type: "authorization_code",
      client_id: client.client_id,
      redirect_uri: CALLBACK,
      code: back.searchParams.get("code"),
      code_verifier: verifier,
    });
    return body;
  };

  test("the metadata names the classes, and oauth4webapi reads it", async () => {
    const issuer = new URL(scene.issuer);
    const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
    const as = await oauth.processDiscoveryResponse(issuer, found);
    assert.deepEqual(as.acr_values_supported, ["gold"]);
  });

  test("a client that follows the challenge gets in, and what the provider proved is in the token", async () => {
    scene.idp.mischief.signIn = { acr: "silver", amr: ["pwd"] };
    const weak = await signIn();
    assert.equal((await call(weak.access_token, "echo", { text: "hello" })).status, 200);
    const refused = await add(weak.access_token);
    assert.equal(refused.status, 401, refused.body);
    const asked = challenge(refused);
    assert.deepEqual([asked.max_age, asked.acr_values], ["60", "gold"]);

    scene.idp.mischief.signIn = { acr: "gold", amr: ["pwd", "mfa"] };
    const strong = await signIn({ max_age: asked.max_age, acr_values: asked.acr_values, scope: asked.scope });
    const answer = await add(strong.access_token);
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.body, /8888888/);
    const keys = createRemoteJWKSet(new URL(`${scene.issuer}/jwks`));
    const { payload } = await jwtVerify(strong.access_token, keys, { issuer: scene.issuer });
    assert.deepEqual([payload.acr, payload.amr], ["gold", ["pwd", "mfa"]]);
    assert.ok(Math.abs(payload.auth_time - Date.now() / 1000) < 30);
  });

  test("a method that is missing is not enough", async () => {
    scene.idp.mischief.signIn = { acr: "gold", amr: ["pwd"] };
    const { access_token } = await signIn({ max_age: "60", acr_values: "gold" });
    assert.equal((await add(access_token)).status, 401);
  });

  test("a provider that does not prove it gets no code for the client", async () => {
    scene.idp.mischief.signIn = { acr: "silver" };
    assert.equal((await signIn({ acr_values: "gold" })).error, "unmet_authentication_requirements");
    scene.idp.mischief.signIn = { acr: "gold", ts: Math.floor(Date.now() / 1000) - 3600 };
    const old = await signIn({ max_age: "60", acr_values: "gold" });
    assert.ok(["unmet_authentication_requirements", "server_error"].includes(old.error), JSON.stringify(old));
  });

  test("a refresh proves no new sign-in", async () => {
    scene.idp.mischief.signIn = { acr: "silver", amr: ["mfa"] };
    const weak = await signIn();
    scene.idp.mischief.signIn = { acr: "gold", amr: ["mfa"] };
    const refreshed = await scene.token({
      grant_type: "refresh_token",
      client_id: client.client_id,
      refresh_token: weak.refresh_token,
    });
    assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));
    assert.equal((await add(refreshed.body.access_token)).status, 401);
  });

  test("malformed requests are refused before the provider is asked", async () => {
    const before = scene.idp.requests.length;
    for (const more of [{ max_age: "soon" }, { acr_values: "ü" }, { acr_values: "x".repeat(1025) }]) {
      const { target } = scene.authorization(client.client_id, more);
      const answer = await fetch(target, { redirect: "manual" });
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /invalid_request/);
    }
    assert.equal(scene.idp.requests.length, before);
  });
});
