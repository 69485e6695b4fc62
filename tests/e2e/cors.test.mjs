/** What web pages may do: those that configuration allows, and all others (Fetch §3.3, T1, T33). */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { send } from "./support/http.mjs";
import { freePort } from "./support/processes.mjs";
import { assertRefused, lineOf } from "./support/refusal.mjs";
import { startScene } from "./support/scene.mjs";

const PAGE = "https://app.example";
const VARY = ["origin", "access-control-request-headers"];
const RESOURCE_METHODS = "POST, GET, DELETE, OPTIONS";

let scene;
before(
  async () => {
    const down = await freePort();
    scene = await startScene({
      changes: ({ origin }) => {
        const at = (path, url) => ({
          path,
          origin: url,
          issuers: ["idp"],
          scopes: ["mcp:tools"],
          body_bytes: 1000,
        });
        return {
          allowed_origins: [PAGE, "http://localhost:5173"],
          resources: [at("/mcp", origin.url), at("/down", `http://127.0.0.1:${down}/mcp`)],
          public_paths: [{ path: "/logo.svg", origin: origin.url }],
        };
      },
    });
  },
  { timeout: 60_000 },
);
after(() => scene?.close());
beforeEach(() => scene.origin.reset());

const varies = (answer) => (answer.fields.vary ?? "").toLowerCase().split(/, */);
const preflight = (fields, target = "/mcp") =>
  send(scene.gateway, {
    method: "OPTIONS",
    target,
    fields: { Origin: PAGE, "Access-Control-Request-Method": "POST", ...fields },
  });
const list = (text) => text.split(/, */);

describe("a preflight of an allowed page", () => {
  test("is answered at the gateway, without a token, for every field that a client of MCP sends", async () => {
    const sent = [
      "Authorization",
      "Content-Type",
      "Accept",
      "MCP-Protocol-Version",
      "Mcp-Session-Id",
      "Last-Event-ID",
      "Mcp-Method",
      "Mcp-Name",
      "Mcp-Param-Region",
      "mcp-param-x_y",
      "traceparent",
    ];
    const answer = await preflight({ "Access-Control-Request-Headers": sent.join(",") });
    assert.equal(answer.status, 204);
    assert.equal(answer.body, "");
    assert.equal(answer.fields["access-control-allow-origin"], PAGE);
    assert.equal(answer.fields["access-control-allow-methods"], RESOURCE_METHODS);
    assert.equal(answer.fields["access-control-allow-credentials"], undefined);
    assert.ok(Number(answer.fields["access-control-max-age"]) > 0);
    const allowed = list(answer.fields["access-control-allow-headers"]);
    for (const name of sent) assert.ok(allowed.includes(name.toLowerCase()), name);
    assert.deepEqual(varies(answer), VARY);
    assert.deepEqual(scene.origin.requests, []);
    const line = await lineOf(scene.gateway, answer);
    assert.deepEqual([line.reason, line.resource, line.method], ["preflight", "/mcp", "OPTIONS"]);
  });

  test("gets no leave for other fields, nor for what is no field name", async () => {
    const asked = "x-evil, cookie, x-portcullis-subject, mcp-param-, mcp-param-a b, mcp-param-é, *";
    const answer = await preflight({ "Access-Control-Request-Headers": asked });
    assert.equal(answer.status, 204);
    const allowed = list(answer.fields["access-control-allow-headers"]);
    for (const name of list(asked)) assert.ok(!allowed.includes(name), name);
  });

  test("is answered for each allowed page with its own name, the gateway's own among them", async () => {
    for (const page of [PAGE, "http://localhost:5173", scene.gateway.url]) {
      const answer = await preflight({ Origin: page });
      assert.equal(answer.status, 204);
      assert.equal(answer.fields["access-control-allow-origin"], page);
    }
  });

  test("is answered for a path that is open to everyone, with its methods", async () => {
    const answer = await preflight({ "Access-Control-Request-Method": "GET" }, "/logo.svg");
    assert.equal(answer.status, 204);
    assert.equal(answer.fields["access-control-allow-methods"], "GET, HEAD, OPTIONS");
  });
});

