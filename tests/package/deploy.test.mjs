/** `npx portcullis deploy` from the installed package, against Cloudflare's API as far as wrangler calls it for that. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { parse as parseToml } from "smol-toml";
import { startCloudflareApi } from "../e2e/support/cloudflare-api.mjs";
import { packedOnce } from "./support.mjs";

/** Plain objects, which can be compared. */
const parse = (text) => JSON.parse(JSON.stringify(parseToml(text)));

const MINUTE = 60_000;
const MAIN = "../node_modules/portcullis/build/index.js";
const ADMIN = "of-the-administrator-with-32-characters";
const HEAD = `# the gateway of the test
name = "gate"
main = "${MAIN}"
compatibility_date = "2026-11-01"
compatibility_flags = ["enable_request_signal"]
workers_dev = false
routes = [{ pattern = "mcp.example.com", custom_domain = true }]
`;
const REVOCATION = `
[vars.PORTCULLIS]
public_url = "https://mcp.example.com"   # stays
[vars.PORTCULLIS.revocation]
kv = "REVOKED"
[[vars.PORTCULLIS.issuers]]
name = "acme"
issuer = "https://login.example"
[[vars.PORTCULLIS.resources]]
path = "/mcp"
origin = "https://tools.example/mcp"
issuers = ["acme"]
scopes = ["mcp:tools"]
`;
const EVERYTHING = `
[vars.PORTCULLIS]
public_url = "https://mcp.example.com"
[vars.PORTCULLIS.sessions]
secrets = ["SESSION"]
[vars.PORTCULLIS.revocation]
kv = "REVOKED"
[vars.PORTCULLIS.decision_log]
queue = "DECISIONS"
[vars.PORTCULLIS.log]
analytics_engine = "REQUESTS"
[vars.PORTCULLIS.dpop]
replay_binding = "REPLAY"
[vars.PORTCULLIS.authorization_server]
key_secrets = ["KEY"]
secrets = ["SEAL"]
binding = "AUTHORIZATION"
admin_secret = "ADMIN"
registration = "open"
scopes = { "mcp:tools" = "Use the tools" }
[vars.PORTCULLIS.authorization_server.login]
issuer = "https://login.example"
client_id = "gate"
secret = "IDP"
anyone = true
[[vars.PORTCULLIS.resources]]
path = "/mcp"
origin = "https://tools.example/mcp"
issuers = ["portcullis"]
scopes = ["mcp:tools"]
dpop = "optional"
`;

let it;
const place = () => ({ ...it, folder: it.installed });

