/** What the commands of `npx portcullis` print where the reader needs more than a verdict. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { REASONS, span } from "../../scripts/commands/token.mjs";
import { portcullis } from "./support/command.mjs";
import { ROOT } from "./support/processes.mjs";

const PATIENCE = { timeout: 400_000 };

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "portcullis-texts-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const file = async (name, text) => {
  const path = join(folder, name);
  await writeFile(path, typeof text === "string" ? text : JSON.stringify(text, undefined, 2));
  return path;
};

const GOOD = {
  public_url: "https://mcp.example.com",
  issuers: [{ name: "acme", issuer: "https://login.acme.example" }],
  resources: [
    { path: "/mcp", origin: "https://tools.acme.example/mcp", issuers: ["acme"], scopes: ["mcp:tools"] },
  ],
};
const [RESOURCE] = GOOD.resources;
const EXAMPLE = join(ROOT, "examples", "policy");

describe("check", PATIENCE, () => {
  /** The paths of the mistakes in a document. */
  const mistaken = async (document) => {
    const { code, stdout } = await portcullis([
      "check",
      "--json",
      "--config",
      await file("m.json", document),
    ]);
    assert.equal(code, 2, stdout);
    return JSON.parse(stdout)
      .mistakes.map(({ path }) => path)
      .sort();
  };
  const withResource = (more) => ({ ...GOOD, resources: [{ ...RESOURCE, ...more }] });
  const BAD_ORIGIN = "http://tools.acme.example/mcp";

  for (const [what, document, paths] of [
    [
      "a name that is not one of the known names",
      withResource({ origin: BAD_ORIGIN, rules: [{ effect: "alow", tools: ["a"] }] }),
      ["resources[0].origin", "resources[0].rules[0].effect"],
    ],
    [
      "a missing value",
      withResource({ origin: BAD_ORIGIN, rules: [{ tools: ["a"] }] }),
      ["resources[0].origin", "resources[0].rules[0].effect"],
    ],
    [
      "a missing path",
      { ...GOOD, resources: [{ ...RESOURCE, path: undefined, origin: BAD_ORIGIN }] },
      ["resources[0].origin", "resources[0].path"],
    ],
    [
      "an element of the wrong kind",
      withResource({ origin: BAD_ORIGIN, scopes: ["a", 7] }),
      ["resources[0].origin", "resources[0].scopes[1]"],
    ],
    [
      "a missing public_url, and a name that is in use",
      { ...GOOD, public_url: undefined, issuers: [GOOD.issuers[0], GOOD.issuers[0]] },
      ["issuers[1].issuer", "issuers[1].name", "public_url"],
    ],
    [
      "an issuer without its identifier, which resources name",
      { ...withResource({ origin: BAD_ORIGIN }), issuers: [{ name: "acme" }] },
      ["issuers[0].issuer", "resources[0].origin"],
    ],
    [
      "issuers of the wrong kind, which resources name",
      { ...withResource({ origin: BAD_ORIGIN }), issuers: "acme" },
      ["issuers", "resources[0].origin"],
    ],
    ["a resource of the wrong kind", { ...GOOD, resources: ["/mcp"] }, ["resources[0]"]],
  ])
    test(`mistakes of meaning beside ${what}, and none that are not the operator's`, async () => {
      assert.deepEqual(await mistaken(document), paths);
    });

  test("says what may have how many bytes", async () => {
    const stored = await portcullis(["check", "--config", await file("good.json", GOOD)]);
    assert.match(
      stored.stdout,
      /: valid, 0 findings; the document has \d+ bytes, and a gateway reads at most 1048576 from KV$/m,
    );
    const { stdout } = await portcullis(["check", "--config", join(ROOT, "wrangler.toml")]);
    assert.match(
      stdout,
      /; the document has \d+ bytes, and PORTCULLIS, one environment variable of a Worker, holds 5120 \(5 KB\)$/m,
    );
  });
});

describe("explain and replay", PATIENCE, () => {
  test("scopes may be separated by spaces and by commas", async () => {
    const config = ["--config", join(EXAMPLE, "wrangler.toml"), "--claims", join(EXAMPLE, "ada.json")];
    const by = async (scopes) => {
      const said = await portcullis(["explain", "--json", ...config, "--tool", "delete_file", ...scopes]);
      const { verdict, missing_scopes } = JSON.parse(said.stdout);
      return [verdict, missing_scopes];
    };
    assert.deepEqual(await by([]), ["step_up", ""]);
    for (const scopes of ["files:write other", "files:write,other", "other, files:write"])
      assert.deepEqual(await by(["--scopes", scopes]), ["allow", ""], scopes);
  });

  test("a log without decisions: how a gateway writes them", async () => {
    const log = await file("requests.log", `${JSON.stringify({ v: 1, event: "request", status: 200 })}\n`);
    const args = ["replay", "--config", join(EXAMPLE, "wrangler.toml"), "--log", log];
    const { code, stdout } = await portcullis(args);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^the log has no decisions: the gateway writes a line with "event": "decision" .*\[vars\.PORTCULLIS\.decision_log\]/m,
    );
  });
});

