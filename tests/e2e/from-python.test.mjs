/**
 * The five examples of docs/from-python.md, with the configurations that it has: a server of PyPI `mcp` is behind the gateway, its
 * tools say who calls, and clients of the same package call them.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Response } from "miniflare";
import { startAuthorizationServer } from "./support/authorization-server.mjs";
import { send } from "./support/http.mjs";
import { assembleToken, claimsFor, makeKey, signToken } from "./support/issuer.mjs";
import { noPython } from "./support/python.mjs";
import {
  blockOf,
  callFromPython,
  GUIDE,
  makeCertificate,
  runPython,
  sendSecurely,
  signWithPyJwt,
  startExample,
} from "./support/python-examples.mjs";
import { assertRefused, challengeOf, lineOf } from "./support/refusal.mjs";
import { remember } from "./support/secrets.mjs";

const OPTIONS = { skip: noPython, timeout: 500_000 };
const STARTING = { timeout: 400_000 };
const ISSUER = "https://auth.example.com";
const SECRET = "0123456789abcdef0123456789abcdef";

/** A call of a tool, as a client writes it that has no session. */
const messageOf = (tool, args = {}) => ({
  method: "POST",
  fields: {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": tool,
  },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 7,
    method: "tools/call",
    params: { name: tool, arguments: args },
  }),
});

/** A call with this credential is refused, and does not reach the Python server. */
async function assertStopped(scene, token, expected, tool = "protected_tool") {
  const before = scene.arrived.length;
  const { fields, ...message } = messageOf(tool);
  const credential = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const answer = await send(scene.gateway, { ...message, fields: { ...fields, ...credential } });
  await assertRefused(scene.gateway, answer, { resource: "/mcp", ...expected });
  assert.equal(scene.arrived.length, before, "nothing reaches the Python server");
}

/** After the list of tools, the Python client prints the answer of the tool and nothing else. */
async function assertCalled(calling, expected) {
  const { code, stdout, stderr } = await calling;
  assert.equal(code, 0, stderr);
  const said = stdout.trim().split("\n").slice(1).join("\n");
  assert.equal(said, expected);
}

/** The requests that the server got from the index `from` on say who calls, and have no credential. */
function assertNoCredentialArrived({ arrived }, from = 0) {
  assert.ok(arrived.length > from);
  for (const { headers, url } of arrived.slice(from)) {
    for (const name of ["authorization", "cookie", "x-api-key"]) assert.ok(!(name in headers), name);
    if (!["/health", "/public"].includes(url)) assert.ok("x-portcullis-subject" in headers, url);
  }
}

const metadataOf = ({ gateway }) => `${gateway.url}/.well-known/oauth-protected-resource/mcp`;