describe("deploy", { timeout: 8 * MINUTE, concurrency: false }, () => {
  let folder;
  let api;
  const file = (name) => join(folder, name);
  const text = (name = "wrangler.toml") => readFileSync(file(name), "utf8");
  before(() => {
    it = packedOnce();
    folder = join(place().folder, "deployed");
    mkdirSync(folder);
    writeFileSync(file("package.json"), "{}");
  });
  beforeEach(async () => {
    await api?.close();
    api = await startCloudflareApi();
  });
  after(async () => {
    await api?.close();
    it?.close();
  });

  /** Runs it without a terminal. */
  async function deploy(content, args, env = {}, name = "wrangler.toml") {
    if (content !== undefined) writeFileSync(file(name), content);
    const script = join(place().folder, "node_modules", "portcullis", "scripts", "portcullis.mjs");
    const node = join(place().folder, "node_modules", ".bin", "node");
    const all = [script, "deploy", "--config", name, ...args];
    const program = place().start(folder, node, all, { ...api.env, ...env });
    const { code } = await program.exited;
    assert.deepEqual(api.unknown, [], "wrangler asked for something that the test does not know");
    return { code, ...program.output, all: `${program.output.stdout}${program.output.stderr}` };
  }
  const lines = () => api.requests.map(({ line }) => line);
  const made = () => lines().filter((line) => /^(POST|PUT) \/(storage|queues)/.test(line));
  const uploads = () =>
    lines().filter((line) => /^(PUT \/workers\/scripts\/gate|POST .*\/versions)$/.test(line)).length;

  test("creates what is missing, writes the ids back, and deploys with the secrets", async () => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith("portcullis-secrets-"));
    const { code, all } = await deploy(HEAD + EVERYTHING, ["--yes", "--no-doctor"], {
      IDP: "the secret of the provider",
      ADMIN: "of-the-administrator-with-32-characters",
    });
    assert.equal(code, 0, all);
    const [namespace] = api.state.namespaces;
    assert.equal(namespace.title, "gate-REVOKED");
    assert.deepEqual(
      api.state.queues.map(({ queue_name: name }) => name),
      ["gate-decisions"],
    );
    const settings = parse(text());
    assert.deepEqual(settings.kv_namespaces, [{ binding: "REVOKED", id: namespace.id }]);
    assert.deepEqual(settings.queues.producers, [{ binding: "DECISIONS", queue: "gate-decisions" }]);
    assert.deepEqual(settings.migrations, [
      { tag: "v1", new_sqlite_classes: ["ReplayGuard", "AuthorizationRecords"] },
    ]);
    assert.equal(settings.main, MAIN.replace("build/", "build-full/"));
    assert.ok(text().startsWith(HEAD.replace("build/", "build-full/") + EVERYTHING));

    const script = api.state.scripts.get("gate");
    assert.deepEqual(Object.keys(script.secrets).sort(), ["ADMIN", "IDP", "KEY", "SEAL", "SESSION"]);
    assert.equal(script.secrets.IDP, "the secret of the provider");
    assert.equal(JSON.parse(script.secrets.KEY).crv, "P-256");
    const values = ["ADMIN", "SEAL", "SESSION"].map((name) => script.secrets[name]);
    assert.ok(values.every((value) => value.length >= 32) && new Set(values).size === 3);
    assert.equal(script.secrets.ADMIN, ADMIN);
    for (const name of ["ADMIN", "IDP", "KEY", "SEAL", "SESSION"])
      assert.ok(!all.includes(script.secrets[name]), name);
    assert.ok(!all.includes(api.env.CLOUDFLARE_API_TOKEN));
    assert.deepEqual(script.bindings.map(({ name, type }) => `${name} ${type}`).sort(), [
      "AUTHORIZATION durable_object_namespace",
      "DECISIONS queue",
      "PORTCULLIS json",
      "REPLAY durable_object_namespace",
      "REQUESTS analytics_engine",
      "REVOKED kv_namespace",
    ]);
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith("portcullis-secrets-")),
      before,
    );

    const again = made().length;
    const content = text();
    const second = await deploy(undefined, ["--no-doctor"]);
    assert.equal(second.code, 0, second.all);
    assert.equal(made().length, again, "nothing is created twice");
    assert.equal(uploads(), 2);
    assert.equal(text(), content);
    assert.deepEqual(api.state.scripts.get("gate").secrets, script.secrets);
  });

  test("wrangler.jsonc keeps its comments", async () => {
    const { vars } = parse(REVOCATION);
    const content = `{
  // the gateway of the test
  "name": "gate",
  "main": "${MAIN}",
  "compatibility_date": "2026-11-01",
  "kv_namespaces": [
    { "binding": "OTHER", "id": "0123456789abcdef0123456789abcde0" }, // stays
  ],
  "routes": [{ "pattern": "mcp.example.com", "custom_domain": true }],
  "vars": ${JSON.stringify(vars)},
}
`;
    const { code, all } = await deploy(content, ["--yes", "--no-doctor"], {}, "wrangler.jsonc");
    assert.equal(code, 0, all);
    const [{ id }] = api.state.namespaces;
    const after = text("wrangler.jsonc");
    for (const kept of ["// the gateway of the test", "// stays", '"binding": "OTHER"'])
      assert.ok(after.includes(kept));
    assert.match(after, new RegExp(`"binding": "REVOKED",\\s*"id": "${id}"`));
  });

  test("without a terminal it asks nothing and does nothing, unless --yes agrees", async () => {
    const content = HEAD + REVOCATION;
    const { code, stderr } = await deploy(content, ["--no-doctor"]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /no terminal to ask whether to create the KV namespace "gate-REVOKED": --yes agrees/,
    );
    assert.equal(text(), content);
    assert.deepEqual(made(), []);
    assert.equal(uploads(), 0);
  });

  test("--dry-run prints the plan, and asks nothing of Cloudflare", async () => {
    const content = HEAD + EVERYTHING;
    const { code, stdout } = await deploy(content, ["--dry-run"]);
    assert.equal(code, 0, stdout);
    for (const step of [
      'KV namespace "gate-REVOKED" for revocation.kv',
      'queue "gate-decisions" for decision_log.queue',
      'migration that makes "ReplayGuard" and "AuthorizationRecords"',
      "the Worker with the authorization server (build-full)",
      "secret IDP: asked for, unless the Worker has it",
      "secret KEY: a new signing key",
    ])
      assert.ok(stdout.includes(step), step);
    assert.deepEqual(lines(), []);
    assert.equal(text(), content);
  });

  test("a run that was interrupted is completed by the next one", async () => {
    api.broken = /^POST \/queues/;
    const first = await deploy(HEAD + EVERYTHING, ["--yes", "--no-doctor"], { IDP: "secret of it", ADMIN });
    assert.equal(first.code, 1);
    assert.match(first.stderr, /queue "gate-decisions".*\n?[\s\S]*the same command continues here/);
    assert.equal(uploads(), 0);
    api.broken = /^PUT \/workers/;
    const second = await deploy(undefined, ["--yes", "--no-doctor"], { IDP: "secret of it", ADMIN });
    assert.equal(second.code, 1);
    api.broken = undefined;
    const third = await deploy(undefined, ["--yes", "--no-doctor"], { IDP: "secret of it", ADMIN });
    assert.equal(third.code, 0, third.all);
    assert.equal(api.state.namespaces.length, 1);
    assert.equal(api.state.queues.length, 1);
    assert.equal(Object.keys(api.state.scripts.get("gate").secrets).length, 5);
  });

  test("a namespace that was created before the id could be written is used", async () => {
    const known = { id: "fedcba9876543210fedcba9876543210", title: "gate-REVOKED" };
    api.state.namespaces.push(known);
    const { code, all } = await deploy(HEAD + REVOCATION, ["--yes", "--no-doctor"]);
    assert.equal(code, 0, all);
    assert.equal(api.state.namespaces.length, 1);
    assert.equal(parse(text()).kv_namespaces[0].id, known.id);
  });

  test("an entry without an id, or with a placeholder, gets it", async () => {
    for (const line of ["", 'id = "…"\n']) {
      const entry = `[[kv_namespaces]] # revoked\nbinding = "REVOKED"\n${line}`;
      const { code, all } = await deploy(`${HEAD}\n${entry}${REVOCATION}`, ["--yes", "--no-doctor"]);
      assert.equal(code, 0, all);
      const id = api.state.namespaces.at(-1).id;
      assert.ok(text().includes(`[[kv_namespaces]] # revoked\nbinding = "REVOKED"\nid = "${id}"\n`), text());
    }
  });

  test("a form that cannot be changed is left alone, and the message says what to write", async () => {
    const content = `${HEAD}kv_namespaces = [{ binding = "REVOKED" }]\n${REVOCATION}`;
    const { code, stderr } = await deploy(content, ["--yes", "--no-doctor"]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /Write this yourself \(npx wrangler kv namespace create gate-REVOKED prints the id\), then run it again:\n\[\[kv_namespaces\]\]\nbinding = "REVOKED"\nid = "0{32}"/,
    );
    assert.equal(text(), content);
  });

  test("a token without permission: which one is missing, and for what", async () => {
    for (const [pattern, permission] of [
      [/^POST \/storage/, "Workers KV Storage: Edit"],
      [/^POST \/queues/, "Queues: Edit"],
      [/^GET \/workers\/scripts\/gate\/secrets/, "Workers Scripts: Edit"],
    ]) {
      api.forbidden = pattern;
      const { code, stderr } = await deploy(HEAD + EVERYTHING, ["--yes", "--no-doctor"], {
        IDP: "x of it",
        ADMIN,
      });
      assert.equal(code, 1, `${pattern}`);
      assert.ok(stderr.includes(`needs the permission "${permission}"`), stderr);
      assert.equal(uploads(), 0);
    }
  });

  test("a secret of someone else that is nowhere is asked for by its name", async () => {
    const { code, stderr } = await deploy(HEAD + EVERYTHING, ["--yes", "--no-doctor"]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /values of secrets are needed, and there is no terminal: set the environment variables ADMIN, IDP/,
    );
    // Before anything was created.
    assert.deepEqual(made(), []);
    assert.equal(uploads(), 0);
  });

  test("a service binding that is missing is named before anything is created", async () => {
    const content = (HEAD + REVOCATION).replace("origin =", 'service = "TOOLS"\norigin =');
    const { code, stderr } = await deploy(content, ["--yes", "--no-doctor"]);
    assert.equal(code, 2);
    assert.match(stderr, /resources\[0\]\.service: there is no service binding "TOOLS": \[\[services\]\]/);
    assert.deepEqual(lines(), []);
  });

  test("an environment has entries of its own", async () => {
    const own = REVOCATION.replaceAll("vars.PORTCULLIS", "env.production.vars.PORTCULLIS");
    const routes = '\n[env.production]\nroutes = [{ pattern = "mcp.example.com", custom_domain = true }]\n';
    const content = HEAD.replace(/routes = .*\n/, "") + routes + own;
    const args = ["--env", "production", "--yes", "--no-doctor"];
    const { code, all } = await deploy(content, args);
    assert.equal(code, 0, all);
    const [{ title, id }] = api.state.namespaces;
    assert.equal(title, "gate-production-REVOKED");
    assert.deepEqual(parse(text()).env.production.kv_namespaces, [{ binding: "REVOKED", id }]);
    assert.ok(api.state.scripts.has("gate-production"));
  });

  test("a configuration in KV: the namespace, the document, then the Worker", async () => {
    writeFileSync(file("gateway.toml"), REVOCATION);
    const content = `${HEAD}\n[vars.PORTCULLIS.stored]\nkv = "CONFIGURATION"\n`;
    const { code, all } = await deploy(content, ["--document", "gateway.toml", "--yes", "--no-doctor"]);
    assert.equal(code, 0, all);
    assert.deepEqual(api.state.namespaces.map(({ title }) => title).sort(), [
      "gate-CONFIGURATION",
      "gate-REVOKED",
    ]);
    const { id } = api.state.namespaces.find(({ title }) => title === "gate-CONFIGURATION");
    assert.equal(JSON.parse(api.state.values.get(`${id}/portcullis`)).revocation.kv, "REVOKED");
    const order = lines();
    assert.ok(
      order.findIndex((line) => line.includes("/values/portcullis")) <
        order.indexOf("PUT /workers/scripts/gate"),
    );
  });

  const METRICS = REVOCATION.replace(
    "[vars.PORTCULLIS.revocation]\nkv =",
    '[vars.PORTCULLIS.metrics]\nsecret = "METRICS"\n[vars.PORTCULLIS.revocation]\nkv =',
  );
  const inProduction = (content) => content.replaceAll("vars.PORTCULLIS", "env.production.vars.PORTCULLIS");
  const secret = { METRICS: "for-the-metrics-with-32-characters-and-more" };
  const kept = "the one that is there already, of 32 characters";

  test("the first deployment of an environment with secrets", async () => {
    const content = `${HEAD}\n[env.production]\n${inProduction(METRICS)}`;
    const { code, all } = await deploy(content, ["--env", "production", "--yes", "--no-doctor"], secret);
    assert.equal(code, 0, all);
    assert.equal(api.state.scripts.get("gate-production").secrets.METRICS, secret.METRICS);
  });

  test("no secret of another Worker is looked up or replaced", async () => {
    const content = `${HEAD}${METRICS}\n[env.production]\n${inProduction(METRICS)}`;
    for (const name of ["gate", "gate-production", "other"])
      api.state.scripts.set(name, { secrets: { METRICS: kept }, bindings: [] });
    const args = ["--yes", "--no-doctor"];
    for (const [more, env, status] of [
      [["--env", ""], { CLOUDFLARE_ENV: "production" }, 0],
      [[], { CLOUDFLARE_ENV: "production" }, 0],
      [[], { WRANGLER_CI_OVERRIDE_NAME: "other" }, 2],
      [["--", "--name", "other"], {}, 2],
      [["--", "--e", "production"], {}, 2],
      [["--", "--dispatch-namespace", "x"], {}, 2],
      [["--", "--dryRun"], {}, 2],
    ]) {
      const { code, all } = await deploy(content, [...args, ...more], { ...secret, ...env });
      assert.equal(code, status, all);
      for (const [name, { secrets }] of api.state.scripts)
        assert.equal(secrets.METRICS, kept, `${name}: ${more}`);
    }
    // .env is read by wrangler alone.
    writeFileSync(file(".env"), "CLOUDFLARE_ENV=production\n");
    try {
      api.requests.length = 0;
      const { code, all } = await deploy(content, args, secret);
      assert.equal(code, 0, all);
      assert.ok(!lines().some((line) => line.includes("gate-production")), `${lines()}`);
    } finally {
      rmSync(file(".env"));
    }
  });

  test("a signal leaves no file with secrets, and no wrangler", { timeout: MINUTE }, async () => {
    api.slow = /^PUT \/workers/;
    writeFileSync(file("wrangler.toml"), HEAD + METRICS);
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith("portcullis-secrets-"));
    const script = join(it.installed, "node_modules", "portcullis", "scripts", "portcullis.mjs");
    const node = join(it.installed, "node_modules", ".bin", "node");
    const all = [script, "deploy", "--config", "wrangler.toml", "--yes", "--no-doctor"];
    const program = it.start(folder, node, all, { ...api.env, ...secret });
    for (let at = 0; at < 200 && !lines().some((line) => api.slow.test(line)); at += 1) await sleep(50);
    assert.ok(lines().some((line) => api.slow.test(line)));
    process.kill(program.pid, "SIGTERM");
    const { code } = await program.exited;
    api.slow = undefined;
    assert.equal(code, 1);
    assert.match(program.output.stderr, /ended by SIGTERM; whether the Worker was deployed/);
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith("portcullis-secrets-")),
      before,
    );
  });

  test("an environment has its own migrations, Worker and account", async () => {
    const dpop = EVERYTHING.replace('replay_binding = "REPLAY"', 'replay_binding = "REPLAY" # own');
    const own = `
[env.production]
main = "${MAIN}"
account_id = "${"b".repeat(32)}"
[[env.production.migrations]]
tag = "v1"
new_sqlite_classes = ["ReplayGuard"]
`;
    const content = `${HEAD}${own}${inProduction(dpop)}`;
    const { CLOUDFLARE_ACCOUNT_ID: _, ...env } = api.env;
    api.account = "b".repeat(32);
    const { code, all } = await deploy(content, ["--env", "production", "--yes", "--no-doctor"], {
      ...env,
      CLOUDFLARE_ACCOUNT_ID: undefined,
      ...{ IDP: "secret of it", ADMIN },
    });
    assert.equal(code, 0, all);
    const settings = parse(text());
    assert.equal(settings.main, MAIN);
    assert.equal(settings.env.production.main, MAIN.replace("build/", "build-full/"));
    assert.equal(settings.migrations, undefined);
    assert.deepEqual(
      settings.env.production.migrations.map(({ tag, new_sqlite_classes: [name] }) => `${tag} ${name}`),
      ["v1 ReplayGuard", "v2 AuthorizationRecords"],
    );
    assert.ok(
      lines().every((line) => !line.includes("/accounts/")),
      "one account",
    );
  });

  test("a link stays a link, and a file that cannot be written is refused before anything", async () => {
    writeFileSync(file("real.toml"), HEAD + REVOCATION);
    rmSync(file("wrangler.toml"), { force: true });
    symlinkSync("real.toml", file("wrangler.toml"));
    try {
      const { code, all } = await deploy(undefined, ["--yes", "--no-doctor"]);
      assert.equal(code, 0, all);
      assert.ok(lstatSync(file("wrangler.toml")).isSymbolicLink());
      assert.equal(parse(text("real.toml")).kv_namespaces.length, 1);
    } finally {
      rmSync(file("wrangler.toml"));
    }
  });

  test("the doctor examines what was deployed", async () => {
    const { code, stderr } = await deploy(HEAD + REVOCATION, ["--yes", "--wait", "0"]);
    assert.equal(code, 1);
    assert.match(stderr, /the Worker is deployed, and clients would not get through: \/mcp/);
    assert.equal(uploads(), 1);
  });

  // `script` gives the command a terminal; its options are those of util-linux.
  const hasScript = process.platform === "linux" && existsSync("/usr/bin/script");
  test("at a terminal each step is asked for, and a secret is typed without echo", {
    skip: !hasScript && "no script(1)",
  }, async () => {
    const run = async (answers) => {
      const script = join(place().folder, "node_modules", "portcullis", "scripts", "portcullis.mjs");
      const node = join(place().folder, "node_modules", ".bin", "node");
      const command = `${node} ${script} deploy --config wrangler.toml --no-doctor`;
      const child = spawn("/usr/bin/script", ["-qec", command, "/dev/null"], {
        cwd: folder,
        env: { ...process.env, ...api.env },
      });
      let output = "";
      let begin = 0;
      child.stdout.setEncoding("utf8").on("data", (data) => {
        output += data;
        const shown = stripVTControlCharacters(output);
        const [[question, answer] = []] = answers;
        if (question === undefined || !shown.slice(begin).includes(question)) return;
        if (!/(\[y\/N\]|shown\):) $/.test(shown)) return;
        begin = shown.length;
        answers.shift();
        child.stdin.write(`${answer}\n`);
      });
      const code = await new Promise((done) => child.on("close", done));
      assert.deepEqual(answers, [], output);
      return { code, output };
    };
    writeFileSync(file("wrangler.toml"), HEAD + EVERYTHING);
    const refused = await run([
      ['create the KV namespace "gate-REVOKED"?', "y"],
      ['write the Durable Object binding "REPLAY"', "n"],
    ]);
    assert.equal(refused.code, 1);
    assert.match(refused.output, /nothing was deployed/);
    assert.equal(api.state.namespaces.length, 1);
    assert.equal(uploads(), 0);
    const agreed = await run([
      ['write the Durable Object binding "REPLAY"', "y"],
      ['write the Durable Object binding "AUTHORIZATION"', "y"],
      ['write the data set "REQUESTS"', "y"],
      ['create the queue "gate-decisions"', "yes"],
      ['write the queue binding "DECISIONS"', "y"],
      ["write the migration that makes", "y"],
      ["name the Worker with the authorization server", "y"],
      ["generate the secret ADMIN", "y"],
      ["value of the secret IDP", "typed by a person"],
      ["generate the secret KEY", "y"],
      ["generate the secret SEAL", "y"],
      ["generate the secret SESSION", "y"],
    ]);
    assert.equal(agreed.code, 0, agreed.output);
    assert.equal(api.state.scripts.get("gate").secrets.IDP, "typed by a person");
    assert.ok(!agreed.output.includes("typed by a person"));
  });
});
