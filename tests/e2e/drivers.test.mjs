// Two drivers carry requests through the same core: that of the shell (src/worker/shell_request.rs), and that of the core
// (src/gateway/drive.rs), to which the shell leaves rare actions. For the same requests they must do the same: the answer, the
// line in the log, and what reaches the origin server.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import { send } from "./support/http.mjs";
import { assembleToken, claimsFor, makeKey } from "./support/issuer.mjs";
import { legacy, modern, shape } from "./support/policy.mjs";
import { LEGACY, MODERN, startScene } from "./support/scene.mjs";

const TOOLS = {
  tools: [{ name: "read_a" }, { name: "drop_a" }, { name: "write_a", description: "\ud83d" }, { x: 1 }],
};
const SECRET = "a secret of thirty-two characters or more";

/** A key that looks right, and is on no curve: WebCrypto refuses to import it. */
function offCurve() {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = publicKey.export({ format: "jwk" });
  const y = Buffer.from(jwk.y, "base64url");
  y[31] ^= 1;
  return { ...jwk, y: y.toString("base64url"), alg: "ES256", use: "sig" };
}

const OFF_CURVE = offCurve();

const RULES = [
  { id: "no", effect: "deny", tools: ["drop_*"], resources: ["file:///etc/*"] },
  { effect: "step_up", scopes: ["files:write"], tools: ["write_*"] },
  { effect: "allow", tools: ["*"], resources: ["*"], methods: ["ping", "initialize"] },
];

function configurations(assertionKey) {
  const bad = {
    name: "bad",
    issuer: "https://bad.example",
    algorithms: ["ES256"],
    public_key: JSON.stringify(OFF_CURVE),
  };
  const issuers = ({ idp }) => [{ name: "idp", issuer: idp.issuer }, bad];
  const resource = { issuers: ["idp", "bad"] };
  const rules = { ...resource, rules: RULES };
  return {
    plain: { resource, changes: (scene) => ({ issuers: issuers(scene) }) },
    "rules, sessions and log": {
      resource: { ...rules, limits: [{ by: ["tool"], requests: 2, seconds: 60, tools: ["often"] }] },
      changes: (scene) => ({ issuers: issuers(scene), sessions: { secrets: ["SESSION"] }, decision_log: {} }),
      secrets: { SESSION: SECRET },
    },
    "rules and assertion": {
      resource: rules,
      changes: (scene) => ({ issuers: issuers(scene), identity_assertion: { key_secrets: ["KEY"] } }),
      secrets: { KEY: JSON.stringify(assertionKey) },
    },
  };
}

/** What is asked, one after another: the second of two equal ones finds what the first left in memory. */
function cases(scene) {
  const call = (name, args = {}) => legacy("tools/call", { name, arguments: args });
  const answer = (status, fields, body) => (_, response) => response.writeHead(status, fields).end(body);
  const json = (value, status = 200) =>
    answer(status, { "content-type": "application/json" }, JSON.stringify(value));
  const events = (...values) =>
    answer(
      200,
      { "content-type": "text/event-stream" },
      values.map((value) => `id: e\ndata: ${value}\n\n`).join(""),
    );
  const list = { jsonrpc: "2.0", id: 7, result: TOOLS };
  const broken = { jsonrpc: "2.0", id: 7, result: { tools: { a: { name: "drop_a" } } } };
  const huge = {
    jsonrpc: "2.0",
    id: 7,
    result: { tools: Array.from({ length: 4000 }, (_, at) => ({ name: `read_${at}` })) },
  };
  const bad = (claims = {}) =>
    assembleToken(
      { alg: "ES256", typ: "at+jwt" },
      claimsFor("https://bad.example", scene.resourceUrl, claims),
      randomBytes(64).toString("base64url"),
    );
  const post = (message, more = {}) => ({ post: { ...message, ...more } });
  const raw = (method, target, fields = {}) => ({ send: { method, target, fields } });
  return [
    ["a token for the first time", post(call("read_a"))],
    ["a token again", post(call("read_a"))],
    ["a hidden tool", post(call("drop_a"))],
    ["a hidden URI", post(legacy("resources/read", { uri: "file:///etc/passwd" }))],
    ["a step-up", post(call("write_a"))],
    ["an odd argument", post({ ...call("x"), body: call("read_a").body.replace("{}", '{"x":"\\ud83d"}') })],
    ["a list", post(legacy("tools/list", {})), json(list)],
    ["a list in events", post(legacy("tools/list", {})), events(JSON.stringify(list))],
    ["a list that is none", post(legacy("tools/list", {})), json(broken)],
    [
      "a list that is none, in events",
      post(legacy("tools/list", {})),
      events('{"x":1}', JSON.stringify(broken), "{}"),
    ],
    ["a large list", post(legacy("tools/list", {})), json(huge)],
    ["a modern call", post(modern("tools/call", { name: "read_a", arguments: {} }))],
    [
      "modern fields that disagree",
      post(modern("tools/call", { name: "read_a", arguments: {} }, { "Mcp-Name": "x" })),
    ],
    ["no message", post({ fields: LEGACY, body: "{" })],
    [
      "a session begins",
      post(legacy("initialize", {}, { "MCP-Protocol-Version": undefined })),
      (_, response) =>
        response.writeHead(200, { "content-type": "application/json", "mcp-session-id": "s1" }).end("{}"),
    ],
    ["a session of no caller", post(call("read_a"), { fields: { ...LEGACY, "Mcp-Session-Id": "x" } })],
    ["often", post(call("often"))],
    ["often again", post(call("often"))],
    ["too often", post(call("often"))],
    ["no scope", post(call("read_a"), { token: { claims: { scope: "other" } } })],
    ["an expired token", post(call("read_a"), { token: { claims: { exp: 1_000_000_000 } } })],
    ["another audience", post(call("read_a"), { token: { audience: "https://other.example/mcp" } })],
    ["an unknown key", post(call("read_a"), { tokenText: bad({ iss: scene.idp.issuer }) })],
    ["a key that cannot be imported", post(call("read_a"), { tokenText: bad() })],
    ["no credentials", raw("POST", "/mcp", { "Content-Type": "application/json" })],
    ["no scheme", raw("POST", "/mcp", { Authorization: "x", "Content-Type": "application/json" })],
    [
      "a preflight",
      raw("OPTIONS", "/mcp", { Origin: scene.gateway.url, "Access-Control-Request-Method": "POST" }),
    ],
    ["a public document", raw("GET", "/.well-known/oauth-protected-resource/mcp")],
    ["no such path", raw("GET", "/elsewhere")],
    ["a method that is not taken", raw("PUT", "/mcp")],
    ["a stream", { stream: { ...LEGACY, Accept: "text/event-stream" } }, events(JSON.stringify(list))],
    ["the end of a session", { end: MODERN }],
    ["a server that fails", post(call("read_a")), answer(500, {}, "stack trace")],
    ["a server that redirects", post(call("read_a")), answer(302, { location: "/login?x" }, "")],
    ["a server that wants a login", post(call("read_a")), answer(401, {}, "")],
    [
      "an answer in a coding",
      post(call("read_a")),
      answer(200, { "content-type": "application/json", "content-encoding": "zstd" }, "x"),
    ],
    ["an answer without a body", post(call("read_a")), answer(202, {}, "")],
    [
      "an error of its own",
      post(call("read_a")),
      json({ jsonrpc: "2.0", id: 7, error: { code: -32602, message: "x" } }, 400),
    ],
    ["a body that is too large", post({ fields: { ...LEGACY, "Content-Length": "5000000" }, body: "{}" })],
  ];
}