describe("Basic OAuth Authentication", OPTIONS, () => {
  let provider;
  let scene;
  let format = "jwt";
  const SCOPES = "read write";
  before(async () => {
    provider = await startAuthorizationServer({ format: () => format, scopes: ["read", "write"] });
    scene = await startExample("Basic OAuth Authentication", {
      replace: {
        [`${ISSUER}/.well-known/jwks.json`]: provider.jwksUri,
        [ISSUER]: provider.issuer,
        "your-client-id": provider.gateways.basic.clientId,
      },
      secrets: { INTROSPECTION_SECRET: provider.gateways.basic.secret },
    });
  }, STARTING);
  after(() => Promise.all([scene?.close(), provider?.close()]));

  const tokenOf = async (kind, { audience = scene.resource, scope = SCOPES } = {}) => {
    format = kind;
    const token = remember(await provider.token(audience, { scope }));
    assert.equal(token.split(".").length, kind === "jwt" ? 3 : 1);
    return token;
  };
  const unauthorized = (reason) => ({
    status: 401,
    reason,
    challenge: challengeOf({ error: "invalid_token", scope: SCOPES, metadata: metadataOf(scene) }),
  });

  for (const [kind, questions, how] of [
    ["jwt", 0, "verified with the key set"],
    ["opaque", 1, "that the provider is asked about"],
  ]) {
    test(`protected_tool says who calls with a token ${how}`, async () => {
      const [asked, arrived] = [provider.introspections(), scene.arrived.length];
      const token = await tokenOf(kind);
      const calling = callFromPython(scene.resource, "protected_tool", { data: "a b" }, { token });
      await assertCalled(calling, "Processed data for user machine: a b");
      assert.equal(provider.introspections() - asked, questions);
      assertNoCredentialArrived(scene, arrived);
    });

    test(`a token ${how} must be for this resource`, async () => {
      const token = await tokenOf(kind, { audience: `${scene.gateway.url}/other` });
      await assertStopped(scene, token, unauthorized("token_audience"));
    });

    test(`a token ${how} must have both scopes`, async () => {
      const challenge = challengeOf({
        ...{ error: "insufficient_scope", scope: SCOPES, metadata: metadataOf(scene) },
      });
      for (const scope of ["read", "write"])
        await assertStopped(scene, await tokenOf(kind, { scope }), {
          ...{ status: 403, reason: "insufficient_scope", challenge, id: 7 },
        });
    });
  }

  test("no token: the challenge says where to get one, and for which scopes", async () => {
    const challenge = challengeOf({ scope: SCOPES, metadata: metadataOf(scene) });
    await assertStopped(scene, undefined, { status: 401, reason: "no_credentials", challenge });
    const answer = await send(scene.gateway, { target: new URL(metadataOf(scene)).pathname });
    assert.deepEqual(answer.json().authorization_servers, [provider.issuer]);
    assert.deepEqual(answer.json().scopes_supported, ["read", "write"]);
  });

  test("a wrong token: one that the provider does not know, and one that it did not sign", async () => {
    const unknown = remember(randomBytes(32).toString("base64url"));
    await assertStopped(scene, unknown, unauthorized("token_inactive"));
    const claims = claimsFor(provider.issuer, scene.resource, { scope: SCOPES });
    await assertStopped(
      scene,
      await signToken(claims, await makeKey(), { kid: undefined }),
      unauthorized("token_signature"),
    );
  });
});

describe("JWT Token Verification", OPTIONS, () => {
  let scene;
  let key;
  before(async () => {
    key = await makeKey("RS256");
    scene = await startExample("JWT Token Verification", {
      change: ({ issuers: [issuer] }) => {
        assert.match(issuer.public_key, /^\s*-----BEGIN PUBLIC KEY-----/);
        issuer.public_key = key.pem;
      },
    });
  }, STARTING);
  after(() => scene?.close());

  const now = Math.floor(Date.now() / 1000);
  const good = { iss: ISSUER, sub: "user-42", aud: "mcp-server", iat: now, exp: now + 3600 };
  const pemOf = ({ privateKey }) => privateKey.export({ format: "pem", type: "pkcs8" });
  const sign = async (changes = {}, { signer = key, algorithm = "RS256", header = null } = {}) => {
    const [token] = await signWithPyJwt([[{ ...good, ...changes }, pemOf(signer), algorithm, header]]);
    return token;
  };

  test("user_info says who calls", async () => {
    const token = await sign();
    const { code, stdout, stderr } = await callFromPython(scene.resource, "user_info", {}, { token });
    assert.equal(code, 0, stderr);
    const { request_id, ...said } = JSON.parse(stdout.slice(stdout.indexOf("{")));
    assert.deepEqual(said, { user_id: "user-42", authenticated: true });
    assert.match(`${request_id}`, /^\w+$/);
    assertNoCredentialArrived(scene);
  });

  const REFUSED = {
    "for another audience": [() => sign({ aud: "other-server" }), "token_audience"],
    "for the URL, which `audiences` replaces": [() => sign({ aud: scene.resource }), "token_audience"],
    "for no audience": [() => sign({ aud: undefined }), "token_claim_missing"],
    "of another key": [async () => sign({}, { signer: await makeKey("RS256") }), "token_signature"],
    "with another algorithm": [() => sign({}, { algorithm: "PS256" }), "token_algorithm"],
    "of another issuer": [() => sign({ iss: "https://evil.example" }), "token_issuer"],
    "that is expired": [() => sign({ iat: now - 7200, exp: now - 3600 }), "token_expired"],
    "that never expires": [() => sign({ exp: undefined }), "token_claim_missing"],
    "of no user": [() => sign({ sub: undefined }), "token_claim_missing"],
    "of another type": [() => sign({}, { header: { typ: "secevent+jwt" } }), "token_type"],
    "with HMAC under the public key": [
      () => signToken(good, { alg: "HS256", secret: Buffer.from(key.pem) }, { typ: "JWT", kid: undefined }),
      "token_algorithm",
    ],
    "that says that it is not signed": [
      () => assembleToken({ alg: "none", typ: "JWT" }, good, "none"),
      "token_algorithm",
    ],
    "without a signature": [() => assembleToken({ alg: "none", typ: "JWT" }, good), "token_malformed"],
    "that is no JWT": [() => "valid_user123", "token_malformed"],
  };
  for (const [what, [make, reason]] of Object.entries(REFUSED)) {
    test(`refused: a token ${what}`, async () => {
      const options = { error: "invalid_token", metadata: metadataOf(scene) };
      if (reason === "token_expired") options.message = "The access token has expired.";
      await assertStopped(
        scene,
        await make(),
        { status: 401, reason, challenge: challengeOf(options) },
        "user_info",
      );
    });
  }

  test("refused: no token", async () => {
    const challenge = challengeOf({ metadata: metadataOf(scene) });
    await assertStopped(scene, undefined, { status: 401, reason: "no_credentials", challenge }, "user_info");
  });
});

