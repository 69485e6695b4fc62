/** `npx portcullis init`: what it writes is what the gateway takes, and what it cannot write it says. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
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

  test("what is not about server and provider stays, rules above all; a table for elsewhere only goes when told", async () => {
    const extra = `
[[vars.PORTCULLIS.resources.rules]]
effect = "allow"
tools = ["get_*"]

[vars.PORTCULLIS.log]
requests = "refused"

[[kv_namespaces]]
binding = "LISTS"
id = "a"

[env.other.vars.PORTCULLIS]
public_url = "https://other.example.com"
`;
    await writeFile(file, `${await readFile(join(root, "wrangler.toml"), "utf8")}${extra}`);
    const away = ["--public-url", "https://mcp.example.com", "--origin", "https://tools.example.com/mcp"];
    const first = await run(flags(away));
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /kept unchanged: log, resources\.rules/);
    const again = await run(flags([...away, "--authorization-server"]));
    assert.equal(again.code, 2);
    assert.match(again.stderr, /--replace/);
    const replaced = await run(flags([...away, "--authorization-server", "--replace", "--json"]));
    assert.equal(replaced.code, 0, replaced.stderr);
    assert.deepEqual(JSON.parse(replaced.stdout).kept, ["log", "resources.rules"]);
    const settings = parse(await readFile(file, "utf8"));
    const { resources, log, authorization_server } = settings.vars.PORTCULLIS;
    assert.equal(JSON.stringify(resources[0].rules), '[{"effect":"allow","tools":["get_*"]}]');
    assert.equal(resources[0].origin, "https://tools.example.com/mcp");
    assert.equal(log.requests, "refused");
    assert.equal(authorization_server.login.issuer, issuer);
    assert.equal(settings.kv_namespaces[0].binding, "LISTS");
    assert.equal(settings.env.other.vars.PORTCULLIS.public_url, "https://other.example.com");
  });
});
