/** `npx portcullis serve`: the gateway without Cloudflare, from the installed package. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../e2e/support/processes.mjs";
import { packedOnce } from "./support.mjs";

const MINUTE = 60_000;

/** A server that answers every request as `answer` says, and keeps the paths of the requests. */
async function startServer(answer) {
  const paths = [];
  const server = createServer((request, response) => {
    paths.push(request.url);
    request.resume();
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, paths, close };
}

/** What an MCP server answers to `ping`. */
function answerPing(_request, response) {
  response.setHeader("content-type", "application/json");
  response.end('{"jsonrpc":"2.0","id":1,"result":{}}');
}

/** The children of a process, by their program. */
function childrenOf(pid, program) {
  if (process.platform === "linux") {
    const own = readdirSync("/proc").filter((name) => {
      try {
        const { 1: parent } = readFileSync(`/proc/${name}/stat`, "utf8").match(/^\d+ \(.*\) \S (\d+)/s) ?? [];
        return Number(parent) === pid && readFileSync(`/proc/${name}/cmdline`, "utf8").includes(program);
      } catch {
        return false; // it is no process, or has ended
      }
    });
    return own.map(Number);
  }
  const { stdout } = spawnSync("ps", ["-axo", "pid=,ppid=,args="], { encoding: "utf8" });
  const lines = stdout.split("\n").map((line) => line.trim().split(/\s+/));
  return lines.flatMap(([own, parent, ...args]) =>
    Number(parent) === pid && args.join(" ").includes(program) ? [Number(own)] : [],
  );
}

const LOGIN = { issuer: "https://login.example", client_id: "gate", secret: "IDP", anyone: true };
const AUTHORIZATION_SERVER = {
  key_secrets: ["KEY"],
  secrets: ["SEAL"],
  binding: "AUTHORIZATION",
  registration: "open",
  scopes: { "mcp:tools": "Use the tools" },
  login: LOGIN,
};
const OBJECTS = { bindings: [{ name: "AUTHORIZATION", class_name: "AuthorizationRecords" }] };

let it;
const place = () => ({ ...it, folder: it.installed });

describe("serve", { timeout: 5 * MINUTE, concurrency: false }, () => {
  let folder;
  let port;
  let secrets;
  const file = (name) => join(folder, name);
  /** Without openssl there is no certificate: then all tests but that of HTTPS are those of a gateway behind a proxy. */
  const hasTls = spawnSync("openssl", ["version"]).status === 0;
  const tls = () => ["--certificate", file("cert.pem"), "--key", file("key.pem")];
  const front = () => (hasTls ? tls() : ["--proxy"]);

  before(async () => {
    it = packedOnce();
    folder = join(place().folder, "serve");
    mkdirSync(folder);
    mkdirSync(file("kv"));
    writeFileSync(file("package.json"), "{}");
    const made = spawnSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      ...["-keyout", file("key.pem"), "-out", file("cert.pem")],
    ]);
    assert.ok(made.status === 0 || !hasTls, `${made.stderr}`);
    port = await freePort();
    secrets = {
      KEY: place().run(place().folder, "npx", ["portcullis", "keys", "make"]).stdout,
      SEAL: randomBytes(32).toString("base64url"),
      IDP: "a secret of the provider",
    };
  });

  after(() => it?.close());

  /** Writes the configuration of a gateway. */
  function configure(document, settings = {}, name = "wrangler.json") {
    const main = "../node_modules/portcullis/build-full/index.js";
    const text = JSON.stringify({
      ...{ name: "gate", main, compatibility_date: "2026-11-01" },
      compatibility_flags: ["enable_request_signal"],
      ...settings,
      vars: {
        PORTCULLIS: {
          public_url: `https://localhost:${port}`,
          issuers: [{ name: "acme", issuer: "https://login.example" }],
          resources: [
            {
              path: "/mcp",
              origin: "https://tools.example/mcp",
              issuers: ["acme"],
              scopes: ["mcp:tools"],
            },
          ],
          ...document,
        },
      },
    });
    writeFileSync(file(name), text);
  }
  const withServer = (changes = {}) => {
    const resource = { path: "/mcp", origin: "https://tools.example/mcp", issuers: ["portcullis"] };
    configure(
      {
        authorization_server: AUTHORIZATION_SERVER,
        issuers: undefined,
        resources: [{ ...resource, scopes: ["mcp:tools"] }],
        ...changes,
      },
      { durable_objects: OBJECTS },
    );
  };
  /** The configuration of a gateway on this machine, with API keys in KV. */
  const local = (origin, changes = {}) =>
    configure({
      public_url: `http://localhost:${port}`,
      development: true,
      issuers: undefined,
      api_keys: [{ prefix: "pk", kv: "KEYS" }],
      resources: [{ path: "/mcp", origin: `${origin}/mcp`, api_keys: ["pk"], ...changes }],
    });

  const refused = (args, env = {}) => {
    const all = ["portcullis", "serve", "--config", "wrangler.json", "--port", `${port}`, ...args];
    const { status, stderr } = place().run(folder, "npx", all, { env });
    assert.equal(status, 2, stderr);
    return stderr;
  };
  /** Runs a gateway while `act` does its work, and returns its exit status and output. */
  async function serving(args, env, act) {
    const script = join(place().folder, "node_modules", "portcullis", "scripts", "portcullis.mjs");
    const all = [script, "serve", "--config", "wrangler.json", "--port", `${port}`, ...args];
    // Node itself, so that signals reach the command.
    const node = join(place().folder, "node_modules", ".bin", "node");
    const program = place().start(folder, node, all, env);
    try {
      await program.until("listening", ({ stderr }) => /listening on/.test(stderr), 30_000);
      await act(program);
      process.kill(program.pid, "SIGTERM");
      const { code } = await program.exited;
      return { code, ...program.output };
    } finally {
      await program.stop();
    }
  }
  /** A request by HTTPS, or by the proxy that accepts it. */
  const ask = (path, { method = "GET", headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const place = { host: "localhost", port, path, method, agent: false };
      const options = hasTls
        ? { ...place, headers, ca: readFileSync(file("cert.pem")) }
        : { ...place, headers: { ...headers, "x-forwarded-proto": "https" } };
      const outgoing = (hasTls ? secureRequest : request)(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (data) => {
          text += data;
        });
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      outgoing.once("error", reject).end(body);
    });
  const register = (headers = {}) =>
    ask("/register", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ redirect_uris: ["http://127.0.0.1/callback"], client_name: "Test" }),
    });
  const authorization = (id) => {
    const parameters = {
      client_id: id,
      redirect_uri: "http://127.0.0.1/callback",
      response_type: "code",
      code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      code_challenge_method: "S256",
      scope: "mcp:tools",
    };
    return `/authorize?${new URLSearchParams(parameters)}`;
  };
  /** A call with an API key. */
  const call = (key, path = "/mcp") =>
    fetch(`http://localhost:${port}${path}`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${key}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    });
  /** Makes an API key, and writes its record to the folder that is the KV. */
  function apiKey(...args) {
    const all = ["portcullis", "apikey", "--prefix", "pk", "--label", "test", "--json", ...args];
    const { key, record, kv_key: name } = JSON.parse(place().run(place().folder, "npx", all).stdout);
    writeFileSync(join(folder, "kv", name), JSON.stringify(record));
    return key;
  }

  test("what could not work is refused with the reason", () => {
    configure({});
    assert.match(
      refused([]),
      /clients reach the gateway by HTTPS: give it --certificate and --key, or --proxy/,
    );
    assert.match(refused(["--certificate", "cert.pem"]), /--certificate and --key belong together/);
    assert.match(refused([...tls(), "--proxy"]), /exclude each other/);
    assert.match(
      refused(["--certificate", "no.pem", "--key", "no.pem"]),
      /--certificate no\.pem cannot be read/,
    );
    assert.match(refused(["--processes", "0"]), /--processes must be a whole number from 1 to 64, got "0"/);
    assert.match(refused(["--proxy", "--kv", "X"]), /--kv must be NAME=FOLDER, got "X"/);
    configure({ development: true, public_url: `http://localhost:${port}` });
    assert.match(refused(["--host", "0.0.0.0"]), /development = true, which is for this machine only/);
    configure({ resources: [] });
    assert.match(refused(["--proxy"]), /wrangler\.json:\d+:\d+: resources: /);
    local("http://127.0.0.1:9");
    assert.match(refused([]), /api_keys\[0\]\.kv: --kv KEYS=FOLDER is required/);
    const limits = [{ by: ["subject"], requests: 5, seconds: 60, binding: "LIMITER" }];
    configure({
      resources: [
        {
          ...{ path: "/mcp", service: "TOOLS", origin: "https://a.example/mcp", issuers: ["acme"] },
          ...{ scopes: ["a"], rules: [{ effect: "allow", tools: ["*"] }], limits },
        },
      ],
    });
    const both = refused(["--proxy"]);
    assert.match(both, /resources\[0\]\.service: a service binding exists only on Cloudflare/);
    assert.match(
      both,
      /resources\[0\]\.limits\[0\]\.binding: a rate limiting binding exists only on Cloudflare/,
    );
    withServer();
    const state = ["--proxy", "--state", "state"];
    assert.match(refused(["--proxy"]), /Durable Objects: --state FOLDER says where their records are/);
    assert.match(refused(state), /secrets that the configuration names are missing: IDP, KEY, SEAL/);
    assert.match(refused([...state, "--processes", "2"], secrets), /only one process can write/);
    assert.match(refused(state, { ...secrets, IDP_FILE: "x" }), /IDP and IDP_FILE are both set/);
    const poll = { url: "https://login.example/poll", secret: "IDP" };
    const trusted_issuers = [{ name: "idp", issuer: LOGIN.issuer, signals: { poll } }];
    withServer({ authorization_server: { ...AUTHORIZATION_SERVER, trusted_issuers } });
    assert.match(refused(state, secrets), /\[0\]\.signals\.poll: cron triggers exist only on Cloudflare/);
  });

  test("HTTPS with a certificate of one's own, and an orderly end", {
    skip: !hasTls && "no openssl",
  }, async () => {
    withServer();
    writeFileSync(file("seal"), `${secrets.SEAL}\n`);
    const { SEAL: _, ...rest } = secrets;
    const env = { ...rest, SEAL_FILE: file("seal") };
    const { code, stdout, stderr } = await serving([...tls(), "--state", "state"], env, async () => {
      assert.equal((await ask("/healthz")).status, 200);
      const { status, headers } = await ask("/mcp", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(status, 401);
      assert.match(headers["www-authenticate"], /resource_metadata="https:\/\/localhost:\d+\/\.well-known/);
      await assert.rejects(fetch(`http://localhost:${port}/healthz`));
      // The caller does not choose the address under which it is counted.
      const answers = [];
      for (let at = 0; at < 25; at += 1)
        answers.push((await register({ "cf-connecting-ip": `192.0.2.${at}` })).status);
      assert.ok(answers.includes(201) && answers.includes(429), `${answers}`);
    });
    assert.equal(code, 0);
    assert.match(stderr, /stopping: requests have 30 s to finish/);
    for (const secret of Object.values(secrets)) assert.ok(!`${stdout}${stderr}`.includes(secret.trim()));
  });

  test("the records outlive a restart, and have one writer", async () => {
    withServer();
    const args = [...front(), "--state", "state"];
    let id;
    await serving(args, secrets, async () => {
      const { status, text } = await register();
      assert.equal(status, 201, text);
      id = JSON.parse(text).client_id;
      assert.match(refused(args, secrets), /another process uses .*state: stop it first/);
    });
    await serving(args, secrets, async () => {
      assert.equal((await ask(authorization(id))).status, 200);
      assert.equal((await ask(authorization("pc-unknown"))).status, 400);
    });
  });

  test("strangers' documents are not fetched from the private network", async () => {
    const server = await startServer((_request, response) => response.end("{}"));
    try {
      withServer({
        public_url: `http://localhost:${port}`,
        development: true,
        authorization_server: {
          ...AUTHORIZATION_SERVER,
          login: { ...LOGIN, issuer: server.url },
        },
      });
      const other = await startServer((_request, response) => response.end("{}"));
      await serving(["--state", "state-local"], secrets, async () => {
        const at = (id) =>
          fetch(`http://localhost:${port}${authorization(id)}`, { redirect: "manual" }).then(
            ({ status }) => status,
          );
        assert.ok((await at(`${other.url}/client.json`)) >= 400);
        assert.deepEqual(other.paths, []);
        // The server of the configuration is reached there.
        assert.ok((await at(`${server.url}/client.json`)) >= 400);
        assert.deepEqual(server.paths, ["/client.json"]);
      });
      other.close();
    } finally {
      server.close();
    }
  });

  test("behind a proxy that accepts HTTPS", async () => {
    configure({});
    await serving(["--proxy"], {}, async () => {
      const url = `http://127.0.0.1:${port}/mcp`;
      // fetch does not let its caller set Host.
      const from = (headers) =>
        new Promise((resolve, reject) => {
          const outgoing = request(url, { method: "POST", headers, agent: false }, (response) => {
            response.resume();
            resolve(response.statusCode);
          });
          outgoing.once("error", reject).end("{}");
        });
      const json = { "content-type": "application/json" };
      const host = `localhost:${port}`;
      assert.equal(await from({ host, ...json, "x-forwarded-proto": "https" }), 401);
      const plain = await from({ host, ...json });
      assert.ok(plain !== 401 && plain >= 300, `${plain}`);
      const foreign = await from({ host: "other.example", ...json, "x-forwarded-proto": "https" });
      assert.ok(foreign !== 401 && foreign >= 400, `${foreign}`);
    });
  });

  test("several processes share the port, and one that ends is replaced", async () => {
    const origin = await startServer(answerPing);
    const key = apiKey();
    local(origin.url);
    try {
      const args = ["--processes", "2", "--kv", "KEYS=kv"];
      const { stderr } = await serving(args, {}, async (program) => {
        const before = childrenOf(program.pid, "workerd");
        assert.equal(before.length, 2);
        assert.equal((await call(key)).status, 200);
        assert.equal((await call("pk_0000000000000000_wrong")).status, 401);
        process.kill(before[0], "SIGKILL");
        await program.until("a new process", ({ stderr }) => /starting another one/.test(stderr));
        for (let at = 0; at < 100 && childrenOf(program.pid, "workerd").length < 2; at += 1) await sleep(100);
        const after = childrenOf(program.pid, "workerd");
        assert.equal(after.length, 2);
        assert.ok(!after.includes(before[0]) && after.includes(before[1]));
        assert.equal((await call(key)).status, 200);
      });
      assert.match(stderr, /a workerd process ended with SIGKILL; starting another one/);
    } finally {
      origin.close();
    }
  });

  test("a request in flight is finished before the end", async () => {
    const origin = await startServer(async (_request, response) => {
      response.setHeader("content-type", "application/json");
      response.write('{"jsonrpc":"2.0",');
      await sleep(3_000);
      response.end('"id":1,"result":{}}');
    });
    const key = apiKey();
    local(origin.url);
    try {
      let answer;
      const { code } = await serving(["--kv", "KEYS=kv"], {}, async () => {
        answer = call(key).then((response) => response.text());
        for (let at = 0; at < 50 && origin.paths.length === 0; at += 1) await sleep(50);
      });
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(await answer), { jsonrpc: "2.0", id: 1, result: {} });
      await assert.rejects(call(key));
    } finally {
      origin.close();
    }
  });

  test("SIGHUP reads the configuration again, and one with a mistake changes nothing", async () => {
    const origin = await startServer(answerPing);
    const key = apiKey();
    local(origin.url);
    try {
      const args = ["--processes", "2", "--kv", "KEYS=kv"];
      const { code } = await serving(args, {}, async (program) => {
        assert.equal((await call(key)).status, 200);
        local(origin.url, { path: "/other" });
        process.kill(program.pid, "SIGHUP");
        await program.until("the new one", ({ stderr }) => /were read again/.test(stderr), 30_000);
        assert.equal((await call(key, "/other")).status, 200);
        assert.equal((await call(key)).status, 404);
        local(origin.url, { path: "no-path" });
        process.kill(program.pid, "SIGHUP");
        await program.until("the reason", ({ stderr }) => /not read again: .*path/.test(stderr), 30_000);
        assert.equal((await call(key, "/other")).status, 200);
        assert.equal(childrenOf(program.pid, "workerd").length, 2);
      });
      assert.equal(code, 0);
    } finally {
      origin.close();
    }
  });

  /** The children of a gateway, and whether each of them still runs. */
  const running = (pids) =>
    pids.filter((pid) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    });
  async function gone(pids) {
    for (let at = 0; at < 100 && running(pids).length > 0; at += 1) await sleep(50);
    assert.deepEqual(running(pids), []);
  }
  const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith("portcullis-serve-"));
  /** Starts a gateway that a test ends in its own way. */
  async function started(args, env = {}) {
    const script = join(place().folder, "node_modules", "portcullis", "scripts", "portcullis.mjs");
    const all = [script, "serve", "--config", "wrangler.json", "--port", `${port}`, ...args];
    return place().start(folder, join(place().folder, "node_modules", ".bin", "node"), all, env);
  }
  const listening = (program) =>
    program.until("listening", ({ stderr }) => /listening on/.test(stderr), 30_000);

  test("an end in the middle of a start or of a change leaves no process and no file", async () => {
    configure({});
    const before = leftovers();
    for (const [hup, wait] of [
      [false, 120],
      [false, 300],
      [true, 50],
      [true, 150],
    ]) {
      const program = await started(["--proxy", "--processes", "4", "--stop-seconds", "2"]);
      if (hup) {
        await listening(program);
        process.kill(program.pid, "SIGHUP");
      }
      await sleep(wait);
      const children = childrenOf(program.pid, "workerd");
      process.kill(program.pid, "SIGTERM");
      await program.exited;
      await gone(children);
      await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
    }
    assert.deepEqual(leftovers(), before);
  });

  test("where the command is killed, its processes end and the records are free", async () => {
    withServer();
    const before = leftovers();
    const args = [...front(), "--state", "state"];
    const program = await started(args, secrets);
    await listening(program);
    const children = childrenOf(program.pid, "workerd");
    assert.equal(children.length, 1);
    process.kill(program.pid, "SIGKILL");
    await program.exited;
    await gone(children);
    await serving(args, secrets, async () => {
      assert.equal((await ask("/healthz")).status, 200);
    });
    assert.deepEqual(leftovers(), before);
  });

  test("a port that another gateway has is not shared with it", async () => {
    configure({});
    await serving(["--proxy", "--processes", "2"], {}, async () => {
      assert.match(refused(["--proxy"]), /port \d+ is taken: --port names another one/);
    });
  });

  test("a change cannot open what a start would refuse", async () => {
    configure({});
    await serving(["--proxy"], {}, async (program) => {
      configure({ development: true, public_url: `http://localhost:${port}` });
      process.kill(program.pid, "SIGHUP");
      await program.until("the reason", ({ stderr }) => /not read again: .*development = true/.test(stderr));
    });
  });

  test("refused starts leave no file, and no key of the certificate", () => {
    const before = leftovers();
    configure({});
    refused([]);
    withServer();
    refused([...front(), "--state", "state"], { KEY: "x" });
    assert.deepEqual(leftovers(), before);
  });

  test("--health asks as the proxy or a client would", async () => {
    configure({});
    const health = (args) => {
      const all = [
        "portcullis",
        "serve",
        "--health",
        "--config",
        "wrangler.json",
        "--port",
        `${port}`,
        ...args,
      ];
      return place().run(folder, "npx", all);
    };
    assert.equal(health(["--proxy"]).status, 1);
    await serving(["--proxy"], {}, async () => {
      const { status, stdout, stderr } = health(["--proxy"]);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /the gateway answers/);
    });
    await serving(front(), {}, async () => {
      assert.equal(health(front()).status, 0);
    });
  });

  test("settings of wrangler that workerd cannot use are named", () => {
    for (const [settings, why] of [
      [{ main: undefined }, /main must be the path of the Worker/],
      [{ compatibility_date: "soon" }, /compatibility_date must be a text such as "2026-11-01", got "soon"/],
      [{ compatibility_flags: "x" }, /compatibility_flags must be an array of texts, got "x"/],
      [
        { durable_objects: { bindings: [{ name: "A", class_name: "../../evil" }] } },
        /class_name must be the name of a class, got "\.\.\/\.\.\/evil"/,
      ],
    ]) {
      configure({}, settings);
      assert.match(refused(["--proxy"]), why);
    }
  });

  test("a port that is taken is named", async () => {
    configure({});
    const server = createServer().listen(port, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      assert.match(refused(["--proxy"]), /port \d+ is taken: --port names another one/);
    } finally {
      server.close();
    }
  });
});
