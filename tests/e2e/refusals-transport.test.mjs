/**
 * What is refused before anybody asks who calls: by host, web origin, scheme, method, size, media type and
 * framing. Requests are written byte for byte, because clients' libraries would not send most of them.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startGateway } from "./support/gateway.mjs";
import { chunked, eventually, send } from "./support/http.mjs";
import { makeKey } from "./support/issuer.mjs";
import { assertRefused, challengeOf, lineOf } from "./support/refusal.mjs";
import { startScene } from "./support/scene.mjs";

const BODY_BYTES = 200_000;
const ALLOW = "POST, GET, DELETE, OPTIONS";

let scene;
let host;

before(
  async () => {
    scene = await startScene({
      resource: { body_bytes: BODY_BYTES },
      changes: ({ url }) => ({
        allowed_hosts: [`localhost:${new URL(url).port}`, "gate.example"],
        allowed_origins: ["https://app.example"],
      }),
    });
    host = `127.0.0.1:${scene.gateway.port}`;
  },
  { timeout: 60_000 },
);
after(() => scene?.close());
beforeEach(() => scene.origin.reset());

async function assertStopped(answer, expected) {
  const line = await assertRefused(scene.gateway, answer, expected);
  assert.deepEqual(scene.origin.requests, [], "nothing reaches the origin server");
  assert.deepEqual(scene.tokensInLog(), []);
  return line;
}

describe("a token in the URL is an invalid request, whatever Authorization says (R12)", () => {
  const QUERIES = [
    "access_token=TOKEN",
    "a=1&access_token=TOKEN",
    "a=1;access_token=TOKEN",
    "%61ccess_token=TOKEN",
    "access%5Ftoken=TOKEN",
    "access%5ftoken=TOKEN",
    "ACCESS_TOKEN=TOKEN",
    "access_token",
  ];
  for (const query of QUERIES) {
    test(query, async () => {
      const token = await scene.token();
      const target = `/mcp?${query.replace(/=TOKEN$/, `=${token}`)}`;
      await assertStopped(await scene.post({ token, target }), {
        status: 400,
        reason: "token_in_query",
        challenge: challengeOf({
          error: "invalid_request",
          message: "An access token must not be in the URL.",
          metadata: scene.metadataUrl,
        }),
      });
    });
  }

  test("but not where it is a value, or a part of another name", async () => {
    for (const query of ["x=access_token", "my_access_token=1", "access_tokens=1"]) {
      assert.equal((await scene.post({ target: `/mcp?${query}` })).status, 200, query);
    }
  });
});

describe("a host that is not ours is refused (DNS rebinding)", () => {
  const HOSTS = {
    "another name": () => "evil.example",
    "another name at our port": () => `evil.example:${scene.gateway.port}`,
    "our address without the port": () => "127.0.0.1",
    "our address with another port": () => "127.0.0.1:1",
    "a name that begins with our address": () => `127.0.0.1.evil.example:${scene.gateway.port}`,
    "our address with user information": () => `user@${host}`,
    "our address in short": () => `127.1:${scene.gateway.port}`,
    "our address as one number": () => `2130706433:${scene.gateway.port}`,
    "our address in IPv6": () => `[::ffff:127.0.0.1]:${scene.gateway.port}`,
    "our address with a dot at its end": () => `127.0.0.1.:${scene.gateway.port}`,
    "our address percent-encoded": () => `%31%32%37.0.0.1:${scene.gateway.port}`,
    "our address with a path": () => `${host}/mcp`,
    "our address with a fragment": () => `${host}#`,
    "our address with a backslash": () => `${host}\\.evil.example`,
  };
  for (const [what, make] of Object.entries(HOSTS)) {
    test(what, async () => {
      const answer = await scene.post({ fields: { Host: make() } });
      await assertStopped(answer, { status: 403, reason: "foreign_host" });
    });
  }

  test("it learns nothing of the documents that everyone else may read", async () => {
    for (const target of ["/healthz", "/.well-known/oauth-protected-resource/mcp"]) {
      const answer = await send(scene.gateway, { target, fields: { Host: "evil.example" } });
      await assertStopped(answer, { status: 403, reason: "foreign_host" });
    }
  });

  test("a second Host field, even with ours first", async () => {
    const fields = Object.entries(await scene.fields());
    for (const hosts of [
      [host, "evil.example"],
      ["evil.example", host],
      [host, host],
    ]) {
      const twice = [...hosts.map((value) => ["Host", value]), ...fields];
      const answer = await send(scene.gateway, { method: "POST", fields: twice, body: "{}" });
      await assertStopped(answer, { status: 403, reason: "foreign_host" });
    }
  });

  test("but one of allowed_hosts passes, in any case", async () => {
    for (const name of ["localhost", "LocalHost"]) {
      const fields = { Host: `${name}:${scene.gateway.port}` };
      assert.equal((await scene.post({ fields })).status, 200, name);
    }
  });
});

describe("a web page that is not allowed is refused (T1)", () => {
  const ORIGINS = {
    "another site": [["Origin", "https://evil.example"]],
    "an opaque origin": [["Origin", "null"]],
    "an allowed one by another scheme": [["Origin", "http://app.example"]],
    "an allowed one with a port": [["Origin", "https://app.example:8443"]],
    "an allowed one as a part": [["Origin", "https://app.example.evil.example"]],
    "an allowed one below another name": [["Origin", "https://evil.app.example"]],
    "an allowed one with a path": [["Origin", "https://app.example/"]],
    "an allowed one twice": [
      ["Origin", "https://app.example"],
      ["Origin", "https://app.example"],
    ],
    "an allowed one and another": [
      ["Origin", "https://app.example"],
      ["Origin", "https://evil.example"],
    ],
    "a star": [["Origin", "*"]],
  };
  for (const [what, origins] of Object.entries(ORIGINS)) {
    test(`${what}, though it has a good token`, async () => {
      const fields = [...Object.entries(await scene.fields()), ...origins];
      const answer = await send(scene.gateway, { method: "POST", fields, body: "{}" });
      await assertStopped(answer, { status: 403, reason: "foreign_origin", resource: "/mcp" });
      assert.equal(answer.fields["access-control-allow-origin"], undefined);
    });
  }
});

describe("methods that no MCP endpoint has are refused", () => {
  for (const method of ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND"]) {
    test(method, async () => {
      const answer = await scene.post({ method });
      const expected = { status: 405, reason: "method_not_allowed", allow: ALLOW, resource: "/mcp" };
      await assertStopped(answer, { ...expected, head: method === "HEAD" });
      assert.ok(!answer.body.includes("Bearer"), "nothing of the request comes back");
    });
  }

  test("CONNECT, and methods that nobody knows, do not reach the origin server", async () => {
    for (const method of ["CONNECT", "post", "FOO"]) {
      const answer = await scene.post({ method });
      assert.ok(answer.status >= 400, `${method}: ${answer.status}`);
      assert.deepEqual(scene.origin.requests, []);
    }
  });
});

describe("a request that is too large is refused", () => {
  test("a URL of 8 KiB is read, and one byte more is not", async () => {
    const target = (bytes) => `/mcp?${"a".repeat(bytes - "/mcp?".length)}`;
    assert.equal((await scene.post({ target: target(8192) })).status, 200);
    scene.origin.reset();
    await assertStopped(await scene.post({ target: target(8193) }), { status: 414, reason: "url_too_long" });
  });

  test("fields of more than 32 KiB", async () => {
    const answer = await scene.post({ fields: { "X-Long": "a".repeat(32 * 1024) } });
    await assertStopped(answer, { status: 431, reason: "fields_too_large" });
  });

  test("more than 128 fields", async () => {
    const many = Object.fromEntries(Array.from({ length: 128 }, (_, index) => [`X-${index}`, "1"]));
    await assertStopped(await scene.post({ fields: many }), { status: 431, reason: "fields_too_large" });
  });

  test("a body that is announced too large, before it is sent", async () => {
    const fields = { "Content-Length": BODY_BYTES + 1 };
    await assertStopped(await scene.post({ fields }), { status: 413, reason: "body_too_large" });
  });

  test("a body that turns out too large never becomes a complete request", async () => {
    const body = chunked(["x".repeat(BODY_BYTES / 2), "x".repeat(BODY_BYTES / 2), "x"]);
    const answer = await scene.post({ fields: { "Transfer-Encoding": "chunked" }, body });
    await assertRefused(scene.gateway, answer, { status: 413, reason: "body_too_large" });
    await assertNothingComplete();
  });

  test("but a body at the limit passes, announced or not", async () => {
    const body = "x".repeat(BODY_BYTES);
    assert.equal((await scene.post({ body })).status, 200);
    const fields = { "Transfer-Encoding": "chunked" };
    assert.equal((await scene.post({ fields, body: chunked([body]) })).status, 200);
    assert.deepEqual(
      scene.origin.requests.map(({ bytes }) => bytes.length),
      [BODY_BYTES, BODY_BYTES],
    );
  });
});

describe("a body of another media type is refused", () => {
  const TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
  ];
  for (const type of [...TYPES, "application/jsonp", "application/json-patch+json"]) {
    test(type, async () => {
      const answer = await scene.post({ fields: { "Content-Type": type } });
      await assertStopped(answer, { status: 415, reason: "unsupported_media_type", resource: "/mcp" });
    });
  }

  test("but application/json passes in any case and with parameters", async () => {
    for (const type of ["Application/JSON", "application/json; charset=utf-8", "application/json;x=y"]) {
      assert.equal((await scene.post({ fields: { "Content-Type": type } })).status, 200, type);
    }
  });
});

/** Whatever reached the origin server was seen there as broken. */
async function assertNothingComplete() {
  await eventually("the end of it at the origin server", () =>
    scene.origin.requests.every(({ complete, cancelled }) => complete || cancelled),
  );
  for (const { complete, body } of scene.origin.requests) {
    assert.equal(complete, false, `the origin server took ${body.length} bytes for a complete request`);
  }
}

