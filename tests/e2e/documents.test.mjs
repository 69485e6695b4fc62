/** What the gateway publishes to everyone: protected resource metadata (RFC 9728), its health, and open paths. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { send } from "./support/http.mjs";
import { assertRefused, lineOf } from "./support/refusal.mjs";
import { startScene } from "./support/scene.mjs";

const METADATA = "/.well-known/oauth-protected-resource";
const DOCUMENT_METHODS = "GET, HEAD, OPTIONS";

let one;
let two;
let withRoot;

before(
  async () => {
    const at = (path, origin, more = {}) => ({ path, origin: origin.url, issuers: ["idp"], ...more });
    one = await startScene({
      resource: { name: 'A "name" für Menschen', documentation: "https://docs.example/mcp" },
    });
    two = await startScene({
      changes: ({ origin }) => ({
        resources: [
          at("/mcp", origin, { scopes: ["mcp:tools", "files:read"] }),
          at("/team/a%20b/mcp", origin),
        ],
      }),
    });
    withRoot = await startScene({
      changes: ({ origin }) => ({
        resources: [at("/", origin), at("/mcp", origin, { scopes: ["mcp:tools"] })],
        public_paths: [{ path: "/logo.svg", origin: `http://${origin.authority}/assets/logo.svg` }],
      }),
    });
  },
  { timeout: 60_000 },
);
after(() => Promise.all([one, two, withRoot].map((scene) => scene?.close())));
beforeEach(() => {
  for (const { origin } of [one, two, withRoot]) origin.reset();
});

const get = (scene, target, more = {}) => send(scene.gateway, { target, ...more });

/** A document that everyone may read. */
async function assertDocument(scene, answer, expected, { cache = "public, max-age=300" } = {}) {
  assert.equal(answer.status, 200, answer.body);
  assert.equal(answer.fields["content-type"], "application/json");
  assert.equal(answer.fields["cache-control"], cache);
  assert.equal(answer.fields["access-control-allow-origin"], "*");
  assert.equal(answer.fields["x-content-type-options"], "nosniff");
  assert.equal(answer.fields["set-cookie"], undefined);
  assert.deepEqual(answer.json(), expected);
  const line = await lineOf(scene.gateway, answer);
  assert.deepEqual([line.decision, line.reason, line.status], ["allow", "public_document", 200]);
  assert.deepEqual(scene.origin.requests, []);
}

const assertNothing = async (scene, target, reason = "not_found") => {
  await assertRefused(scene.gateway, await get(scene, target), { status: 404, reason });
  assert.deepEqual(scene.origin.requests, []);
};

