/** The examples for servers behind the gate, run as they stand, behind it and past it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { build } from "esbuild";
import { calculateJwkThumbprint } from "jose";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { at, QUIET, requirements, whoami } from "./support/examples.mjs";
import { eventually, send } from "./support/http.mjs";
import { assembleToken, makeKey, signToken } from "./support/issuer.mjs";
import { freePort, startProcess } from "./support/processes.mjs";
import { noPython, python } from "./support/python.mjs";
import { startScene } from "./support/scene.mjs";

/** The fields that go with a call of `whoami`. */
const MESSAGE = {
  "Content-Type": "application/json",
  Accept: "application/json, text/event-stream",
  "MCP-Protocol-Version": "2026-07-28",
  "Mcp-Method": "tools/call",
  "Mcp-Name": "whoami",
};

const SERVERS = {
  Python: {
    skip: noPython,
    command: async () => [
      await python(requirements("servers/python/requirements.txt")),
      at("servers/python/server.py"),
    ],
  },
  TypeScript: { skip: false, command: async () => ["node", at("servers/typescript/server.mjs")] },
};

/**
 * Starts a server with a gateway in front of it. `table` is added to the table `identity_assertion`, `more` to the environment of the
 * server.
 */
async function startBehindGateway(command, { table, more } = {}) {
  const [file, ...args] = await command();
  const key = await makeKey("ES256");
  key.kid = await calculateJwkThumbprint(key.jwk);
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}/mcp`;
  const scene = await startScene({
    origin,
    secrets: { ASSERTION: JSON.stringify(key.privateJwk) },
    changes: ({ idp }) => ({
      identity_assertion: { key_secrets: ["ASSERTION"], ...table },
      issuers: [{ name: "idp", issuer: idp.issuer }],
    }),
  });
  const env = { GATE: scene.gateway.url, ORIGIN: origin, PORT: String(port), ...more, ...QUIET };
  const program = startProcess(file, args, { env });
  const answers = async () => (await fetch(origin).catch(() => undefined))?.status === 401;
  await eventually("the server answers", answers, 60_000).catch((error) => {
    throw new Error(`${error.message}\n${program.tail()}`);
  });
  return { scene, key, program, origin };
}

for (const [name, { skip, command }] of Object.entries(SERVERS)) {
  describe(`a ${name} server behind the gate`, { skip, timeout: 500_000 }, () => {
    let scene;
    let key;
    let program;
    let origin;
    before(
      async () => {
        ({ scene, key, program, origin } = await startBehindGateway(command));
      },
      { timeout: 420_000 },
    );
    after(() => Promise.all([scene?.close(), program?.stop()]), { timeout: 20_000 });

    for (const mode of ["auto", "legacy"]) {
      test(`is told who calls, by the gate: ${mode}`, async () => {
        for (const sub of ["ada", "Zoë 100%"]) {
          const token = await scene.token({ claims: { sub } });
          const said = await whoami(scene.resourceUrl, mode, {
            headers: { Authorization: `Bearer ${token}` },
          });
          assert.deepEqual(JSON.parse(said), {
            subject: sub,
            issuer: scene.idp.issuer,
            client: "test-client",
            scopes: "mcp:tools",
          });
        }
      });
    }

    const now = () => Math.floor(Date.now() / 1000);
    /** What the gate would sign; `claims`, `header` and `signer` say what is different. */
    const assertion = ({ claims, header, signer = key } = {}) =>
      signToken(
        {
          ...{ iss: scene.gateway.url, aud: origin, sub: "ada", subject_issuer: scene.idp.issuer },
          ...{ iat: now(), exp: now() + 60, scope: "mcp:tools", client_id: "test-client", jti: "1" },
          ...claims,
        },
        { ...key, ...signer, kid: key.kid },
        { typ: "portcullis-assertion+jwt", ...header },
      );
    const body = JSON.stringify({
      ...{ jsonrpc: "2.0", id: 1, method: "tools/call" },
      params: {
        name: "whoami",
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    });
    /** A call past the gate. */
    const past = async (value, more = []) => {
      const fields = [
        ...Object.entries(MESSAGE),
        ...(value === undefined ? [] : [["X-Portcullis-Assertion", value]]),
        ...more,
      ];
      const response = await fetch(origin, { method: "POST", headers: fields, body });
      return { status: response.status, text: await response.text() };
    };

    test("takes what is right in everything, so that what follows is refused for its one fault", async () => {
      const { status, text } = await past(await assertion());
      assert.equal(status, 200, text);
      assert.match(text, /ada/);
    });

    test("compares an assertion that names what the request asks for", async () => {
      const named = { mcp_method: "tools/call", mcp_name: "whoami" };
      const { status, text } = await past(await assertion({ claims: { ...named, arguments_sha256: "x" } }));
      assert.equal(status, 401, text);
      assert.deepEqual(JSON.parse(text), { error: "not what the gateway has signed" });
    });

    const FAULTS = {
      expired: () => assertion({ claims: { iat: now() - 120, exp: now() - 60 } }),
      "without an end": () => assertion({ claims: { exp: undefined } }),
      "not good yet": () => assertion({ claims: { nbf: now() + 300 } }),
      "for another server": () => assertion({ claims: { aud: "http://127.0.0.1:1/mcp" } }),
      "for nobody": () => assertion({ claims: { aud: undefined } }),
      "of another gate": () => assertion({ claims: { iss: "http://127.0.0.1:1" } }),
      "of nobody": () => assertion({ claims: { iss: undefined } }),
      "without a subject": () => assertion({ claims: { sub: undefined } }),
      "without the subject's issuer": () => assertion({ claims: { subject_issuer: undefined } }),
      "of another type": () => assertion({ header: { typ: "at+jwt" } }),
      "of no type": () => assertion({ header: { typ: undefined } }),
      "signed with another key": async () => assertion({ signer: await makeKey("ES256") }),
      "signed with a key that is not published": () => assertion({ header: { kid: "unknown" } }),
      "with an algorithm that is not the key's": async () => assertion({ signer: await makeKey("EdDSA") }),
      "signed with RSA": async () => assertion({ signer: await makeKey("RS256") }),
      "signed with nothing": async () => {
        const [, payload] = (await assertion()).split(".");
        const header = { alg: "none", kid: key.kid, typ: "portcullis-assertion+jwt" };
        return assembleToken(header, Buffer.from(payload, "base64url").toString());
      },
      "with HMAC under the public key": async () => {
        const secret = Buffer.from(JSON.stringify(key.jwk));
        return assertion({ signer: { alg: "HS256", secret } });
      },
      changed: async () => {
        const [head, , signature] = (await assertion()).split(".");
        const [, other] = (await assertion({ claims: { sub: "root" } })).split(".");
        return `${head}.${other}.${signature}`;
      },
      "no JWT": async () => "ada",
      empty: async () => "",
    };
    for (const [fault, make] of Object.entries(FAULTS)) {
      test(`refuses an assertion that is ${fault}`, async () => {
        const { status, text } = await past(await make());
        assert.equal(status, 401, text);
        assert.deepEqual(JSON.parse(text), { error: "not from the gateway" });
      });
    }

    test("refuses whoever comes past the gate without one, or with two, or with a token", async () => {
      assert.equal((await past(undefined)).status, 401);
      assert.equal((await past(undefined, [["X-Portcullis-Subject", "ada"]])).status, 401);
      const token = await scene.token();
      assert.equal((await past(undefined, [["Authorization", `Bearer ${token}`]])).status, 401);
      assert.equal((await fetch(origin)).status, 401);
      // By hand: `fetch` would make one field of two.
      const { port } = new URL(origin);
      const two = await Promise.all([assertion(), assertion()]);
      const fields = two.map((value) => ["X-Portcullis-Assertion", value]);
      const byHand = (some) =>
        send(
          { port, directPort: port },
          { method: "POST", fields: [...some, ["Content-Type", "text/plain"]], body },
        );
      assert.equal((await byHand(fields)).status, 401);
      assert.notEqual((await byHand(fields.slice(1))).status, 401);
    });

    test("asked the gate for its keys once, and perhaps again for a key that it did not know", () => {
      const asked = scene.gateway.events().filter(({ reason }) => reason === "public_document").length;
      assert.ok(asked === 1 || asked === 2, `${asked} times`);
    });

    test("answers by the public name that a tunnel has for it, and by no other", async () => {
      const [file, ...args] = await command();
      const [port, aud] = [await freePort(), "https://tools.acme.example/mcp"];
      const env = { GATE: scene.gateway.url, ORIGIN: aud, PORT: String(port), ...QUIET };
      const behind = startProcess(file, args, { env });
      try {
        await eventually(
          "the server answers",
          () => fetch(`http://127.0.0.1:${port}/`).catch(() => undefined),
          60_000,
        );
        const call = async (host) => {
          const fields = {
            ...MESSAGE,
            Host: host,
            "X-Portcullis-Assertion": await assertion({ claims: { aud } }),
          };
          return send({ port, directPort: port }, { method: "POST", fields, body });
        };
        const answer = await call("tools.acme.example");
        assert.equal(answer.status, 200, answer.body);
        const other = await call("elsewhere.example");
        assert.ok([403, 421].includes(other.status), `${other.status}`);
      } finally {
        await behind.stop();
      }
    });
  });

  describe(`a ${name} server that requires the operation in the assertion`, {
    skip,
    timeout: 500_000,
  }, () => {
    let scene;
    let program;
    let origin;
    before(
      async () => {
        let key;
        const required = { table: { operation: true }, more: { OPERATION: "required" } };
        ({ scene, key, program, origin } = await startBehindGateway(command, required));
        scene.sign = (claims) => {
          const now = Math.floor(Date.now() / 1000);
          const times = { iat: now, exp: now + 60 };
          const about = { iss: scene.gateway.url, aud: origin, sub: "ada", subject_issuer: "x", jti: "1" };
          return signToken({ ...about, ...times, ...claims }, key, { typ: "portcullis-assertion+jwt" });
        };
      },
      { timeout: 420_000 },
    );
    after(() => Promise.all([scene?.close(), program?.stop()]), { timeout: 20_000 });

    for (const mode of ["auto", "legacy"]) {
      test(`serves what comes through the gateway: ${mode}`, async () => {
        const headers = { Authorization: `Bearer ${await scene.token()}` };
        assert.equal(JSON.parse(await whoami(scene.resourceUrl, mode, { headers })).subject, "ada");
      });
    }

    // Of RFC 8785: the order of the names, the form of the numbers, the escapes of the strings.
    const ARGUMENTS =
      '{"\\u20ac":1,"\\r":[4.50,2e-3,1e-27,9007199254740991],"\\ufb33":"\\u000f\\n\\/","\\ud83d\\ude00":-0.0}';
    const call = (text, name = "whoami") =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":${text},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`;
    const past = async (claims, body) => {
      const headers = { ...MESSAGE, "X-Portcullis-Assertion": await scene.sign(claims) };
      const response = await fetch(origin, { method: "POST", headers, body });
      return { status: response.status, text: await response.text() };
    };

    test("computes the digest of any arguments as the gateway does", async () => {
      const token = await scene.token();
      const fields = { ...MESSAGE, Authorization: `Bearer ${token}` };
      const answer = await send(scene.gateway, { method: "POST", fields, body: call(ARGUMENTS) });
      assert.equal(answer.status, 200, answer.body);
      assert.match(answer.body, /subject/);
      // A member that is repeated has no canonical form.
      const deep = `{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
      for (const text of ['{"a":{"b":1,"b":2}}', '{"n":1e400}', '{"n":1234567890123456789}', deep]) {
        const refused = await send(scene.gateway, { method: "POST", fields, body: call(text) });
        assert.equal(refused.status, 502, `${text.slice(0, 40)}: ${refused.body}`);
      }
      const after = await send(scene.gateway, { method: "POST", fields, body: call("{}") });
      assert.equal(after.status, 200, "the server still runs");
    });

    const EMPTY = "RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o";
    const SIGNED = { mcp_method: "tools/call", mcp_name: "whoami", arguments_sha256: EMPTY };

    test("takes what is right in everything", async () => {
      const { status, text } = await past(SIGNED, call("{}"));
      assert.equal(status, 200, text);
    });

    const FAULTS = {
      "about nothing": [{}, call("{}")],
      "about another method": [{ ...SIGNED, mcp_method: "prompts/get" }, call("{}")],
      "about another tool": [{ ...SIGNED, mcp_name: "other" }, call("{}")],
      "about no tool": [{ ...SIGNED, mcp_name: undefined }, call("{}")],
      "about other arguments": [SIGNED, call('{"a":1}')],
      "about no arguments": [{ ...SIGNED, arguments_sha256: undefined }, call("{}")],
      "about one call, with a batch": [SIGNED, `[${call("{}")}]`],
      "about a call, with a response": [SIGNED, '{"jsonrpc":"2.0","id":1,"result":{}}'],
    };
    for (const [fault, [claims, body]] of Object.entries(FAULTS)) {
      test(`refuses an assertion ${fault}`, async () => {
        const { status, text } = await past(claims, body);
        assert.equal(status, 401, text);
        assert.deepEqual(JSON.parse(text), { error: "not what the gateway has signed" });
      });
    }
  });

  test(`a ${name} server whose gate's keys cannot be had lets nobody in`, {
    skip,
    timeout: 420_000,
  }, async () => {
    const [file, ...args] = await command();
    const [port, nowhere] = [await freePort(), await freePort()];
    const origin = `http://127.0.0.1:${port}/mcp`;
    const env = { GATE: `http://127.0.0.1:${nowhere}`, ORIGIN: origin, PORT: String(port), ...QUIET };
    const program = startProcess(file, args, { env });
    try {
      await eventually("the server answers", () => fetch(origin).catch(() => undefined), 60_000);
      const signer = await makeKey("ES256");
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss: env.GATE, aud: origin, sub: "ada", subject_issuer: "x", iat: now, exp: now + 60 };
      const value = await signToken(claims, signer, { typ: "portcullis-assertion+jwt" });
      const response = await fetch(origin, { method: "POST", headers: { "X-Portcullis-Assertion": value } });
      assert.equal(response.status, 503);
    } finally {
      await program.stop();
    }
  });
}

