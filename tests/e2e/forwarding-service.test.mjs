/** An origin server behind a service binding: another Worker, reached without the network. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { Response } from "miniflare";
import { send } from "./support/http.mjs";
import { assertRefused } from "./support/refusal.mjs";
import { CALL, startScene } from "./support/scene.mjs";

describe("an origin server behind a service binding", () => {
  let scene;
  let answer;
  const requests = [];
  const tools = async (request) => {
    requests.push({
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: await request.text(),
    });
    return answer();
  };

  before(
    async () => {
      const at = (path, more) => ({ path, issuers: ["idp"], scopes: ["mcp:tools"], ...more });
      scene = await startScene({
        services: { TOOLS: tools },
        changes: () => ({
          resources: [
            at("/mcp", { service: "TOOLS" }),
            at("/named", { service: "TOOLS", origin: "https://tools.example/inside" }),
            at("/lost", { service: "NOT_THERE" }),
          ],
          public_paths: [{ path: "/logo.svg", service: "TOOLS" }],
        }),
      });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close());
  beforeEach(() => {
    requests.length = 0;
    answer = () => Response.json({ jsonrpc: "2.0", id: CALL.id, result: {} });
  });
  const post = async (path, more = {}) =>
    scene.post({
      target: path,
      token: await scene.token({ audience: `${scene.gateway.url}${path.split("?")[0]}` }),
      ...more,
    });

  test("gets the message and who calls, and not the caller's token", async () => {
    const response = await post("/mcp", { fields: { Cookie: "a=b", "X-Portcullis-Subject": "root" } });
    assert.equal(response.status, 200, response.body);
    assert.deepEqual(response.json(), { jsonrpc: "2.0", id: CALL.id, result: {} });
    const [{ method, url, headers, body }] = requests;
    assert.equal(method, "POST");
    assert.equal(url, "https://service.invalid/mcp", "a name that leads nowhere else");
    assert.deepEqual(JSON.parse(body), CALL);
    assert.equal(headers.get("x-portcullis-subject"), "ada");
    assert.equal(headers.get("authorization"), null);
    assert.equal(headers.get("cookie"), null);
    assert.deepEqual(scene.tokensInLog(), []);
  });

  test("gets the URL that configuration gives it, with the query", async () => {
    assert.equal((await post("/named?a=b%20c")).status, 200);
    assert.equal(requests[0].url, "https://tools.example/inside?a=b%20c");
  });

  test("serves a path that is open to everyone", async () => {
    const response = await send(scene.gateway, { target: "/logo.svg" });
    assert.equal(response.status, 200);
    assert.equal(requests[0].headers.get("x-portcullis-subject"), null);
  });

  test("that fails is 502, without its internals", async () => {
    answer = () => new Response("at Object.query (/srv/db.js:42)", { status: 500 });
    const expected = { status: 502, reason: "origin_failed", id: null };
    await assertRefused(scene.gateway, await post("/mcp"), expected);
  });

  test("that is not bound is 502, and the log says which binding is missing", async () => {
    const expected = { status: 502, reason: "origin_unreachable", id: CALL.id };
    await assertRefused(scene.gateway, await post("/lost"), expected);
    // Once at start, and once when it was needed.
    const lines = scene.gateway.events().filter(({ reason }) => reason === "binding_missing");
    assert.deepEqual(
      lines.map(({ level, detail }) => [level, /binding "NOT_THERE"/.test(detail)]),
      [
        ["error", true],
        ["error", true],
      ],
    );
  });
});
