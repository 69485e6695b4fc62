/** `npx portcullis`: what each command says of what is right and of what is not, and with which exit code. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { portcullis } from "./support/command.mjs";
import { configFor, startGateway } from "./support/gateway.mjs";
import { startStaticIssuer } from "./support/issuer.mjs";
import { startWitness } from "./support/origin.mjs";
import { ROOT } from "./support/processes.mjs";
import { rememberSecret } from "./support/secrets.mjs";

const PATIENCE = { timeout: 400_000 };

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "portcullis-commands-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const file = async (name, text) => {
  const path = join(folder, name);
  await writeFile(path, typeof text === "string" ? text : JSON.stringify(text));
  return path;
};

const GOOD = {
  public_url: "https://mcp.example.com",
  issuers: [{ name: "acme", issuer: "https://login.acme.example" }],
  resources: [
    { path: "/mcp", origin: "https://tools.acme.example/mcp", issuers: ["acme"], scopes: ["mcp:tools"] },
  ],
};

const TOOLS = Array.from({ length: 400 }, (_, at) => `"tool_number_${at}"`).join(", ");
/** More than a variable holds. */
const LARGE = `[vars.PORTCULLIS]
public_url = "https://mcp.example.com"
[[vars.PORTCULLIS.issuers]]
name = "acme"
issuer = "https://login.acme.example"
[[vars.PORTCULLIS.resources]]
path = "/mcp"
origin = "https://tools.acme.example/mcp"
issuers = ["acme"]
scopes = ["mcp:tools"]
[[vars.PORTCULLIS.resources.rules]]
effect = "allow"
tools = [${TOOLS}]
`;