/** What varies from run to run: places, ids, times, and what is sealed or signed with random parts. */
function normalized(scene, value) {
  const text = JSON.stringify(value)
    .replaceAll(scene.gateway.url, "<gateway>")
    .replaceAll(scene.idp.issuer, "<idp>")
    .replaceAll(scene.origin.authority, "<origin>")
    .replaceAll(`127.0.0.1:${scene.gateway.port}`, "<gateway host>")
    .replace(/\b[0-9a-f]{32}\b/g, "<id>")
    .replace(/00-<id>-[0-9a-f]{16}-0[01]/g, "<trace>")
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "<jwt>");
  return JSON.parse(text);
}

async function outcomeOf(scene, [what, how, answer]) {
  scene.origin.reset(answer);
  const before = scene.gateway.events().length;
  let reply;
  if (how.post) {
    const { token: changes, tokenText, ...rest } = how.post;
    const token = tokenText ?? (changes ? await scene.token(changes) : scene.good);
    reply = await scene.post({ ...rest, token });
  } else if (how.send) reply = await send(scene.gateway, how.send);
  else {
    const fields = { Authorization: `Bearer ${scene.good}`, ...(how.stream ?? how.end) };
    reply = await send(scene.gateway, { method: how.stream ? "GET" : "DELETE", fields });
  }
  await new Promise((resolve) => setTimeout(resolve, 30));
  const dropped = new Set([
    "time",
    "request_id",
    "trace_id",
    "span_id",
    "duration_ms",
    "authentication_ms",
    "origin_ms",
  ]);
  dropped.add("subject").add("run").add("prev").add("hash").add("seq").add("arguments").add("policy");
  const log = scene.gateway
    .events()
    .slice(before)
    .map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !dropped.has(name))));
  const seen = shape({ ...reply, fields: { "x-request-id": "none", ...reply.fields } });
  // What is left of the period of a limit is another number of seconds in each run.
  const varies = {
    "mcp-session-id": "<sealed>",
    ...(what === "too often" && { "retry-after": "<seconds>" }),
  };
  seen.fields = seen.fields.map(([name, value]) => [name, varies[name] ?? value]);
  seen.body = seen.body.replace(/^id: [\w-]{22}\./gm, "id: <mark>.");
  const sent = scene.origin.requests.map(({ method, url, headers, body }) => ({
    method,
    url,
    headers,
    body,
  }));
  return normalized(scene, { what, seen, complete: reply.complete, log, sent });
}

test("both drivers do the same", { timeout: 240_000 }, async (t) => {
  const { privateJwk } = await makeKey("ES256", "assertion");
  const key = { ...privateJwk, kid: "assertion", alg: "ES256" };
  for (const [name, options] of Object.entries(configurations(key))) {
    await t.test(name, async () => {
      const scenes = await Promise.all([
        startScene(options),
        startScene({ ...options, vars: { PORTCULLIS_DRIVER: "core" } }),
      ]);
      try {
        for (const scene of scenes) scene.good = await scene.token({ claims: { jti: "one", sub: "ada" } });
        const [shells, cores] = scenes.map(cases);
        const statuses = new Set();
        for (const [at, one] of shells.entries()) {
          const shell = await outcomeOf(scenes[0], one);
          const core = await outcomeOf(scenes[1], cores[at]);
          assert.deepEqual(core, shell, `${name}: ${one[0]}`);
          statuses.add(shell.seen.status);
        }
        for (const status of [200, 401, 403, 404, 502])
          assert.ok(statuses.has(status), `${status} was never seen`);
      } finally {
        await Promise.all(scenes.map((scene) => scene.close()));
      }
    });
  }
});