describe("a Worker behind a service binding", { timeout: 60_000 }, () => {
  let worker;
  let scene;
  before(
    async () => {
      const { outputFiles } = await build({
        entryPoints: [at("servers/worker/server.mjs")],
        ...{ bundle: true, write: false, format: "esm", conditions: ["workerd", "worker", "browser"] },
      });
      worker = new Miniflare(
        convertV4MiniflareOptions({
          modules: [{ type: "ESModule", path: "server.mjs", contents: outputFiles[0].text }],
          compatibilityDate: "2026-11-01",
        }),
      );
      await worker.ready;
      scene = await startScene({
        services: { TOOLS: (request) => worker.dispatchFetch(request.url, request) },
        changes: ({ idp }) => ({
          issuers: [{ name: "idp", issuer: idp.issuer }],
          resources: [{ path: "/mcp", service: "TOOLS", issuers: ["idp"], scopes: ["mcp:tools"] }],
        }),
      });
    },
    { timeout: 60_000 },
  );
  after(() => Promise.all([scene?.close(), worker?.dispose()]), { timeout: 20_000 });

  for (const mode of ["auto", "legacy"]) {
    test(`is told who calls: ${mode}`, async () => {
      const token = await scene.token({ claims: { sub: "Zoë 100%" } });
      const said = await whoami(scene.resourceUrl, mode, { headers: { Authorization: `Bearer ${token}` } });
      const { issuer } = scene.idp;
      assert.deepEqual(JSON.parse(said), {
        ...{ subject: "Zoë 100%", issuer, client: "test-client", scopes: "mcp:tools" },
      });
    });
  }

  test("answers nobody else", async () => {
    const response = await worker.dispatchFetch("https://my-tools.example/mcp", {
      method: "POST",
      body: "{}",
    });
    assert.equal(response.status, 401);
    await response.text();
  });
});