describe("check", PATIENCE, () => {
  const WRONG = `
name = "x"
[vars.PORTCULLIS]
public_url = "https://mcp.example.com"
publicpage = true

[[vars.PORTCULLIS.issuers]]
name = "acme"
issuer = "https://login.acme.example"

[[vars.PORTCULLIS.resources]]
path = "/mcp"
origin = "http://tools.acme.example/mcp"
issuers = ["acme"]
rules = [
  { effect = "allow", tools = ["a"] },
  { effect = "alow", tools = ["b"] },
]
`;

  test("every mistake with its line, and what would be right", async () => {
    const { code, stdout, stderr } = await portcullis(["check", "--config", await file("w.toml", WRONG)]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    const lines = stderr.split("\n").map((line) => line.replace(folder, "F"));
    assert.match(lines[1], /^F\/w\.toml:5:1: publicpage: unknown key; did you mean `public_page`\?/);
    assert.match(
      lines.at(-2),
      /^F\/w\.toml:17:5: resources\[0\]\.rules\[1\]\.effect: must be one of allow, deny,/,
    );
  });

  test("the same as JSON, of JSON", async () => {
    const text = JSON.stringify(
      { ...GOOD, resources: [{ ...GOOD.resources[0], origin: "http://a.example" }] },
      undefined,
      2,
    );
    const { code, stdout } = await portcullis(["check", "--json", "--config", await file("w.json", text)]);
    assert.equal(code, 2);
    const { valid, mistakes } = JSON.parse(stdout);
    assert.equal(valid, false);
    assert.deepEqual(
      mistakes.map(({ path, line }) => [path, line]),
      [["resources[0].origin", 1 + text.split("\n").findIndex((line) => line.includes('"origin"'))]],
    );
  });

  test("credentials for origin servers: kind, token endpoint, identity, and the redirect URI for accounts of users", async () => {
    const [mcp] = GOOD.resources;
    const client = {
      token_endpoint: "https://login.acme.example/token",
      client_id: "gate",
      secret: "SECRET",
    };
    const document = {
      ...GOOD,
      authorization_server: {
        key_secrets: ["SIGNING_KEY"],
        secrets: ["SEALING_SECRET"],
        binding: "AUTHORIZATION",
        path: "/auth",
        registration: "open",
        scopes: { "mcp:tools": "Use the tools" },
        login: {
          issuer: "https://login.acme.example",
          client_id: "gate",
          secret: "LOGIN_SECRET",
          anyone: true,
        },
      },
      resources: [
        { ...mcp, credential: { static: [{ secrets: ["SECRET"] }] } },
        { ...mcp, path: "/exchange", credential: { token_exchange: { client } } },
        { ...mcp, path: "/own", issuers: ["portcullis"], credential: { per_user: {} } },
      ],
    };
    const { stdout } = await portcullis(["check", "--config", await file("credentials.json", document)]);
    for (const line of [
      "/mcp: the origin server gets credential.static; identity none",
      "/exchange: the origin server gets credential.token_exchange from https://login.acme.example/token; identity forward",
      "/own: the origin server gets credential.per_user; identity none",
      "/own: redirect URI of the gateway's client there: https://mcp.example.com/auth/connected/own",
    ])
      assert.ok(stdout.split("\n").includes(line), `${line}\n${stdout}`);
  });

  test("a document that is right, with and without rules", async () => {
    const { code, stdout } = await portcullis(["check", "--config", await file("good.json", GOOD)]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^\/mcp: no rules, 0 listed, 0 findings$/m);
    assert.match(
      stdout,
      /good\.json: valid, 0 findings; the document has \d+ bytes, and .* 1048576 from KV$/m,
    );
  });

  test("one that is too large for a variable", async () => {
    const { code, stdout } = await portcullis(["check", "--config", await file("large.toml", LARGE)]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^too large: the document has \d+ bytes, the limit is 5120; put it into KV: docs\/operations\.md$/m,
    );
  });

  for (const [what, args, why] of [
    ["a file that is not there", ["--config", "/nowhere.toml"], /\/nowhere\.toml: there is no such file/],
    ["an option that there is not", ["--confg", "x"], /there is no option --confg; did you mean --config\?/],
    ["a folder", ["--config", tmpdir()], /this is a folder/],
    ["an environment that is not there", ["--env", "staging"], /has no \[env\.staging\.vars\.PORTCULLIS\]/],
    ["a server that does not answer", ["--origin", "http://127.0.0.1:1022/mcp"], /is the server running\?/],
  ])
    test(`${what} is said, and ends with 2`, async () => {
      const { code, stderr } = await portcullis(["check", ...args]);
      assert.equal(code, 2);
      assert.match(stderr, why);
    });

  test("text that is no TOML, and JSON that is none", async () => {
    for (const [name, text] of [
      ["no.toml", "a = ["],
      ["no.json", '{"a": 1, "a": 2}'],
      ["empty.json", ""],
    ]) {
      const { code, stderr } = await portcullis(["check", "--config", await file(name, text)]);
      assert.equal(code, 2);
      assert.ok(stderr.includes(name), stderr);
    }
  });
});

describe("what shells and readers use", PATIENCE, () => {
  test("completions and the man page name every command", async () => {
    const names = [
      "check",
      "explain",
      "replay",
      "doctor",
      "init",
      "token",
      "push",
      "rollback",
      "keys",
      "apikey",
      "grants",
    ];
    for (const shell of ["bash", "zsh", "fish", "powershell", "elvish"]) {
      const { code, stdout } = await portcullis(["completions", shell]);
      assert.equal(code, 0);
      for (const name of names) assert.ok(stdout.includes(name), `${shell}: ${name}`);
    }
    const { code, stdout } = await portcullis(["man"]);
    assert.equal(code, 0);
    assert.match(stdout, /^\.TH portcullis 1/m);
    for (const name of [...names, "\\-\\-claims", "\\-\\-origin", "Exit status"])
      assert.ok(stdout.includes(name), name);
  });

  test("explain and replay as JSON", async () => {
    const example = join(ROOT, "examples", "policy");
    const at = ["--json", "--config", join(example, "wrangler.toml")];
    const explained = await portcullis([
      "explain",
      ...at,
      "--tool",
      "delete_file",
      "--claims",
      join(example, "ada.json"),
    ]);
    assert.equal(explained.code, 1);
    const { verdict, by } = JSON.parse(explained.stdout);
    assert.deepEqual([verdict, by], ["step_up", "destructive"]);
    const replayed = await portcullis(["replay", ...at, "--log", join(example, "decisions.log")]);
    assert.equal(replayed.code, 1);
    assert.deepEqual(
      JSON.parse(replayed.stdout).changed.map(({ line }) => line),
      [2],
    );
  });
});

describe("explain --anonymous", PATIENCE, () => {
  const explained = async (...args) => {
    const folder = await mkdtemp(join(tmpdir(), "portcullis-anonymous-"));
    const config = join(folder, "document.json");
    const resource = {
      path: "/mcp",
      origin: "https://tools.example/mcp",
      issuers: ["a"],
      scopes: ["mcp:tools"],
    };
    const rules = [
      { effect: "allow", tools: ["read"] },
      { effect: "allow", tools: ["write"], when: { scopes: ["mcp:tools"] } },
      { effect: "deny", methods: ["prompts/list"], when: { mtls: false } },
    ];
    await writeFile(
      config,
      JSON.stringify({
        public_url: "https://mcp.example.com",
        issuers: [{ name: "a", issuer: "https://login.example" }],
        resources: [{ ...resource, rules, anonymous: ["tools/list", "prompts/list"] }],
      }),
    );
    const { code, stdout, stderr } = await portcullis([
      "explain",
      "--config",
      config,
      "--anonymous",
      ...args,
    ]);
    await rm(folder, { recursive: true });
    return { code, text: stdout + stderr };
  };

  test("says what is open, and which tools lists show", async () => {
    const list = await explained("--method", "tools/list");
    assert.deepEqual([list.code, /^tools\/list at \/mcp: allow$/m.test(list.text)], [0, true], list.text);
    const call = await explained("--tool", "read");
    assert.equal(call.code, 1);
    assert.match(
      call.text,
      /^401: the resource does not open this method.*\ntools\/call read at \/mcp: allow$/m,
    );
    assert.match(
      (await explained("--tool", "write")).text,
      /^tools\/call write at \/mcp: 401: the rules do not allow/m,
    );
    const denied = await explained("--method", "prompts/list");
    assert.deepEqual(
      [denied.code, /: 401: the rules do not allow/.test(denied.text)],
      [1, true],
      denied.text,
    );
    assert.equal((await explained("--method", "ping")).code, 1);
  });

  test("is about no other caller", async () => {
    const { code, text } = await explained("--method", "tools/list", "--scopes", "mcp:tools");
    assert.deepEqual(
      [code, /--anonymous only without --claims, --scopes and --issuer/.test(text)],
      [2, true],
      text,
    );
  });
});

describe("what others say", PATIENCE, () => {
  const HOSTILE = `a${String.fromCharCode(27)}[2Jb\u009bc\u202ed`;

  test("moves no cursor and turns no line around", async () => {
    const example = join(ROOT, "examples", "policy");
    const lines = (await readFile(join(example, "decisions.log"), "utf8")).split("\n");
    const line = { ...JSON.parse(lines[1]), name: HOSTILE };
    const log = await file("hostile.log", `${JSON.stringify(line)}\n`);
    const replayed = await portcullis(["replay", "--config", join(example, "wrangler.toml"), "--log", log]);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const input = `${part({ alg: "RS256", [HOSTILE]: HOSTILE })}.${part({ [HOSTILE]: HOSTILE })}.AAAA`;
    const decoded = await portcullis(["token", "--config", await file("token-good.json", GOOD)], { input });
    for (const { stdout, stderr } of [replayed, decoded])
      assert.doesNotMatch(`${stdout}${stderr}`, /[\u0080-\u009f\u202e]/);
    assert.match(decoded.stdout, /\\u\{9b\}/);
  });

  test("names that objects have by themselves are no commands", async () => {
    for (const name of ["toString", "__proto__", "constructor"]) {
      const { code, stderr } = await portcullis([name]);
      assert.equal(code, 2);
      assert.match(stderr, /there is no command/);
    }
  });

  test("whoever asks for JSON gets JSON, whatever goes wrong", async () => {
    for (const args of [
      ["check", "--json", "--config", "/nowhere.toml"],
      ["check", "--json", "--frob"],
      ["token", "--json", "--from", "NO_SUCH_VARIABLE"],
      ["push", "--json"],
      ["rollback", "--json", "--config", "/nowhere.toml"],
      ["doctor", "--json"],
      ["keys", "show", "--json"],
      ["apikey", "--json"],
      ["grants", "--json"],
      ["init", "--json"],
    ]) {
      const { code, stdout } = await portcullis(args);
      assert.equal(code, 2, args.join(" "));
      assert.equal(typeof JSON.parse(stdout).error, "string", args.join(" "));
    }
  });
});

describe("keys", PATIENCE, () => {
  for (const algorithm of ["ES256", "EdDSA"])
    test(`${algorithm}: what is shown of a key that was made is what the gateway publishes`, async () => {
      const made = await portcullis(["keys", "make", "--algorithm", algorithm]);
      assert.equal(made.code, 0);
      const { d } = JSON.parse(made.stdout);
      assert.ok(!made.stderr.includes(d));
      const shown = await portcullis(["keys", "show"], { input: made.stdout });
      assert.equal(shown.code, 0, shown.stderr);
      assert.ok(!shown.stdout.includes(d));
      const [idp, origin] = await Promise.all([startStaticIssuer(), startWitness()]);
      const gateway = await startGateway({
        config: (url) =>
          configFor({
            url,
            issuer: idp.issuer,
            origin: origin.url,
            identity_assertion: { key_secrets: ["KEY"] },
          }),
        secrets: { KEY: made.stdout.trim() },
      });
      try {
        const published = await (await fetch(`${gateway.url}/.well-known/jwks.json`)).json();
        assert.deepEqual(JSON.parse(shown.stdout), published);
      } finally {
        await Promise.all([gateway.close(), idp.close(), origin.close()]);
      }
    });

  test("what is no private key is refused, and not repeated", async () => {
    for (const input of [
      "",
      "secret-text",
      '{"kty":"RSA","d":"secret-text"}',
      '{"kty":"EC","crv":"P-256","x":"a"}',
    ]) {
      const { code, stdout, stderr } = await portcullis(["keys", "show"], { input });
      assert.equal(code, 2);
      assert.ok(!`${stdout}${stderr}`.includes("secret-text"));
    }
  });

  test("a rotation is said step by step", async () => {
    const config = join(ROOT, "examples", "authorization-server", "wrangler.toml");
    const { code, stdout } = await portcullis(["keys", "rotate", "--json", "--config", config]);
    assert.equal(code, 0);
    const [{ what, steps }] = JSON.parse(stdout).plans;
    assert.equal(what, "authorization_server.key_secrets");
    assert.match(steps[0], /secret put SIGNING_KEY_2$/);
    assert.equal((await portcullis(["keys", "rotate", "--config", await file("none.json", GOOD)])).code, 2);
  });
});

describe("token", PATIENCE, () => {
  let idp;
  let config;
  before(async () => {
    idp = await startStaticIssuer();
    config = await file(
      "token.json",
      configFor({
        url: "http://localhost:8787",
        issuer: idp.issuer,
        origin: "http://127.0.0.1:1/mcp",
        resource: { rules: [{ effect: "deny", methods: ["*"] }] },
      }),
    );
  });
  after(() => idp.close());

  const ask = async (token, more = []) => {
    rememberSecret(token);
    const answer = await portcullis(["token", "--config", config, ...more], { input: `${token}\n` });
    const signature = token.split(".")[2] ?? token;
    assert.ok(!`${answer.stdout}${answer.stderr}`.includes(signature), "the token is not shown");
    return answer;
  };
  const audience = "http://localhost:8787/mcp";

  test("one as a field of a request has it", async () => {
    const token = await idp.token(audience);
    rememberSecret(token);
    const input = `Authorization: Bearer ${token}\n`;
    assert.equal((await portcullis(["token", "--config", config], { input })).code, 0);
  });

  test("one that is good", async () => {
    const { code, stdout } = await ask(await idp.token(audience));
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^\/mcp: accepted, issuer idp, client test-client$/m);
    assert.match(stdout, /^exp {5}\d+ {2}\(.*, in \d+ (seconds|minutes)\)$/m);
    assert.match(stdout, /npx portcullis explain/);
  });

  for (const [what, changes, reason, because] of [
    ["that is over", { claims: { exp: 1_700_000_000 } }, "token_expired", undefined],
    [
      "for somebody else",
      { claims: { aud: "https://other.example" } },
      "token_audience",
      /aud is "https:\/\/other\.example", and must name http:\/\/localhost:8787\/mcp$/,
    ],
    [
      "without the scope",
      { claims: { scope: "other" } },
      "insufficient_scope",
      /scope is "other"; \/mcp requires mcp:tools$/,
    ],
    [
      "of an unknown key",
      { header: { kid: "nobody" } },
      "token_key_unknown",
      /publishes no key with the kid "nobody"$/,
    ],
    [
      "of another issuer",
      { claims: { iss: "https://other.example" } },
      "token_issuer",
      /iss is "https:\/\/other\.example"; \/mcp accepts tokens of http/,
    ],
  ])
    test(`one ${what}: exactly why`, async () => {
      const { code, stdout } = await ask(await idp.token(audience, changes), ["--json"]);
      assert.equal(code, 1, stdout);
      const [found] = JSON.parse(stdout).resources;
      assert.equal(found.reason, reason, stdout);
      assert.equal(found.taken, false);
      if (because) assert.match(found.because, because);
    });

  test("one that was changed, and what is none", async () => {
    const [header, claims, signature] = (await idp.token(audience)).split(".");
    const other = JSON.parse(Buffer.from(claims, "base64url"));
    const forged = [
      header,
      Buffer.from(JSON.stringify({ ...other, sub: "eve" })).toString("base64url"),
      signature,
    ].join(".");
    const changed = await ask(forged);
    assert.equal(changed.code, 1);
    assert.match(changed.stdout, /rejected, 401 token_signature/);
    assert.equal((await ask("nothing-at-all")).code, 1);
    assert.equal((await portcullis(["token", "--config", config], { input: "\n" })).code, 2);
    assert.equal((await portcullis(["token", "--config", config, "--from", "NO_SUCH_VARIABLE"])).code, 2);
  });

  test("an issuer that is down decides nothing", async () => {
    const down = await file("down.json", {
      ...GOOD,
      public_url: "http://localhost:8787",
      development: true,
      issuers: [{ name: "idp", issuer: "http://127.0.0.1:9" }],
      resources: [{ ...GOOD.resources[0], issuers: ["idp"] }],
    });
    const token = await idp.token(audience, { claims: { iss: "http://127.0.0.1:9" } });
    const { code, stdout } = await portcullis(["token", "--config", down], { input: token });
    assert.equal(code, 2, stdout);
    assert.match(stdout, /rejected, 503 issuer_unavailable/);
  });
});