const assertUnreadable = (answer) => {
  const granted = Object.keys(answer.fields).filter((name) => name.startsWith("access-control-"));
  assert.deepEqual(granted, []);
  assert.deepEqual(varies(answer), VARY, "so that no cache gives one page's answer to another");
};

describe("a preflight of any other page", () => {
  for (const page of ["https://evil.example", "null", "https://app.example:8443", "http://app.example"]) {
    test(`as ${page}, is refused, and the page may not read why`, async () => {
      const answer = await preflight({ Origin: page });
      await assertRefused(scene.gateway, answer, { status: 403, reason: "foreign_origin" });
      assertUnreadable(answer);
    });
  }

  test("is refused where nothing is, too", async () => {
    const answer = await preflight({}, "/nothing");
    await assertRefused(scene.gateway, answer, { status: 404, reason: "not_found" });
    assert.equal(answer.fields["access-control-allow-origin"], undefined);
  });
});

test("OPTIONS that is no preflight is refused as any other method", async () => {
  for (const fields of [{}, { Origin: PAGE }, { "Access-Control-Request-Method": "POST" }]) {
    const answer = await send(scene.gateway, { method: "OPTIONS", fields });
    await assertRefused(scene.gateway, answer, {
      status: 405,
      reason: "method_not_allowed",
      allow: RESOURCE_METHODS,
    });
  }
});

describe("an allowed page may read", () => {
  const request = async (path, { claims, ...more } = {}) => {
    const token = await scene.token({ audience: `${scene.gateway.url}${path}`, claims });
    return scene.post({ target: path, token, ...more, fields: { Origin: PAGE, ...more.fields } });
  };
  const ANSWERS = {
    "the origin server's answer": [200, () => request("/mcp")],
    "that it needs a token": [
      401,
      () =>
        send(scene.gateway, {
          method: "POST",
          body: "{}",
          fields: { Origin: PAGE, "Content-Type": "application/json" },
        }),
    ],
    "that its token has expired": [401, () => request("/mcp", { claims: { exp: 1 } })],
    "that its Authorization is malformed": [
      400,
      () => request("/mcp", { fields: { Authorization: "Bearer {}" } }),
    ],
    "that its token lacks a scope": [403, () => request("/mcp", { claims: { scope: "" } })],
    "that the method is not allowed": [405, () => request("/mcp", { method: "PUT" })],
    "that the body is too large": [413, () => request("/mcp", { body: "x".repeat(1001) })],
    "that the media type is wrong": [
      415,
      () => request("/mcp", { fields: { "Content-Type": "text/plain" } }),
    ],
    "that the origin server is down": [502, () => request("/down")],
  };
  for (const [what, [status, ask]] of Object.entries(ANSWERS)) {
    test(`${what} (${status})`, async () => {
      const answer = await ask();
      assert.equal(answer.status, status, answer.body);
      assert.equal(answer.fields["access-control-allow-origin"], PAGE);
      assert.equal(answer.fields["access-control-allow-credentials"], undefined);
      const exposed = list(answer.fields["access-control-expose-headers"].toLowerCase());
      for (const name of ["www-authenticate", "mcp-session-id", "mcp-protocol-version", "last-event-id"]) {
        assert.ok(exposed.includes(name), name);
      }
      assert.deepEqual(varies(answer), VARY);
    });
  }

  test("but no other page the answer to a request without Origin", async () => {
    assertUnreadable(await scene.post());
    assertUnreadable(await send(scene.gateway));
  });

  test("and not what the origin server would let it", async () => {
    scene.origin.answer = (_request, response) => {
      response.writeHead(200, { "access-control-allow-origin": "*", vary: "x-evil" }).end("{}");
    };
    const answer = await request("/mcp");
    assert.equal(answer.fields["access-control-allow-origin"], PAGE);
    assertUnreadable(await scene.post());
  });
});