describe("a body cut short never becomes a complete request", () => {
  const announced = (bytes) => ({ "Content-Length": bytes });
  const unannounced = { "Transfer-Encoding": "chunked" };
  const CARRIED = { status: 502, reason: "origin_unreachable" };
  const READ = { status: 400, reason: "body_cut_short" };
  const CUT = {
    // The platform carries these, and the gateway does not learn which side closed its connection.
    "a small one": [announced(1000), '{"jsonrpc":"2.0"', CARRIED],
    "a large one": [announced(BODY_BYTES), "x".repeat(BODY_BYTES / 2), CARRIED],
    "one in chunks, after a chunk": [unannounced, chunked(['{"jsonrpc":"2.0",', '"id":1'], { end: false })],
    "one in chunks, within a chunk": [unannounced, "ff\r\n{}"],
    "one in chunks that are malformed": [unannounced, "2\r\n{}\r\nzz\r\n{}\r\n0\r\n\r\n"],
  };
  for (const [what, [fields, body, refusal = READ]] of Object.entries(CUT)) {
    test(`${what}, and its sender waits for an answer`, async () => {
      const answer = await scene.post({ fields, body, halfClose: true });
      await assertNothingComplete();
      await assertRefused(scene.gateway, answer, { ...refusal, resource: "/mcp" });
      assert.deepEqual(scene.tokensInLog(), []);
    });

    test(`${what}, and its sender is gone`, async () => {
      const before = scene.gateway.logs.length;
      await scene.post({ fields, body, abandon: true });
      await eventually("a line in the log", () => scene.gateway.logs.length > before);
      await sleep(100);
      await assertNothingComplete();
    });
  }
});