/** The verifier of the guide, a Worker of its own. */
const VERIFIER = blockOf("js", "Custom Authentication Middleware");

describe("Custom Authentication Middleware", OPTIONS, () => {
  let scene;
  before(async () => {
    scene = await startExample("Custom Authentication Middleware", { workers: { VERIFIER } });
  }, STARTING);
  after(() => scene?.close());

  const unauthorized = (reason, error) => ({
    status: 401,
    reason,
    challenge: challengeOf({ error, scope: "read write", realm: scene.resource }),
  });

  test("secure_operation says which user the verifier found, whose roles arrive too", async () => {
    const options = { token: "valid_user123" };
    const calling = callFromPython(scene.resource, "secure_operation", { operation: "backup" }, options);
    await assertCalled(calling, "User user123 performed: backup");
    assertNoCredentialArrived(scene);
    for (const { headers } of scene.arrived) assert.equal(headers["x-portcullis-roles"], "user");
  });

  test("invalid_user is refused, as is whatever else does not begin as it must", async () => {
    for (const token of ["invalid_user", "Valid_user123", "user123", "eyJhbGciOiJub25lIn0.e30."])
      await assertStopped(scene, token, unauthorized("token_inactive", "invalid_token"), "secure_operation");
    const { code, stdout } = await callFromPython(
      scene.resource,
      "secure_operation",
      { operation: "backup" },
      { token: "invalid_user" },
    );
    assert.notEqual(code, 0);
    assert.doesNotMatch(stdout, /performed/);
  });

  test("valid_ without a name, and no token, are refused", async () => {
    const missing = unauthorized("token_claim_missing", "invalid_token");
    await assertStopped(scene, "valid_", missing, "secure_operation");
    await assertStopped(scene, undefined, unauthorized("no_credentials"), "secure_operation");
  });

  test("/health and /public are open", async () => {
    for (const target of ["/health", "/public"]) {
      const answer = await send(scene.gateway, { target });
      assert.equal(answer.status, 200, target);
      assert.deepEqual(answer.json(), { status: "healthy", path: target });
      assert.equal(scene.arrived.at(-1).headers["x-portcullis-subject"], undefined);
    }
  });

  test("nothing beside them is, and no method that changes something", async () => {
    const before = scene.arrived.length;
    for (const target of [
      ...["/private", "/health/", "/health/x", "/healthx", "/Health", "//health", "/x/../private"],
      ...["/health;x", "/health%2fx", "/public/..%2fprivate", "/public/../mcp", "/sse", "/messages/"],
    ]) {
      const answer = await send(scene.gateway, { target });
      assert.ok([400, 401, 404].includes(answer.status), `${target}: ${answer.status}`);
    }
    for (const method of ["POST", "PUT", "DELETE"])
      assert.equal(
        (await send(scene.gateway, { method, target: "/health", body: "{}" })).status,
        405,
        method,
      );
    assert.equal(scene.arrived.length, before, "nothing reaches the Python server");
  });
});

