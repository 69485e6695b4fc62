/**
 * The examples for clients and for servers behind the gate, run as they stand: real programs, a real identity provider,
 * and the gateway between them.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { build } from "esbuild";
import { calculateJwkThumbprint } from "jose";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { startOrigin } from "../../examples/origin/server.mjs";
import { makeApiKey } from "./support/api-key.mjs";
import { startFleet } from "./support/fleet.mjs";
import { configFor, startGateway } from "./support/gateway.mjs";
import { eventually, send } from "./support/http.mjs";
import { assembleToken, makeKey, signToken } from "./support/issuer.mjs";
import { startLogin } from "./support/login.mjs";
import { BIN, freePort, ROOT, startProcess, within } from "./support/processes.mjs";
import { noPython, python } from "./support/python.mjs";
import { startScene } from "./support/scene.mjs";
import { remember } from "./support/secrets.mjs";
import { authorizeHeadlessly, getToken } from "./support/token.mjs";

const noCurl =
  spawnSync("curl", ["--version"]).status === 0 ? false : "needs curl (Debian: apt install curl)";

const at = (path) => join(ROOT, "examples", path);
const read = (path) => readFileSync(at(path), "utf8");
const requirements = (path) => read(path).trim().split("\n");

/** Nothing is left in the tree. */
const QUIET = { PYTHONDONTWRITEBYTECODE: "1" };

/** Runs an example to its end; the browser's part is done for it, as often as it asks. */
async function run([command, ...args], env = {}) {
  const program = startProcess(command, args, { env: { MCP_TOKEN: "", ...QUIET, ...env } });
  const logins = [];
  const pages = /Open this page to sign in:\n(\S+)\n/g;
  const browse = async () => {
    for (;;) {
      const page = await program.until(
        "a page to sign in",
        ({ stderr }) => [...stderr.matchAll(pages)][logins.length]?.[1],
        60_000,
      );
      logins.push(new URL(page).searchParams);
      await authorizeHeadlessly(page, { requestCallback: true });
    }
  };
  const browsing = browse().catch((error) => error);
  try {
    const { code } = await within(90_000, "the example", program.exited, program.tail);
    const failure = await browsing;
    if (!/the program has ended/.test(failure.message)) throw failure;
    return { code, logins, ...program.output };
  } finally {
    await program.stop();
  }
}

/** The JSON of the last line that is some. */
const lastJson = (text) =>
  JSON.parse(
    text
      .trim()
      .split("\n")
      .findLast((line) => line.startsWith("{")),
  );

const CLIENTS = {
  Python: {
    skip: noPython,
    command: async () => [
      await python(requirements("clients/python/requirements.txt")),
      at("clients/python/call.py"),
    ],
  },
  TypeScript: { skip: false, command: async () => ["node", at("clients/typescript/call.mjs")] },
};