describe("token", PATIENCE, () => {
  /** Reasons of requests that have a mistake, or of what follows the credential: this command has no such request. */
  const ELSEWHERE = [
    ...["ambiguous_path", "body_cut_short", "body_too_large", "caller_gone", "fields_disagree"],
    ...[
      "definition_changed",
      "definition_not_locked",
      "guard_denied",
      "bound_exceeded",
      "schema_mismatch",
      "hook_denied",
      "hook_failed",
      "budget_spent",
      "budget_unavailable",
      "approval_needed",
      "approvals_unavailable",
      "call_denied",
      "not_approvable",
      "sign_in_not_enough",
    ],
    ...["foreign_host", "foreign_origin", "https_required", "malformed_content_length", "malformed_field"],
    ...["malformed_message", "method_not_allowed", "not_connected", "not_found", "not_permitted"],
    ...[
      "origin_credential_denied",
      "origin_credential_failed",
      "origin_credential_unavailable",
      "origin_failed",
    ],
    ...[
      "origin_malformed",
      "origin_redirected",
      "origin_timeout",
      "origin_unauthorized",
      "origin_unreachable",
    ],
    ...["cursor_unknown", "version_unsupported", "rate_limited", "servers_left_out", "session_unknown"],
    ...["state_unknown", "task_unknown", "token_in_query"],
    ...["unsupported_media_type", "url_too_long"],
  ];

  test("has a sentence for each reason of the Worker", async () => {
    const sources = [
      "pipeline/rejection.rs",
      "content/fault.rs",
      "policy/lock.rs",
      "token/error.rs",
      "token/binding/proof.rs",
    ];
    const found = [];
    for (const source of sources) {
      const text = await readFile(join(ROOT, "src", source), "utf8");
      for (const [, body] of text.matchAll(/fn reason\(&?self\) -> &'static str \{(.*?)\n {4}\}\n/gs))
        found.push(...[...body.matchAll(/=> "(\w+)"/g)].map(([, reason]) => reason));
    }
    assert.ok(found.length > 70, `${found.length}`);
    assert.deepEqual([...found].sort(), [...Object.keys(REASONS), ...ELSEWHERE].sort());
    for (const sentence of Object.values(REASONS)) assert.match(sentence, /^[A-Za-z].*[^.]\.$/);
  });

  test("prints the sentence, and ages in a unit that can be read", async () => {
    const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = {
      iss: "https://other.example",
      sub: "a",
      iat: 3,
      exp: Math.floor(Date.now() / 1000) + 7_300,
    };
    const token = `${encoded({ alg: "RS256", kid: "a" })}.${encoded(claims)}.${"A".repeat(342)}`;
    const args = ["token", "--config", await file("token.json", GOOD)];
    const { code, stdout } = await portcullis(args, { input: token });
    assert.equal(code, 1);
    assert.match(stdout, /^iat +3 {2}\(1970-01-01T00:00:03\.000Z, \d\d years ago\)$/m);
    assert.match(stdout, /^exp .*, in 2 hours\)$/m);
    assert.match(
      stdout,
      /rejected, 401 token_issuer\n {2}No issuer of the resource has the identifier in iss\.\n/,
    );
    const json = await portcullis([...args, "--json"], { input: token });
    assert.equal(JSON.parse(json.stdout).resources[0].sentence, REASONS.token_issuer);
  });

  test("the units of a span", () => {
    const spans = [
      [0, "0 seconds"],
      [1, "1 second"],
      [119, "119 seconds"],
      [120, "2 minutes"],
      [7_199, "119 minutes"],
      [7_200, "2 hours"],
      [172_800, "2 days"],
      [6_000_000, "2 months"],
      [1_795_882_860, "56 years"],
    ];
    for (const [seconds, text] of spans) assert.equal(span(seconds), text);
  });
});

describe("doctor", PATIENCE, () => {
  test("a server that does not answer: the reason alone, and no advice on DNS for this machine", async () => {
    const { code, stdout } = await portcullis(["doctor", "http://localhost:1022/mcp"]);
    assert.equal(code, 1);
    assert.match(stdout, /^ {2}✗ localhost:1022: no server listens at this address {2}\(unreachable\)\n/);
    assert.doesNotMatch(stdout, /DNS|Claude|probes of both eras|--token-from/);
    assert.match(stdout, /start the server on this machine/);
  });

  test("a host name that does not exist is about DNS", async () => {
    const { stdout } = await portcullis(["doctor", "https://nowhere.invalid/mcp"]);
    assert.match(stdout, /^ {2}✗ nowhere\.invalid: .*\(unreachable\)\n/);
  });
});