describe("push and rollback", PATIENCE, () => {
  let settings;
  before(async () => {
    settings = await file(
      "wrangler.toml",
      `name = "gate"
main = "none.js"
compatibility_date = "2026-11-01"
[[kv_namespaces]]
binding = "CONFIGURATION"
id = "0123456789abcdef0123456789abcdef"
[[analytics_engine_datasets]]
binding = "POINTS"
[vars.PORTCULLIS.stored]
kv = "CONFIGURATION"
[env.other]
unknown_field = "which wrangler warns of"
`,
    );
  });
  const local = () => ["--config", settings, "--local", "--persist-to", join(folder, "state"), "--json"];

  test("what was pushed is there, what was before comes back, and what is wrong never goes", async () => {
    const none = await portcullis(["rollback", ...local()]);
    assert.equal(none.code, 2);
    assert.match(JSON.parse(none.stdout).error, /no version was pushed/);

    const first = await file("first.json", GOOD);
    const second = await file("second.json", { ...GOOD, public_page: false });
    const pushed = [];
    for (const path of [first, second]) {
      const { code, stdout, stderr } = await portcullis(["push", path, ...local()]);
      assert.equal(code, 0, stderr);
      pushed.push(JSON.parse(stdout));
    }
    assert.equal(pushed[1].before, pushed[0].version);
    assert.match(pushed[0].version, /^[0-9a-f]{16}$/);

    const wrong = await file("wrong.json", { ...GOOD, resource: [] });
    const refused = await portcullis(["push", wrong, ...local()]);
    assert.equal(refused.code, 2);
    const mistake = /wrong\.json:1:\d+: resource: unknown key; did you mean `resources`\?/;
    assert.match(JSON.parse(refused.stdout).error, mistake);

    const back = await portcullis(["rollback", ...local()]);
    assert.equal(back.code, 0, back.stderr);
    assert.equal(JSON.parse(back.stdout).version, pushed[0].version);
    const listed = JSON.parse((await portcullis(["rollback", "--list", ...local()])).stdout);
    assert.deepEqual(
      listed.map(({ version, in_force }) => [version, in_force]),
      [
        [pushed[0].version, true],
        [pushed[1].version, false],
      ],
    );
    const further = await portcullis(["rollback", ...local()]);
    assert.equal(further.code, 2);
    assert.match(JSON.parse(further.stdout).error, /no earlier version was in effect/);
    const named = await portcullis(["rollback", "--to", pushed[1].version, ...local()]);
    assert.equal(JSON.parse(named.stdout).version, pushed[1].version);

    // What was taken back is not what comes back.
    const third = await portcullis(["push", await file("third.json", { ...GOOD, log: {} }), ...local()]);
    assert.equal(third.code, 0, third.stderr);
    assert.equal(JSON.parse((await portcullis(["rollback", ...local()])).stdout).version, pushed[1].version);
    assert.equal(JSON.parse((await portcullis(["rollback", ...local()])).stdout).version, pushed[0].version);

    const large = await portcullis(["push", await file("pushed.toml", LARGE), ...local()]);
    assert.equal(large.code, 0, large.stdout);
    assert.deepEqual(JSON.parse(large.stdout).findings, [], "in KV it is not too large");

    const unbound = { ...GOOD, resources: [{ ...GOOD.resources[0], origin: undefined, service: "TOOLS" }] };
    const lacking = await portcullis(["push", await file("unbound.json", unbound), ...local()]);
    assert.equal(lacking.code, 2);
    assert.match(JSON.parse(lacking.stdout).error, /resources\[0\]\.service: .* has no binding "TOOLS"/);
  });

  test("a Worker that has its document in its variable is told how that is changed", async () => {
    const { code, stderr } = await portcullis(["push", await file("any.json", GOOD)]);
    assert.equal(code, 2);
    assert.match(stderr, /has no \[vars\.PORTCULLIS\.stored\]/);
  });
});