describe("clients, with a token or a key", { timeout: 400_000 }, () => {
  const running = [];
  const keep = async (starting) => running.at(running.push(await starting) - 1);
  const apiKey = makeApiKey({ scopes: ["mcp:tools"] });
  let idp;
  let url;
  let token;
  before(
    async () => {
      idp = await keep(startIdentityProvider({ autoLogin: true }));
      const origin = await keep(startOrigin());
      const config = (gateway) =>
        configFor({
          url: gateway,
          issuer: idp.issuer,
          origin: origin.url,
          resource: {
            api_keys: ["pk"],
            rules: [{ effect: "step_up", tools: ["add"], scopes: ["files:write"] }, { effect: "allow" }],
          },
          api_keys: [{ prefix: "pk", keys: [apiKey.record] }],
        });
      url = `${(await keep(startGateway({ config }))).url}/mcp`;
      token = await getToken(idp, { resource: url });
      remember(apiKey.key);
    },
    { timeout: 60_000 },
  );
  after(() => Promise.allSettled(running.reverse().map((thing) => thing.close())), { timeout: 20_000 });

  for (const [name, { skip, command }] of Object.entries(CLIENTS)) {
    describe(name, { skip, timeout: 400_000 }, () => {
      let program;
      before(
        async () => {
          program = await command();
        },
        { timeout: 360_000 },
      );

      test("calls a tool with an access token, and with an API key", async () => {
        for (const [credential, subject] of [
          [token, "demo-machine"],
          [apiKey.key, undefined],
        ]) {
          const { code, stdout, stderr } = await run([...program, url, "whoami"], { MCP_TOKEN: credential });
          assert.equal(code, 0, stderr);
          assert.match(stdout, /^Tools: whoami, /);
          const caller = lastJson(stdout);
          assert.deepEqual(caller.scopes, ["mcp:tools"]);
          if (subject) assert.equal(caller.subject, subject);
          assert.ok(!`${stdout}${stderr}`.includes(credential), "it shows no credential");
        }
      });

      test("says in one line why it was refused", async () => {
        const bad = await run([...program, url], { MCP_TOKEN: `${token}x` });
        assert.equal(bad.code, 1);
        assert.match(bad.stderr, /^\S+Error: [^\n]*(not accepted|401)[^\n]*\n?$/);
        const small = await run([...program, url, "add", '{"a": 19, "b": 23}'], { MCP_TOKEN: token });
        assert.equal(small.code, 1);
        assert.match(small.stderr, /^\S+Error: [^\n]*(lacks a scope|403|insufficient)[^\n]*\n?$/i);
      });

      test("signs in, at a provider where it registers", async () => {
        const { code, stdout, stderr, logins } = await run([...program, url, "whoami"]);
        assert.equal(code, 0, stderr);
        assert.equal(lastJson(stdout).subject, "ada");
        assert.equal(logins.length, 1);
        assert.equal(logins[0].get("code_challenge_method"), "S256");
        assert.equal(logins[0].get("resource"), url);
        assert.match(logins[0].get("redirect_uri"), /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
      });
    });
  }

  for (const version of ["2026-07-28", "2025-11-25"]) {
    test(`curl.sh speaks ${version}`, { skip: noCurl }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "portcullis-curl-"));
      try {
        // What anybody on the machine could read of a running curl.
        const list = join(folder, "arguments");
        const real = spawnSync("sh", ["-c", "command -v curl"], { encoding: "utf8" }).stdout.trim();
        writeFileSync(
          join(folder, "curl"),
          `#!/bin/sh\nprintf '%s\\n' "$*" >>'${list}'\nexec '${real}' "$@"\n`,
        );
        chmodSync(join(folder, "curl"), 0o755);
        const { code, stdout, stderr } = await run(["sh", at("clients/curl.sh"), url, "whoami"], {
          PATH: `${folder}:${process.env.PATH}`,
          MCP_TOKEN: token,
          MCP_VERSION: version,
        });
        assert.equal(code, 0, stderr);
        const answers = stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line));
        const { tools } = answers.at(-2).result;
        assert.ok(tools.some((tool) => tool.name === "whoami"));
        assert.equal(JSON.parse(answers.at(-1).result.content[0].text).subject, "demo-machine");
        if (version < "2026") assert.equal(answers[0].result.protocolVersion, version);
        assert.equal(answers.length, version < "2026" ? 3 : 2);
        const calls = readFileSync(list, "utf8");
        assert.match(calls, /tools\/call/);
        assert.ok(!calls.includes(token), "the token is on no command line");
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }

  test("curl.sh shows what a refusal asks for", { skip: noCurl }, async () => {
    const call = (env, ...args) => run(["sh", at("clients/curl.sh"), url, ...args], env);
    const small = await call({ MCP_TOKEN: token }, "add", '{"a": 19, "b": 23}');
    assert.equal(small.code, 1);
    assert.match(small.stderr, /^HTTP\/1\.1 403 /m);
    assert.match(
      small.stderr,
      /^www-authenticate: .*error="insufficient_scope".*scope="files:write mcp:tools"/im,
    );
    const bad = await call({ MCP_TOKEN: "wrong" });
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /^www-authenticate: .*error="invalid_token".*resource_metadata="/im);
    const none = await call({});
    assert.notEqual(none.code, 0);
    assert.match(none.stderr, /MCP_TOKEN: holds no access token or API key/);
  });

  test("the files of settings with headers open the gate", async () => {
    const texts = [
      "clients/headers/.mcp.json",
      "clients/headers/.vscode/mcp.json",
      "clients/headers/.cursor/mcp.json",
    ];
    for (const text of texts.map(read)) {
      const { servers, mcpServers = servers } = JSON.parse(text);
      const [{ headers }] = Object.values(mcpServers);
      const filled = Object.entries(headers).map(([name, value]) => [
        name,
        value.replace(/\$\{[^}]+\}/, token),
      ]);
      const requestInit = { headers: Object.fromEntries(filled) };
      assert.equal(JSON.parse(await whoami(url, "auto", requestInit)).subject, "demo-machine");
    }
  });

  test("the settings for clients of local servers alone open it too", async () => {
    const folder = mkdtempSync(join(tmpdir(), "portcullis-remote-"));
    const [{ command, args }] = Object.values(
      JSON.parse(read("clients/headers/claude_desktop_config.json")).mcpServers,
    );
    assert.equal(command, "npx");
    assert.deepEqual(args.slice(2, 3), ["--header-file"]);
    const file = join(folder, "headers");
    writeFileSync(file, `Authorization: Bearer ${token}\n`, { mode: 0o600 });
    const program = startProcess(join(BIN, args[0]), [url, "--header-file", file, "--allow-http"], {
      stdin: "pipe",
      env: { HOME: folder, MCP_REMOTE_CONFIG_DIR: folder },
    });
    const ask = (message) => program.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    const answer = (id) =>
      program.until(`answer ${id}`, ({ stdout }) =>
        stdout
          .split("\n")
          .filter((line) => line.startsWith("{") && line.endsWith("}"))
          .map((line) => JSON.parse(line))
          .find((message) => message.id === id),
      );
    try {
      const clientInfo = { name: "e2e", version: "1" };
      ask({
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo },
      });
      await answer(1);
      ask({ method: "notifications/initialized" });
      ask({ id: 2, method: "tools/call", params: { name: "whoami", arguments: {} } });
      const { result } = await answer(2);
      assert.equal(JSON.parse(result.content[0].text).subject, "demo-machine");
    } finally {
      await program.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** What the tool of that name says to a client of the SDK. */
async function whoami(url, mode, requestInit) {
  const client = new Client({ name: "e2e", version: "1.0.0" }, { versionNegotiation: { mode } });
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    const { content, isError } = await client.callTool({ name: "whoami", arguments: {} });
    assert.notEqual(isError, true, content[0].text);
    return content[0].text;
  } finally {
    await client.close();
  }
}

describe("clients, at the gate as authorization server", { timeout: 400_000 }, () => {
  let scene;
  before(
    async () => {
      scene = await startLogin({
        server: { scopes: { "mcp:tools": "Use the tools", "files:write": "Change files" } },
        resource: {
          rules: [{ effect: "step_up", tools: ["add"], scopes: ["files:write"] }, { effect: "allow" }],
        },
      });
    },
    { timeout: 60_000 },
  );
  after(() => scene?.close(), { timeout: 20_000 });

  for (const [name, { skip, command }] of Object.entries(CLIENTS)) {
    test(`${name} signs in, and again for a tool that asks for more`, {
      skip,
      timeout: 360_000,
    }, async () => {
      const { code, stdout, stderr, logins } = await run([
        ...(await command()),
        ...[scene.resource, "add", '{"a": 19, "b": 23}'],
      ]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^42$/m);
      assert.equal(logins.length, 2, "once to get in, once for the step-up");
      assert.ok(!logins[0].get("scope").split(" ").includes("files:write"));
      assert.ok(logins[1].get("scope").split(" ").includes("files:write"));
    });
  }
});

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

for (const [name, { skip, command }] of Object.entries(SERVERS)) {
  describe(`a ${name} server behind the gate`, { skip, timeout: 500_000 }, () => {
    let scene;
    let key;
    let program;
    let origin;
    before(
      async () => {
        const [file, ...args] = await command();
        key = await makeKey("ES256");
        key.kid = await calculateJwkThumbprint(key.jwk);
        const port = await freePort();
        origin = `http://127.0.0.1:${port}/mcp`;
        scene = await startScene({
          origin,
          secrets: { ASSERTION: JSON.stringify(key.privateJwk) },
          changes: ({ idp }) => ({
            identity_assertion: { key_secrets: ["ASSERTION"] },
            issuers: [{ name: "idp", issuer: idp.issuer }],
          }),
        });
        const env = { GATE: scene.gateway.url, ORIGIN: origin, PORT: String(port), ...QUIET };
        program = startProcess(file, args, { env });
        const answers = async () => (await fetch(origin).catch(() => undefined))?.status === 401;
        await eventually("the server answers", answers, 60_000).catch((error) => {
          throw new Error(`${error.message}\n${program.tail()}`);
        });
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
        assert.deepEqual(JSON.parse(text), { error: "not from the gate" });
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

describe("files of settings", () => {
  const URL_OF_ALL = "https://mcp.example.com/mcp";
  const NAME = "mcp-example-com-mcp";
  const settings = (path) => JSON.parse(read(`clients/${path}`));
  let page;
  before(
    async () => {
      const document = {
        public_url: "https://mcp.example.com",
        issuers: [{ name: "acme", issuer: "https://login.acme.example" }],
        resources: [{ path: "/mcp", origin: "https://tools.internal.example/mcp", issuers: ["acme"] }],
      };
      const fleet = await startFleet({
        documents: [document],
        secrets: {},
        outbound: () => assert.fail("nothing is asked for"),
      });
      try {
        const answer = await fleet.gateways[0].fetch(`${document.public_url}/`, {
          headers: { accept: "text/html" },
        });
        page = (await answer.text()).replaceAll("&quot;", '"').replaceAll("&amp;", "&");
      } finally {
        await fleet.close();
      }
    },
    { timeout: 60_000 },
  );

  test("say what the gate's own page says", () => {
    const general = JSON.parse(page.match(/<code>(\{[^<]*"mcpServers"[^<]*)<\/code>/)[1]);
    assert.deepEqual(settings("oauth/.mcp.json"), general);
    const code = JSON.parse(decodeURIComponent(page.match(/vscode:mcp\/install\?([^"]+)"/)[1]));
    assert.deepEqual(settings("oauth/.vscode/mcp.json").servers, {
      [code.name]: { type: code.type, url: code.url },
    });
    const [, name, config] = page.match(/mcp\/install\?name=([^&]+)&config=([^"]+)"/);
    const cursor = JSON.parse(Buffer.from(decodeURIComponent(config), "base64").toString());
    assert.deepEqual(settings("oauth/.cursor/mcp.json").mcpServers, { [name]: cursor });
    const { command, args } = settings("oauth/claude_desktop_config.json").mcpServers[NAME];
    assert.ok(page.includes(`<code>${[command, ...args].join(" ")}</code>`));
    const guide = readFileSync(join(ROOT, "docs/clients.md"), "utf8");
    const add = page.match(/<code>(claude mcp add[^<]*)<\/code>/)[1];
    assert.ok(guide.includes(`${add}\n`), `docs/clients.md has: ${add}`);
  });

  test("differ in the credential alone, and hold none", () => {
    for (const path of [".mcp.json", ".vscode/mcp.json", ".cursor/mcp.json"]) {
      const { servers, mcpServers = servers } = settings(`headers/${path}`);
      const { headers, ...rest } = mcpServers[NAME];
      const oauth = settings(`oauth/${path}`);
      assert.deepEqual(rest, (oauth.servers ?? oauth.mcpServers)[NAME]);
      assert.deepEqual(Object.keys(headers), ["Authorization"]);
      assert.match(headers.Authorization, /^Bearer \$\{(env:|input:)?[\w-]+\}$/);
      assert.equal(rest.url, URL_OF_ALL);
    }
    const { inputs, servers } = settings("headers/.vscode/mcp.json");
    assert.deepEqual(
      inputs.map(({ type, password }) => ({ type, password })),
      [{ type: "promptString", password: true }],
    );
    assert.ok(servers[NAME].headers.Authorization.includes(`\${input:${inputs[0].id}}`));
    const desktop = (kind) => settings(`${kind}/claude_desktop_config.json`).mcpServers[NAME].args;
    assert.deepEqual(desktop("headers").slice(0, 2), desktop("oauth"));
  });
});

test("the guide shows the files as they are", () => {
  const guide = readFileSync(join(ROOT, "docs/clients.md"), "utf8");
  const shown = [...guide.matchAll(/```json\n([^`]*)```/g)].map(([, text]) => text);
  const names = [".mcp.json", "claude_desktop_config.json", ".vscode/mcp.json", ".cursor/mcp.json"];
  const files = names.flatMap((name) => [read(`clients/oauth/${name}`), read(`clients/headers/${name}`)]);
  assert.deepEqual(shown, files);
});

test("the guides name the versions that are tested", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const guides = ["docs/clients.md", "docs/origins.md"].map((path) => readFileSync(join(ROOT, path), "utf8"));
  const named = guides.flatMap((text) => [...text.matchAll(/((?:@[\w-]+\/)?[\w-]+)@(\d[\w.-]*)/g)]);
  assert.ok(named.length >= 4, `${named.length}`);
  for (const [, name, version] of named) assert.equal(version, devDependencies[name], name);
});