describe("protected resource metadata", () => {
  test("is at the path of its resource, and says all that is configured of it", async () => {
    await assertDocument(one, await get(one, `${METADATA}/mcp`), {
      resource: `${one.gateway.url}/mcp`,
      authorization_servers: [one.idp.issuer],
      bearer_methods_supported: ["header"],
      scopes_supported: ["mcp:tools"],
      resource_name: 'A "name" für Menschen',
      resource_documentation: "https://docs.example/mcp",
    });
  });

  test("is at the root too where there is one resource, and says the same there", async () => {
    const expected = (await get(one, `${METADATA}/mcp`)).json();
    await assertDocument(one, await get(one, METADATA), expected);
  });

  test("is not at the root where there are two resources, but at the path of each", async () => {
    await assertNothing(two, METADATA);
    const common = { authorization_servers: [two.idp.issuer], bearer_methods_supported: ["header"] };
    await assertDocument(two, await get(two, `${METADATA}/mcp`), {
      resource: `${two.gateway.url}/mcp`,
      scopes_supported: ["files:read", "mcp:tools"],
      ...common,
    });
    await assertDocument(two, await get(two, `${METADATA}/team/a%20b/mcp`), {
      resource: `${two.gateway.url}/team/a%20b/mcp`,
      ...common,
    });
  });

  test("of the resource `/` is at the root, with a slash at the end of its identifier", async () => {
    const { resource, scopes_supported: scopes } = (await get(withRoot, METADATA)).json();
    assert.equal(resource, `${withRoot.gateway.url}/`);
    assert.equal(scopes, undefined, "what has no elements is left out");
    assert.equal((await get(withRoot, `${METADATA}/mcp`)).json().resource, `${withRoot.gateway.url}/mcp`);
  });

  test("is where the challenge says, and names the URL that the client used, byte for byte (R19)", async () => {
    const CHALLENGED = [
      [one, "/mcp", "/mcp"],
      [one, "/mcp/below", "/mcp"],
      [two, "/team/a%20b/mcp", "/team/a%20b/mcp"],
      [withRoot, "/", "/"],
      [withRoot, "/anything", "/"],
      [withRoot, "/mcp", "/mcp"],
    ];
    for (const [scene, target, path] of CHALLENGED) {
      const refused = await get(scene, target);
      assert.equal(refused.status, 401, target);
      const [, url] = refused.fields["www-authenticate"].match(/resource_metadata="([^"]*)"/);
      assert.ok(url.startsWith(`${scene.gateway.url}${METADATA}`), url);
      const metadata = await (await fetch(url)).json();
      assert.equal(metadata.resource, `${scene.gateway.url}${path}`, target);
    }
  });

  test("does not change with what a request says of itself", async () => {
    const plain = await get(one, `${METADATA}/mcp`);
    const lies = { "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", Forwarded: "host=evil" };
    for (const target of [`${METADATA}/mcp`, `${METADATA}/mcp?resource=https://evil.example`]) {
      assert.equal((await get(one, target, { fields: lies })).body, plain.body);
    }
  });

  for (const target of ["/mcp/", "/MCP", "/mcp/below", "/other", "x", "/mcp;x", "/healthz"]) {
    test(`is not at ${METADATA}${target}`, () => assertNothing(one, `${METADATA}${target}`));
  }

  for (const target of ["//mcp", "/%2e%2e/mcp", "/mcp%2f", "/mcp%00"]) {
    test(`is not at ${METADATA}${target}`, () =>
      assertNothing(one, `${METADATA}${target}`, "ambiguous_path"));
  }

  test("is the only thing of its kind: this gateway is no authorization server", async () => {
    for (const name of [
      "oauth-authorization-server",
      "openid-configuration",
      "oauth-authorization-server/mcp",
    ]) {
      await assertNothing(one, `/.well-known/${name}`);
    }
  });
});

