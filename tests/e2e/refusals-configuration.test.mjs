/** A gateway whose configuration is not valid lets nothing through, and its log says everything that is wrong. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./support/gateway.mjs";
import { send } from "./support/http.mjs";
import { startWitness } from "./support/origin.mjs";
import { assertRefused } from "./support/refusal.mjs";

let origin;
before(async () => {
  origin = await startWitness();
});
after(() => origin?.close());

const document = (url, changes = {}) => ({
  public_url: url,
  development: true,
  issuers: [{ name: "idp", issuer: "http://127.0.0.1:9" }],
  resources: [{ path: "/mcp", origin: origin.url, issuers: ["idp"] }],
  public_paths: [{ path: "/logo.svg", origin: origin.url }],
  ...changes,
});

const REQUESTS = [
  { method: "GET", target: "/mcp" },
  { method: "POST", target: "/mcp", fields: { "Content-Type": "application/json" }, body: "{}" },
  { method: "POST", target: "/mcp", fields: { Authorization: "Bearer aaaaa.bbbbb.ccccc" }, body: "{}" },
  { method: "OPTIONS", target: "/mcp", fields: { Origin: "https://app.example" } },
  { method: "GET", target: "/healthz" },
  { method: "HEAD", target: "/healthz" },
  { method: "GET", target: "/logo.svg" },
  { method: "GET", target: "/.well-known/oauth-protected-resource/mcp" },
  { method: "GET", target: "/.well-known/jwks.json" },
  { method: "GET", target: "/", fields: { Host: "evil.example" } },
];

const mistakesOf = (gateway) =>
  gateway
    .events()
    .filter(({ event, reason }) => event === "gateway" && reason === "configuration_invalid")
    .map(({ detail }) => detail);

/**
 * Each of `REQUESTS` is refused with 503; all `mistakes`, whole lines or their paths alone, are in the log once,
 * before the first of them.
 */
async function assertClosed(gateway, mistakes) {
  for (const request of REQUESTS) {
    const answer = await send(gateway, request);
    const head = request.method === "HEAD";
    await assertRefused(gateway, answer, { status: 503, reason: "misconfigured", head });
    assert.equal(answer.fields["access-control-allow-origin"], undefined);
  }
  assert.deepEqual(origin.requests, [], "nothing reaches the origin server");

  const found = mistakesOf(gateway);
  const byPath = (lines) => lines.map((line) => line.split(": ", 1)[0]).sort();
  assert.deepEqual(byPath(found), byPath(mistakes));
  for (const line of found) assert.match(line, /^[\w.[\]]+: .{10,}$/, "the path, and what would be right");
  for (const mistake of mistakes.filter((line) => line.includes(": ")))
    assert.ok(found.includes(mistake), mistake);
  const first = gateway.events().findIndex(({ event }) => event === "request");
  const last = gateway.events().findLastIndex(({ reason }) => reason === "configuration_invalid");
  assert.ok(last < first, "the mistakes are said at once, before the first request is refused");
}

const CASES = {
  "PORTCULLIS is missing": {
    config: undefined,
    mistakes: ["PORTCULLIS: is required: a table [vars.PORTCULLIS] in wrangler.toml"],
  },
  "PORTCULLIS is a text that is no JSON": {
    config: () => '{"public_url": ',
    mistakes: ["PORTCULLIS: must be a table, or one as JSON; the text is cut short (line 1, column 15)"],
  },
  "PORTCULLIS is empty": {
    config: () => ({}),
    mistakes: ["public_url: is required", "resources: is required"],
  },
  "keys are unknown and values have the wrong type": {
    config: (url) => document(url, { publicurl: "x", development: "yes", allowed_hosts: "all" }),
    mistakes: [
      'allowed_hosts: must be an array, got "all"',
      'development: must be true or false, got "yes"',
      "publicurl: unknown key; did you mean `public_url`? known here: public_url, development, allowed_hosts, allowed_origins, issuers, api_keys, verifiers, resources, public_paths, scope_includes, dpop, authorization_server, revocation, identity_assertion, sessions, decision_log, public_page, operator, metrics, log, stored",
    ],
  },
  "values are wrong in several places": {
    config: (url) =>
      document(`${url}/`, {
        issuers: [
          { name: "a b", issuer: "http://login.example", algorithms: ["HS256"], leeway_seconds: 999 },
        ],
        resources: [
          { path: "/mcp/", origin: "ftp://x", issuers: ["nobody"], scopes: ["a b"], body_bytes: 0 },
        ],
        public_paths: [],
        allowed_hosts: ["exa mple"],
        allowed_origins: ["*"],
        identity_assertion: { key_secrets: ["NOT_THERE"] },
      }),
    mistakes: [
      "public_url",
      "issuers[0].name",
      "issuers[0].issuer",
      "issuers[0].algorithms[0]",
      "issuers[0].leeway_seconds",
      "resources[0].path",
      "resources[0].origin",
      "resources[0].issuers[0]",
      "resources[0].scopes[0]",
      "resources[0].body_bytes",
      "identity_assertion.key_secrets[0]",
      "allowed_hosts[0]",
      "allowed_origins[0]",
    ],
  },
};

for (const [what, { config, mistakes }] of Object.entries(CASES)) {
  describe(`where ${what}`, () => {
    let gateway;
    before(async () => {
      gateway = await startGateway({ config });
    });
    after(() => gateway?.close());

    test("every request is refused, and every mistake is in the log at once", () =>
      assertClosed(gateway, mistakes));
  });
}

test("a secret that is no key is not in the log", async () => {
  const secret = "a-very-secret-thing-0123456789";
  const config = (url) => document(url, { identity_assertion: { key_secrets: ["KEY"] } });
  const gateway = await startGateway({ config, secrets: { KEY: secret } });
  try {
    await assertClosed(gateway, [
      "identity_assertion.key_secrets[0]: the secret must be a private JWK as JSON; it is not JSON (line 1, column 1)",
    ]);
    assert.ok(!gateway.logs.some((line) => line.includes(secret.slice(0, 12))));
  } finally {
    await gateway.close();
  }
});

test("a document as a JSON string is as good as a table", async () => {
  const gateway = await startGateway({ config: (url) => JSON.stringify(document(url)) });
  try {
    assert.equal((await send(gateway, { target: "/healthz" })).status, 200);
  } finally {
    await gateway.close();
  }
});
