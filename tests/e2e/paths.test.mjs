/**
 * Paths, byte for byte as they are sent: no spelling of one reaches another resource than the one that was
 * authorized, however an origin server reads it.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { assertRefused } from "./support/refusal.mjs";
import { startScene } from "./support/scene.mjs";

let scene;
before(
  async () => {
    scene = await startScene({
      changes: ({ origin }) => {
        const at = (path, base) => ({
          path,
          origin: `http://${origin.authority}${base}`,
          issuers: ["idp"],
          scopes: ["mcp:tools"],
        });
        return {
          resources: [
            at("/mcp", "/mcp"),
            at("/files", "/inside/files/"),
            at("/files/admin", "/inside/admin"),
            at("/bare", ""),
          ],
        };
      },
    });
  },
  { timeout: 60_000 },
);
after(() => scene?.close());
beforeEach(() => scene.origin.reset());

/** Calls `target` with a token for the resource at `path`. */
const call = async (target, path) =>
  scene.post({ target, token: await scene.token({ audience: `${scene.gateway.url}${path}` }) });

describe("a request goes to", () => {
  const REACHED = {
    "/mcp": "/mcp",
    "/mcp/": "/mcp/",
    "/%6dcp": "/mcp",
    "/%6D%63%70": "/mcp",
    "/mcp?a=1&b=%2F..%2f&c=a+b": "/mcp?a=1&b=%2F..%2f&c=a+b",
    "/mcp?": "/mcp?",
    "/mcp?a=../../files/admin": "/mcp?a=../../files/admin",
    "/mcp?a=1?b=2": "/mcp?a=1?b=2",
    "/mcp#fragment": "/mcp",
    "/mcp/below": "/mcp/below",
    "/mcp/below/": "/mcp/below/",
    "/mcp/a%20b/c:d@e;v=1,2!$&'()*+=~": "/mcp/a%20b/c:d@e;v=1,2!$&'()*+=~",
    "/mcp/%41%7e%2d": "/mcp/A~-",
    "/mcp/a%3ab%c3%a9": "/mcp/a%3Ab%C3%A9",
    "/mcp/...": "/mcp/...",
    "/mcp/.hidden": "/mcp/.hidden",
  };
  for (const [target, reached] of Object.entries(REACHED)) {
    test(`${reached} of the origin server for ${target}`, async () => {
      const answer = await call(target, "/mcp");
      assert.equal(answer.status, 200, answer.body);
      assert.equal(scene.origin.only().url, reached);
    });
  }

  const BELOW = {
    "/files": ["/files", "/inside/files/"],
    "/files/": ["/files", "/inside/files/"],
    "/files/a/b?c": ["/files", "/inside/files/a/b?c"],
    "/files/adminx": ["/files", "/inside/files/adminx"],
    "/files/x/admin": ["/files", "/inside/files/x/admin"],
    "/files/admin": ["/files/admin", "/inside/admin"],
    "/files/%61dmin": ["/files/admin", "/inside/admin"],
    "/files/admin/": ["/files/admin", "/inside/admin/"],
    "/files/admin/a": ["/files/admin", "/inside/admin/a"],
    "/bare": ["/bare", "/"],
    "/bare/a": ["/bare", "/a"],
  };
  for (const [target, [path, reached]] of Object.entries(BELOW)) {
    test(`${reached} of the origin server for ${target}, which belongs to ${path}`, async () => {
      const answer = await call(target, path);
      assert.equal(answer.status, 200, answer.body);
      assert.equal(scene.origin.only().url, reached);
    });
  }
});