const DOCUMENTS = [`${METADATA}/mcp`, METADATA, "/healthz"];
for (const target of DOCUMENTS) {
  describe(`the document at ${target}`, () => {
    test("is read by any page", async () => {
      for (const origin of ["https://any.example", "null", "http://127.0.0.1:1"]) {
        const answer = await get(one, target, { fields: { Origin: origin } });
        assert.equal(answer.status, 200);
        assert.equal(answer.fields["access-control-allow-origin"], "*");
        assert.equal(answer.fields["access-control-allow-credentials"], undefined);
      }
    });

    test("may be asked for by any page with any field", async () => {
      const fields = {
        Origin: "https://any.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, mcp-protocol-version, x-any",
      };
      const answer = await get(one, target, { method: "OPTIONS", fields });
      assert.equal(answer.status, 204);
      assert.equal(answer.body, "");
      assert.equal(answer.fields["access-control-allow-origin"], "*");
      assert.equal(answer.fields["access-control-allow-methods"], DOCUMENT_METHODS);
      const allowed = answer.fields["access-control-allow-headers"].split(/, ?/);
      assert.ok(allowed.includes("*"));
      assert.ok(allowed.includes("authorization"), "which `*` does not cover (Fetch §4.9)");
      assert.ok(Number(answer.fields["access-control-max-age"]) > 0);
    });

    test("has the same fields for HEAD, and no body", async () => {
      const full = await get(one, target);
      const head = await get(one, target, { method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal(head.body, "");
      for (const name of ["content-type", "cache-control", "access-control-allow-origin"]) {
        assert.equal(head.fields[name], full.fields[name], name);
      }
      assert.equal((await lineOf(one.gateway, head)).method, "HEAD");
    });

    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      test(`refuses ${method}, and says what it takes`, async () => {
        const answer = await get(one, target, { method });
        const expected = { status: 405, reason: "method_not_allowed", allow: DOCUMENT_METHODS };
        await assertRefused(one.gateway, answer, expected);
      });
    }
  });
}

describe("health", () => {
  test("is at /healthz for everyone, and is never kept", async () => {
    await assertDocument(one, await get(one, "/healthz"), { status: "ok" }, { cache: "no-store" });
  });

  for (const target of ["/healthz/", "/HEALTHZ", "/healthz/x", "/healthzz", "/healthz;x", "/health"]) {
    test(`is not at ${target}`, () => assertNothing(one, target));
  }

  test("does not depend on what lies at `/`", async () => {
    await assertDocument(withRoot, await get(withRoot, "/healthz"), { status: "ok" }, { cache: "no-store" });
    assert.equal((await get(withRoot, "/HEALTHZ")).status, 401);
  });
});

describe("a path that is open to everyone", () => {
  test("is answered by its origin server, which gets nothing but the query", async () => {
    const fields = { Authorization: "Bearer a.b.c", Cookie: "a=b", "X-Portcullis-Subject": "root" };
    const answer = await get(withRoot, "/logo.svg?v=1&x=%2F", { fields });
    assert.equal(answer.status, 200);
    const { method, url, headers } = withRoot.origin.only();
    assert.deepEqual([method, url], ["GET", "/assets/logo.svg?v=1&x=%2F"]);
    for (const name of ["authorization", "cookie", "x-portcullis-subject", "x-portcullis-issuer"]) {
      assert.equal(headers[name], undefined, name);
    }
    const line = await lineOf(withRoot.gateway, answer);
    assert.deepEqual([line.reason, line.resource, line.subject], ["forwarded", undefined, undefined]);
  });

  test("answers HEAD", async () => {
    const answer = await get(withRoot, "/logo.svg", { method: "HEAD" });
    assert.deepEqual([answer.status, answer.body], [200, ""]);
    assert.equal(withRoot.origin.only().method, "HEAD");
  });

  test("is the same path where its letters are percent-encoded", async () => {
    assert.equal((await get(withRoot, "/%6cogo%2Esvg")).status, 200);
    assert.equal(withRoot.origin.only().url, "/assets/logo.svg");
  });

  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    test(`refuses ${method}, even with a token`, async () => {
      const answer = await withRoot.post({ method, target: "/logo.svg" });
      const expected = { status: 405, reason: "method_not_allowed", allow: DOCUMENT_METHODS };
      await assertRefused(withRoot.gateway, answer, expected);
      assert.deepEqual(withRoot.origin.requests, []);
    });
  }

  test("refuses pages that are not allowed", async () => {
    const answer = await get(withRoot, "/logo.svg", { fields: { Origin: "https://evil.example" } });
    await assertRefused(withRoot.gateway, answer, { status: 403, reason: "foreign_origin" });
  });

  const NEAR = [
    "/logo.svg/",
    "/logo.svg/x",
    "/logo.svgx",
    "/logo.sv",
    "/LOGO.SVG",
    "/logo.svg;x",
    "/x/logo.svg",
  ];
  for (const target of NEAR) {
    test(`opens nothing at ${target}`, async () => {
      assert.equal((await get(withRoot, target)).status, 401);
      assert.deepEqual(withRoot.origin.requests, []);
    });
  }

  for (const target of [
    "//logo.svg",
    "/./logo.svg",
    "/x/../logo.svg",
    "/logo.svg%00",
    "/logo.svg%2f..%2fmcp",
  ]) {
    test(`opens nothing at ${target}`, () => assertNothing(withRoot, target, "ambiguous_path"));
  }
});