/** A certificate for `localhost`; `env` makes a Python program trust it. */
async function startTrust() {
  const made = await makeCertificate();
  const folder = await mkdtemp(join(tmpdir(), "portcullis-e2e-"));
  const file = join(folder, "certificate.pem");
  await writeFile(file, made.certificate);
  return { ...made, env: { SSL_CERT_FILE: file }, close: () => rm(folder, { recursive: true, force: true }) };
}

describe("Transport Security Configuration", OPTIONS, () => {
  let trust;
  let key;
  let scene;
  const ALLOWED = ["https://app.example.com", "https://admin.example.com"];
  const tool = "sensitive_data";
  before(async () => {
    [trust, key] = [await startTrust(), await makeKey()];
    const documents = {
      [`${ISSUER}/.well-known/oauth-authorization-server`]: { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` },
      [`${ISSUER}/jwks`]: { keys: [key.jwk] },
    };
    const answer = (url) => documents[url] && Response.json(documents[url]);
    scene = await startExample("Transport Security Configuration", { https: trust, answer });
  }, STARTING);
  after(() => Promise.all([scene?.close(), trust?.close()]));

  const tokenOf = () => signToken(claimsFor(ISSUER, scene.resource), key);
  const post = async (more = {}, from = { gateway: scene.gateway, ...trust }) => {
    const { fields, ...message } = messageOf(tool);
    const credential = { Authorization: `Bearer ${await tokenOf()}` };
    return sendSecurely(from, { ...message, fields: { ...fields, ...credential, ...more } });
  };
  const stopped = async (answer, expected) => {
    await assertRefused(scene.gateway, answer, expected);
    assert.equal(scene.arrived.length, 0, "nothing reaches the Python server");
  };

  test("a web page of another origin is refused", async () => {
    for (const origin of [
      ...["https://evil.example", "http://app.example.com", "https://app.example.com:8443", "null"],
      ...["https://app.example.com.evil.example", "https://evil.app.example.com", "https://localhost"],
    ]) {
      const answer = await post({ Origin: origin });
      await stopped(answer, { status: 403, reason: "foreign_origin", resource: "/mcp" });
      assert.equal(answer.fields["access-control-allow-origin"], undefined, origin);
    }
  });

  test("a name that is not the gateway's is refused (DNS rebinding)", async () => {
    for (const host of ["evil.example", `127.0.0.1:${scene.gateway.port}`, "localhost"])
      await stopped(await post({ Host: host }), { status: 403, reason: "foreign_host" });
  });

  test("plain HTTP is refused, with a good token too", async () => {
    const { fields, ...message } = messageOf(tool);
    const host = { Host: `localhost:${scene.gateway.port}` };
    for (const credential of [{}, { Authorization: `Bearer ${await tokenOf()}` }]) {
      const answer = await send(scene.gateway, { ...message, fields: { ...fields, ...host, ...credential } });
      await stopped(answer, { status: 403, reason: "https_required" });
    }
  });

  test("HTTPS without a token is refused, because this gateway has no server without one", async () => {
    const challenge = challengeOf({ metadata: metadataOf(scene) });
    const answer = await post({ Authorization: "" });
    await stopped(answer, { status: 401, reason: "no_credentials", challenge, resource: "/mcp" });
    assert.match(answer.fields["strict-transport-security"], /^max-age=\d+/);
  });

  test("the two web origins pass, and their preflights", async () => {
    for (const origin of ALLOWED) {
      const preflight = await sendSecurely(
        { gateway: scene.gateway, ...trust },
        {
          method: "OPTIONS",
          fields: {
            Origin: origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
          },
        },
      );
      assert.equal(preflight.status, 204);
      assert.equal(preflight.fields["access-control-allow-origin"], origin);
      const answer = await post({ Origin: origin });
      assert.equal((await lineOf(scene.gateway, answer)).decision, "allow");
      assert.equal(answer.fields["access-control-allow-origin"], origin);
    }
    assert.equal(scene.arrived.length, ALLOWED.length);
    // The server gets no `Origin`: its own check of web origins would reject the page.
    for (const { headers } of scene.arrived) assert.ok(!("origin" in headers));
  });

  test("sensitive_data answers a Python client over HTTPS", async () => {
    const options = { token: await tokenOf(), env: trust.env };
    const { code, stdout, stderr } = await callFromPython(scene.resource, tool, {}, options);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout.slice(stdout.indexOf("{"))), {
      data: "sensitive information",
      security: "protected by transport security",
    });
    assertNoCredentialArrived(scene);
  });

  test("which does not trust a gateway whose certificate it does not know", async () => {
    const arrived = scene.arrived.length;
    const { code, stderr } = await callFromPython(scene.resource, tool, {}, { token: await tokenOf() });
    assert.notEqual(code, 0);
    assert.match(stderr, /certificate/i);
    assert.equal(scene.arrived.length, arrived);
  });
});

/** The client of the example, which prints what the tool answers. */
const CLIENT = `
import asyncio, sys
from mcp.client.session import ClientSession
from mcp.client.sse import sse_client

class ClientAuth:
    def __init__(self, token: str):
        self.token = token

    async def get_headers(self) -> dict[str, str]:
        return {"Authorization": "Bearer " + self.token}

async def authenticated_client(url, token):
    headers = await ClientAuth(token=token).get_headers()
    async with sse_client(url, headers=headers) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            result = await session.call_tool("secure_operation", {"operation": "data_processing"})
            print(result.content[0].text)

asyncio.run(authenticated_client(*sys.argv[1:]))
`;

describe("Client-Side Authentication", OPTIONS, () => {
  let trust;
  let scene;
  before(async () => {
    trust = await startTrust();
    scene = await startExample("Client-Side Authentication", {
      ...{ transport: "sse", https: trust, workers: { VERIFIER }, secrets: { SESSION_SECRET: SECRET } },
    });
  }, STARTING);
  after(() => Promise.all([scene?.close(), trust?.close()]));

  const bearer = (token) => ({ Authorization: `Bearer ${token}` });

  test("a Python client with ClientAuth calls secure_operation over the transport of 2024-11-05", async () => {
    const { code, stdout, stderr } = await runPython(CLIENT, [scene.resource, "valid_user123"], trust.env);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "User user123 performed: data_processing\n");
    assertNoCredentialArrived(scene);
    const [{ method, url }, ...posts] = scene.arrived;
    assert.deepEqual([method, url], ["GET", "/sse"]);
    assert.ok(posts.length >= 3);
    for (const post of posts)
      assert.match(`${post.method} ${post.url}`, /^POST \/messages\/\?session_id=[0-9a-f]+$/);
  });

  for (const [what, token] of [
    ["a credential that the verifier does not accept", "invalid_user"],
    ["a credential without a user", "valid_"],
  ]) {
    test(`it gets nothing with ${what}`, async () => {
      const before = scene.arrived.length;
      const { code, stdout, stderr } = await runPython(CLIENT, [scene.resource, token], trust.env);
      assert.notEqual(code, 0);
      assert.match(stderr, /401/);
      assert.equal(stdout, "");
      assert.equal(scene.arrived.length, before, "nothing reaches the Python server");
    });
  }

  test("neither without one, nor over plain HTTP, nor at the server's own paths", async () => {
    const before = scene.arrived.length;
    const from = { gateway: scene.gateway, ...trust };
    const without = await sendSecurely(from);
    assert.equal(without.status, 401);
    const host = { Host: `localhost:${scene.gateway.port}` };
    const plain = await send(scene.gateway, { fields: { ...host, ...bearer("valid_user123") } });
    await assertRefused(scene.gateway, plain, { status: 403, reason: "https_required" });
    for (const target of ["/sse", "/messages/", "/messages/?session_id=0"]) {
      const answer = await sendSecurely(from, { target, fields: bearer("valid_user123") });
      assert.equal(answer.status, 404, target);
    }
    assert.equal(scene.arrived.length, before, "nothing reaches the Python server");
  });

  test("the address for messages is of the caller who got it", async () => {
    const from = { gateway: scene.gateway, ...trust };
    const fields = { Accept: "text/event-stream", ...bearer("valid_user123") };
    const stream = await sendSecurely(from, { fields, read: false });
    try {
      assert.equal(stream.statusCode, 200);
      let text = "";
      for await (const bytes of stream.iterator({ destroyOnReturn: false })) {
        text += bytes;
        if (/^data: .*\r?\n/m.test(text)) break;
      }
      const address = new URL(text.match(/^event: endpoint\r?\ndata: (.*?)\r?$/m)[1], scene.resource);
      assert.equal(`${address.origin}${address.pathname}`, scene.resource);
      const before = scene.arrived.length;
      const post = (token) =>
        sendSecurely(from, {
          ...{ method: "POST", target: `${address.pathname}${address.search}` },
          fields: { "Content-Type": "application/json", ...(token && bearer(token)) },
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
        });
      assert.equal((await post("valid_eve")).status, 404);
      assert.equal((await post("invalid_user")).status, 401);
      assert.equal((await post()).status, 401);
      assert.equal(scene.arrived.length, before, "nothing reaches the Python server");
      assert.equal((await post("valid_user123")).status, 202);
      assert.equal(scene.arrived.length, before + 1);
    } finally {
      stream.destroy();
    }
  });
});

/** Every class of the page with the examples, and the parameters of its `__init__`. */
const CLASSES = {
  AuthSettings: [
    "client_id",
    "client_secret",
    "authorization_endpoint",
    "token_endpoint",
    "scopes",
    "**kwargs",
  ],
  ClientRegistrationOptions: ["registration_endpoint", "client_name", "redirect_uris", "**kwargs"],
  RevocationOptions: ["revocation_endpoint", "revocation_endpoint_auth_method", "**kwargs"],
  TokenVerifier: ["verify_token"],
  ProviderTokenVerifier: ["auth_settings", "jwks_url", "**kwargs"],
  JWTTokenVerifier: ["public_key", "algorithm", "audience", "**kwargs"],
  BearerAuthBackend: ["token_verifier", "scheme_name", "**kwargs", "authenticate"],
  RequireAuthMiddleware: ["auth_backend", "excluded_paths", "**kwargs"],
  AuthContextMiddleware: ["**kwargs", "ctx.user_id", "ctx.request_id"],
  TransportSecuritySettings: ["dns_rebinding_protection", "allowed_origins", "require_https", "**kwargs"],
  FastMCP: [
    ...["auth_server_provider", "token_verifier", "transport_security", "add_middleware", "@app.get"],
    ...["run_sse", "ssl_certfile", "ssl_keyfile"],
  ],
  ClientAuth: ["token", "get_headers", "sse_client", "ClientSession"],
};

describe("docs/from-python.md", () => {
  for (const [name, parameters] of Object.entries(CLASSES)) {
    test(`has ${name} and what it takes, each in a row of its own table`, () => {
      const table = GUIDE.split(/^#{2,3} /m).find((text) => text.startsWith(`${name}\n`));
      assert.ok(table, `there is no section ${name}`);
      const rows = [...table.matchAll(/^\| (.*?) \| (.+) \|$/gm)].slice(1);
      for (const parameter of parameters) {
        const row = rows.find(([, first]) =>
          [...first.matchAll(/`([^`]+)`/g)].some(([, code]) => code.split(/[(=]/)[0] === parameter),
        );
        assert.ok(row?.[2], `${name}: no row for ${parameter}`);
      }
    });
  }

  test("names only keys that the configuration has", () => {
    const reference = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
    const known = new Set([...reference.matchAll(/^- \*\*`(\w+)`\*\*/gm)].map(([, key]) => key));
    const cells = [...GUIDE.matchAll(/^\| .*? \| (.+) \|$/gm)].map(([, cell]) => cell);
    const paths = cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+(?:(?:\[\])?\.[a-z_]+)+)`/g)]);
    assert.ok(paths.length >= 10, `${paths.length}`);
    for (const [, path] of paths)
      for (const key of path.split(/(?:\[\])?\./)) assert.ok(known.has(key), path);
  });
});