describe("a token for /files does not open /files/admin", () => {
  for (const target of [
    "/files/admin",
    "/files/%61dmin",
    "/files/%61%64%6d%69%6e",
    "/files/admin/",
    "/files/admin/x",
  ]) {
    test(`at ${target}, which is that resource`, async () => {
      const answer = await call(target, "/files");
      assert.equal(answer.status, 401);
      assert.match(answer.fields["www-authenticate"], /oauth-protected-resource\/files\/admin"/);
      assert.deepEqual(scene.origin.requests, []);
    });
  }

  /** What some server would take for /files/admin. */
  const LENIENT = {
    not_found: [
      "/files/ADMIN",
      "/files/Admin/x",
      "/files/%41dmin",
      "/files/admin;x",
      "/files/admin;x/y",
      "/files/%2561dmin",
      "/files/%252561dmin",
      "/files/admin%3bx",
      "/FILES/admin",
    ],
    ambiguous_path: [
      "/files//admin",
      "/files/./admin",
      "/files/x/../admin",
      "/files/x/%2e%2e/admin",
      "/files/x/.%2E/admin",
      "/files/x/..;/admin",
      "/files/x/..;a=b/admin",
      "/files%2fadmin",
      "/files%2Fadmin",
      "/files%252fadmin",
      "/files%25252fadmin",
      "/files/x%2f..%2fadmin",
      "/files/x/%252e%252e/admin",
      "/files/x/%25252e%25252e/admin",
      "/files\\admin",
      "/files/x\\..\\admin",
      "/files%5cadmin",
      "/files%255cadmin",
      "/files/x/..%5cadmin",
      "/files/admin%00",
      "/files/%00/../admin",
      "/files/admin%0d%0a",
      "/files/admin%7f",
      "/files/admin%",
      "/files/admin%2",
      "/files/admin%zz",
      "/files/admin%u002f",
    ],
  };
  for (const [reason, targets] of Object.entries(LENIENT)) {
    for (const target of targets) {
      test(`at ${target}, which is nothing`, async () => {
        await assertRefused(scene.gateway, await call(target, "/files"), { status: 404, reason });
        assert.deepEqual(scene.origin.requests, []);
      });
    }
  }
});

describe("a token for /mcp opens nothing", () => {
  const NOTHING = {
    not_found: [
      "/",
      "/MCP",
      "/Mcp",
      "/mcpx",
      "/mc",
      "/mcp;x",
      "/mcp;",
      "/mcp%3b",
      "/x/mcp",
      "/mcp%20",
      "/mcp.",
    ],
    ambiguous_path: [
      "//mcp",
      "///mcp",
      "/mcp//",
      "/mcp//x",
      "/./mcp",
      "/../mcp",
      "/mcp/..",
      "/mcp/.",
      "/mcp/../mcp",
      "/mcp/../files",
      "/mcp/%2e%2e/files",
      "/x/../mcp",
      "/mcp%2f",
      "/mcp%2F",
      "/mcp%5c",
      "/mcp%00",
      "/mcp%09",
      "/mcp%0a",
      "/mcp%252f",
      "/mcp%252e%252e%252ffiles",
      "/mcp\\",
      "/mcp\\..\\files",
      "/mcp|x",
      "/mcp/é",
      "/mcp/[x]",
      "//evil.example/mcp",
    ],
  };
  for (const [reason, targets] of Object.entries(NOTHING)) {
    for (const target of targets) {
      test(`at ${target}`, async () => {
        await assertRefused(scene.gateway, await call(target, "/mcp"), { status: 404, reason });
        assert.deepEqual(scene.origin.requests, []);
      });
    }
  }

  test("at targets that are no path, which never become a request of the origin server", async () => {
    for (const target of ["*", "mcp", "?", "/mcp x", "\\mcp", `http://evil.example/files/admin`]) {
      const answer = await call(target, "/mcp");
      assert.ok(answer.status >= 400, `${target}: ${answer.status}`);
      assert.deepEqual(scene.origin.requests, []);
    }
  });
});

describe("through Miniflare, which resolves dot segments as Cloudflare's edge does,", () => {
  for (const target of ["/files/x/../admin", "/files/x/%2e%2e/admin", "/files/./admin", "/files\\admin"]) {
    test(`${target} is /files/admin, and asks for a token for that`, async () => {
      const token = await scene.token({ audience: `${scene.gateway.url}/files` });
      const answer = await scene.post({ target, token, port: scene.gateway.port });
      assert.equal(answer.status, 401);
      assert.match(answer.fields["www-authenticate"], /oauth-protected-resource\/files\/admin"/);
      assert.deepEqual(scene.origin.requests, []);
    });
  }
});
