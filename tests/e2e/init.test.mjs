/** `npx portcullis init`: what it writes is what the gateway takes, and what it cannot write it says. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { parse } from "smol-toml";
import { startGateway } from "./support/gateway.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

const run = (args) =>
  new Promise((done) => {
    execFile(
      process.execPath,
      [join(root, "scripts", "portcullis.mjs"), "init", ...args],
      (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr }),
    );
  });

describe("portcullis init", { timeout: 60_000 }, () => {
  let provider;
  let issuer;
  let folder;
  let file;
  before(async () => {
    provider = createServer((request, response) => {
      const realm = request.url.startsWith("/realms/acme/");
      if (!realm && request.url !== "/.well-known/openid-configuration") return response.writeHead(404).end();
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({ issuer: realm ? `${issuer}/realms/acme` : issuer, jwks_uri: `${issuer}/jwks` }),
      );
    });
    await new Promise((listening) => provider.listen(0, "127.0.0.1", listening));
    issuer = `http://127.0.0.1:${provider.address().port}`;
    folder = await mkdtemp(join(tmpdir(), "portcullis-init-"));
    file = join(folder, "wrangler.toml");
  });
  after(async () => {
    provider.close();
    await rm(folder, { recursive: true });
  });
  /** The options of a usual call, as far as `more` does not give them. */
  const flags = (more = []) => {
    const usual = {
      "--public-url": "http://localhost:8787",
      "--origin": "http://127.0.0.1:9200/mcp",
      "--provider": issuer,
      "--config": file,
    };
    return [...Object.entries(usual).filter(([name]) => !more.includes(name)), more].flat();
  };

  for (const [name, more, secrets, profile] of [
    ["before a provider's own tokens", [], {}, undefined],
    [
      "Keycloak, by its realm",
      ["--provider", "REALM", "--scopes", "a b", "--path", "/tools"],
      {},
      "keycloak",
    ],
    [
      "as authorization server",
      ["--authorization-server"],
      {
        SIGNING_KEY: JSON.stringify(
          generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
        ),
        SEALING_SECRET: "0123456789abcdef0123456789abcdef",
        LOGIN_SECRET: "what the provider gave",
      },
      undefined,
    ],
  ]) {
    test(name, async () => {
      await copyFile(join(root, "wrangler.toml"), file);
      const { code, stdout, stderr } = await run(
        flags(more.map((word) => (word === "REALM" ? `${issuer}/realms/acme` : word))),
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, /Next:/);
      assert.match(stdout, /portcullis doctor http:/);
      const settings = parse(await readFile(file, "utf8"));
      assert.equal(settings.name, "portcullis", "the rest of the file stays");
      const document = settings.vars.PORTCULLIS;
      assert.equal(document.issuers?.[0].profile, profile);
      if (name === "as authorization server")
        assert.equal(settings.durable_objects.bindings[0].class_name, "AuthorizationRecords");
      const gateway = await startGateway({ config: document, secrets });
      try {
        const answer = await fetch(`${gateway.url}/healthz`, { headers: { host: "localhost:8787" } });
        assert.notEqual(answer.status, 503, gateway.logs.join("\n"));
      } finally {
        await gateway.close();
      }
    });
  }

  test("what is there already is not lost", async () => {
    await writeFile(file, '[vars.PORTCULLIS]\npublic_url = "https://mcp.example.com"\n');
    const { code, stderr } = await run(flags());
    assert.equal(code, 2);
    assert.match(stderr, /has a \[vars.PORTCULLIS\] for "https:/);
    const printed = await run([...flags(), "--print"]);
    assert.equal(parse(printed.stdout).vars.PORTCULLIS.issuers[0].issuer, issuer);
  });

  for (const [more, said] of [
    [["--provider", "http://127.0.0.1:1"], /has no metadata \(/],
    [["--provider", "login.acme.example"], /--provider must be an http or https URL/],
    [["--public-url", "http://mcp.example.com"], /--public-url must be https/],
    [["--public-url", "https://mcp.example.com/mcp"], /must have only a scheme and a host/],
    [["--path", "mcp"], /--path must begin with \//],
    [["--config", "/nowhere/wrangler.toml"], /does not exist/],
    [["--frob"], /there is no option --frob$/m],
  ]) {
    test(`refused: ${more.join(" ")}`, async () => {
      const { code, stderr } = await run(flags(more));
      assert.equal(code, 2);
      assert.match(stderr, said);
    });
  }

  const OWN = `# Not for people.
public_page = false
`;
  const RULES = `cache_lists = true   # their lists are public

# What everyone may do.
[[vars.PORTCULLIS.resources.rules]]
effect = "allow"
tools = [
  "get_*",   # reads
  "list_*",
]

[[vars.PORTCULLIS.resources.rules]]
effect = 'deny'
tools = ["[*"]
when = { arguments = { "path" = { prefix = "/etc" } } }
`;
  const LOG = `[vars.PORTCULLIS.log] # less of it
requests = "refused"
`;
  const REST = `[[kv_namespaces]]
binding = "LISTS"
id = "a"

[env.other.vars.PORTCULLIS]
public_url = "https://other.example.com"
`;
  const away = ["--public-url", "https://mcp.example.com", "--origin", "https://tools.example.com/mcp"];

  test("what is not about server and provider stays byte for byte; a table for elsewhere is replaced only on request", async () => {
    const demo = await readFile(join(root, "wrangler.toml"), "utf8");
    const mixed = `${demo.replace("development = true\n", `development = true\n${OWN}`)}${RULES}\n${LOG}\n${REST}`;
    await writeFile(file, mixed);
    const first = await run(flags(away));
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /kept unchanged: public_page, log, resources\.cache_lists, resources\.rules/);
    const again = await run(flags([...away, "--authorization-server"]));
    assert.equal(again.code, 2);
    assert.match(again.stderr, /--replace/);
    const replaced = await run(flags([...away, "--authorization-server", "--replace", "--json"]));
    assert.equal(replaced.code, 0, replaced.stderr);
    assert.deepEqual(JSON.parse(replaced.stdout).kept, [
      "public_page",
      "log",
      "resources.cache_lists",
      "resources.rules",
    ]);
    const written = await readFile(file, "utf8");
    for (const kept of [OWN, RULES, LOG, REST, demo.slice(0, demo.indexOf("preview_urls"))])
      assert.ok(written.includes(kept.trimEnd()), `${kept}\nis not in\n${written}`);
    const settings = parse(written);
    const { resources, log, authorization_server, public_page } = settings.vars.PORTCULLIS;
    assert.equal(resources[0].rules.length, 2);
    assert.equal(resources[0].origin, "https://tools.example.com/mcp");
    assert.equal(public_page, false);
    assert.equal(log.requests, "refused");
    assert.equal(authorization_server.login.issuer, issuer);
    assert.equal(settings.kv_namespaces[0].binding, "LISTS");
    assert.equal(settings.env.other.vars.PORTCULLIS.public_url, "https://other.example.com");
  });

  test("a document in another notation is left alone", async () => {
    for (const document of [
      `vars.PORTCULLIS.public_url = "http://localhost:8787"\n`,
      `[vars]\nPORTCULLIS = { public_url = "http://localhost:8787" }\n`,
      `[vars.PORTCULLIS]\npublic_url = "http://localhost:8787"\nresources = [{ path = "/a", body_bytes = 1000 }]\n`,
    ]) {
      await writeFile(file, document);
      const { code, stderr } = await run(flags());
      assert.equal(code, 2, document);
      assert.match(stderr, /notation that init does not change: --print/);
      assert.equal(await readFile(file, "utf8"), document);
    }
  });

  test("the route is written for a host of one's own, and only where there is none", async () => {
    const demo = await readFile(join(root, "wrangler.toml"), "utf8");
    const routesAfter = async (content, url) => {
      await writeFile(file, content);
      const { code, stdout, stderr } = await run(flags(["--public-url", url, ...away.slice(2)]));
      assert.equal(code, 0, stderr);
      const { routes } = parse(await readFile(file, "utf8"));
      return { routes: routes?.map((route) => ({ ...route })), stdout };
    };
    const own = await routesAfter(demo, "https://mcp.example.com");
    assert.deepEqual(own.routes, [{ pattern: "mcp.example.com", custom_domain: true }]);
    assert.doesNotMatch(own.stdout, /to routes in/);
    const other = await routesAfter(
      `routes = [{ pattern = "a.example", custom_domain = true }]\n${demo}`,
      "https://mcp.example.com",
    );
    assert.deepEqual(other.routes, [{ pattern: "a.example", custom_domain: true }]);
    assert.match(other.stdout, /add \{ pattern = "mcp\.example\.com", custom_domain = true \} to routes in/);
    const workers = await routesAfter(demo, "https://gate.acme.workers.dev");
    assert.equal(workers.routes, undefined);
    assert.match(workers.stdout, /write workers_dev = true into/);
    assert.equal((await routesAfter(demo, "http://localhost:8787")).routes, undefined);
  });

  test("wrangler login comes before every step that needs it", async () => {
    await copyFile(join(root, "wrangler.toml"), file);
    const { stdout } = await run(flags([...away, "--authorization-server", "--json"]));
    const { next } = JSON.parse(stdout);
    const at = (word) => next.findIndex((step) => step.includes(word));
    for (const later of ["secret put SIGNING_KEY", "secret put LOGIN_SECRET", "npm run deploy"])
      assert.ok(at("wrangler login") < at(later), next.join("\n"));
  });

  // `script` gives the command a terminal; its options are those of util-linux.
  const hasScript = process.platform === "linux" && existsSync("/usr/bin/script");
  test("a wrong answer is asked for again", { skip: !hasScript && "no script(1)" }, async () => {
    await copyFile(join(root, "wrangler.toml"), file);
    const command = [process.execPath, join(root, "scripts", "portcullis.mjs"), "init", "--config", file];
    const child = spawn("/usr/bin/script", ["-qec", command.join(" "), "/dev/null"]);
    const answers = [
      ["reach the gateway", "mcp.example.com"],
      ["must be an http or https URL", "https://mcp.example.com"],
      ["URL of your MCP server", "http://tools.example.com/mcp"],
      ["must be https, except on this machine", "https://tools.example.com/mcp"],
      ["issuer identifier of", "http://127.0.0.1:1"],
      ["has no metadata", issuer],
    ];
    let output = "";
    let begin = 0;
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      const shown = stripVTControlCharacters(output);
      const [[question, answer] = []] = answers;
      // A prompt ends with a colon.
      if (question === undefined || !shown.slice(begin).includes(question) || !shown.endsWith(": ")) return;
      begin = shown.length;
      answers.shift();
      child.stdin.write(`${answer}\n`);
    });
    const code = await new Promise((done) => child.on("close", done));
    assert.equal(code, 0, output);
    const document = parse(await readFile(file, "utf8")).vars.PORTCULLIS;
    assert.equal(document.public_url, "https://mcp.example.com");
    assert.equal(document.resources[0].origin, "https://tools.example.com/mcp");
    assert.equal(document.issuers[0].issuer, issuer);
  });
});