test("development allows plain HTTP on loopback hosts and no others", async () => {
  const answer = await scene.post({ fields: { Host: "gate.example" } });
  await assertStopped(answer, { status: 403, reason: "https_required" });
});

describe("outside development", () => {
  const PUBLIC_URL = "https://gate.example";
  const METADATA = `${PUBLIC_URL}/.well-known/oauth-protected-resource/mcp`;
  // Miniflare stands where Cloudflare's edge does, and takes this field for the scheme of the request.
  const OVER_TLS = { "X-Forwarded-Proto": "https" };
  let gateway;
  before(async () => {
    const { pem } = await makeKey();
    const config = {
      public_url: PUBLIC_URL,
      issuers: [{ name: "idp", issuer: "https://login.example", public_key: pem }],
      resources: [
        { path: "/mcp", origin: "https://tools.example/mcp", issuers: ["idp"], scopes: ["mcp:tools"] },
      ],
    };
    gateway = await startGateway({ config });
  });
  after(() => gateway?.close());

  for (const target of ["/mcp", "/healthz", "/.well-known/oauth-protected-resource/mcp"]) {
    test(`plain HTTP is refused at ${target}`, async () => {
      const answer = await send(gateway, { target, fields: { Host: "gate.example" } });
      await assertRefused(gateway, answer, { status: 403, reason: "https_required" });
    });
  }

  test("plain HTTP is refused on a loopback host too", async () => {
    const answer = await send(gateway);
    await assertRefused(gateway, answer, { status: 403, reason: "foreign_host" });
  });

  test("HTTPS is asked for a token, and told to stay with HTTPS", async () => {
    const answer = await send(gateway, { port: gateway.port, fields: { Host: "gate.example", ...OVER_TLS } });
    const challenge = challengeOf({ scope: "mcp:tools", metadata: METADATA });
    await assertRefused(gateway, answer, { status: 401, reason: "no_credentials", challenge });
    assert.equal(answer.fields["strict-transport-security"], "max-age=31536000");
    assert.equal(answer.fields["server-timing"], undefined, "durations are for development");
  });

  test("nothing that a request says of itself changes the URLs that are published", async () => {
    const lies = { "X-Forwarded-Host": "evil.example", Forwarded: "host=evil.example;proto=http" };
    const fields = { Host: "gate.example", ...OVER_TLS, ...lies };
    const answer = await send(gateway, {
      target: "/.well-known/oauth-protected-resource/mcp",
      port: gateway.port,
      fields,
    });
    assert.equal(answer.json().resource, `${PUBLIC_URL}/mcp`);
    assert.equal((await lineOf(gateway, answer)).reason, "public_document");
  });
});
