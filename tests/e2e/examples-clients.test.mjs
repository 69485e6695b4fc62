/** The examples for clients, run as they stand: real programs, a real identity provider, and the gateway between them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startIdentityProvider } from "../../examples/identity-provider/provider.mjs";
import { startOrigin } from "../../examples/origin/server.mjs";
import { makeApiKey } from "./support/api-key.mjs";
import { at, lastJson, read, requirements, run, whoami } from "./support/examples.mjs";
import { configFor, startGateway } from "./support/gateway.mjs";
import { startLogin } from "./support/login.mjs";
import { BIN, startProcess } from "./support/processes.mjs";
import { noPython, python } from "./support/python.mjs";
import { remember } from "./support/secrets.mjs";
import { getToken } from "./support/token.mjs";

const noCurl =
  spawnSync("curl", ["--version"]).status === 0 ? false : "needs curl (Debian: apt install curl)";

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
    assert.match(none.stderr, /MCP_TOKEN: must be an access token or an API key/);
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
