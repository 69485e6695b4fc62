/** `portcullis migrate`: what it rewrites, what it leaves, and what it refuses. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { portcullis } from "./support/command.mjs";

const TOML = `name = "gate"   # the Worker

[vars.PORTCULLIS]
public_url = "https://mcp.example.com"
identity_assertion = { "key_secret" = 'KEY' , seconds = 30 } # signs

[env.staging.vars.PORTCULLIS.identity_assertion]
# rotated in May
  key_secret   =   "STAGING_KEY"
`;
const MIGRATED_TOML = TOML.replace(`"key_secret" = 'KEY'`, `"key_secrets" = ['KEY']`).replace(
  'key_secret   =   "STAGING_KEY"',
  'key_secrets   =   ["STAGING_KEY"]',
);
const JSONC = `{
  // the Worker
  "vars": { "PORTCULLIS": { "identity_assertion": { "key_secret": "KEY", }, }, },
}
`;
const DOCUMENT = '{"public_url":"https://mcp.example.com","identity_assertion":{"key_secret":"KEY"}}';

describe("migrate", () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "portcullis-migrate-"));
  });
  after(() => rmSync(folder, { recursive: true }));
  const put = (name, text) => {
    writeFileSync(join(folder, name), text, { mode: 0o640 });
    return join(folder, name);
  };
  const text = (path) => readFileSync(path, "utf8");

  test("keys of all environments have their new names, and everything else stays byte for byte", async () => {
    const path = put("wrangler.toml", TOML);
    const { code, stdout } = await portcullis(["migrate", "--config", path]);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /wrangler\.toml:5:24: vars\.PORTCULLIS\.identity_assertion\.key_secret is now called key_secrets/,
    );
    assert.match(
      stdout,
      /:9:3: env\.staging\.vars\.PORTCULLIS\.identity_assertion\.key_secret is now called key_secrets/,
    );
    assert.match(stdout, /rewrote 2 keys in .*; npx portcullis check checks the result/);
    assert.equal(text(path), MIGRATED_TOML);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes("new")),
      [],
    );

    const again = await portcullis(["migrate", "--config", path]);
    assert.equal(again.code, 0);
    assert.match(again.stdout, /has no renamed keys/);
  });

  test("--dry-run writes nothing", async () => {
    const path = put("dry.toml", TOML);
    const { code, stdout } = await portcullis(["migrate", "--config", path, "--dry-run"]);
    assert.equal(code, 0);
    assert.match(stdout, /key_secret is now called key_secrets[\s\S]*nothing was written/);
    assert.equal(text(path), TOML);
  });

  test("wrangler.jsonc and a document for KV, with comments, trailing commas and a byte order mark", async () => {
    const jsonc = put("wrangler.jsonc", `\ufeff${JSONC}`);
    assert.equal((await portcullis(["migrate", "--config", jsonc])).code, 0);
    assert.equal(text(jsonc), `\ufeff${JSONC.replace('"key_secret": "KEY"', '"key_secrets": ["KEY"]')}`);
    const document = put("gateway.json", DOCUMENT);
    const printed = await portcullis(["migrate", "--json", "--config", document]);
    assert.deepEqual(JSON.parse(printed.stdout), {
      file: document,
      changes: [{ path: "identity_assertion.key_secret", line: 1, column: 63, new: "key_secrets" }],
      written: true,
    });
    assert.equal(JSON.parse(text(document)).identity_assertion.key_secrets[0], "KEY");
  });

  test("the file behind a symbolic link is rewritten, and the link stays", async () => {
    const path = put("linked.toml", TOML);
    const link = join(folder, "link.toml");
    symlinkSync(path, link);
    assert.equal((await portcullis(["migrate", "--config", link])).code, 0);
    assert.equal(text(path), MIGRATED_TOML);
  });

  test("a pipe gets the new text", async () => {
    const { code, stdout, stderr } = await portcullis(["migrate", "--config", "-"], { input: TOML });
    assert.equal(code, 0);
    assert.equal(stdout, MIGRATED_TOML);
    assert.match(stderr, /-:5:24: /);
  });

  test("names that are written with escapes", async () => {
    for (const [name, before, after] of [
      [
        "escaped.toml",
        '[vars.PORTCULLIS.identity_assertion]\n"key\\u005fsecret" = "A"\n',
        'secrets" = ["A"]',
      ],
      ["escaped.json", '{"identity_assertion":{"key\\u005fsecret":"A"}}', 'secrets":["A"]'],
    ]) {
      const path = put(name, before);
      const { code, stderr } = await portcullis(["migrate", "--config", path]);
      assert.equal(code, 0, stderr);
      assert.ok(text(path).includes(`"key_${after}`), text(path));
    }
  });

  test("a pipe by its name is refused, and waits for nothing", async () => {
    const path = join(folder, "pipe");
    assert.equal(spawnSync("mkfifo", [path]).status, 0);
    const { code, stderr } = await portcullis(["migrate", "--config", path]);
    assert.equal(code, 2);
    assert.match(stderr, /is no file: --config - reads standard input/);
  });

  test("what cannot be rewritten stays, and the message says why", async () => {
    for (const [name, content, why] of [
      [
        "both.toml",
        TOML.replace("seconds = 30", 'key_secrets = ["B"]'),
        /key_secrets is there too, which is/,
      ],
      ["number.toml", TOML.replace("'KEY'", "5"), /key_secret: must be a string before it can be rewritten/],
      ["broken.toml", "[vars", /broken\.toml: TOML parse error/],
      ["broken.json", "{", /broken\.json: /],
      ["twice.json", `{"vars":{},"vars":{"PORTCULLIS":${DOCUMENT}}}`, /the member "vars" is there twice/],
      [
        "string.toml",
        `vars = { PORTCULLIS = '${DOCUMENT}' }`,
        /vars\.PORTCULLIS: the document is JSON in a string: write it to a file of its own/,
      ],
      ["missing.toml", undefined, /missing\.toml: there is no such file/],
    ]) {
      const path = content === undefined ? join(folder, name) : put(name, content);
      const { code, stderr } = await portcullis(["migrate", "--config", path]);
      assert.equal(code, 2, name);
      assert.match(stderr, why);
      if (content !== undefined) assert.equal(text(path), content);
    }
  });

  test("check names the new key and this command", async () => {
    const path = put("old.toml", TOML);
    const { code, stderr } = await portcullis(["check", "--config", path]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /old\.toml:5:24: identity_assertion\.key_secret: is now called key_secrets: npx portcullis migrate rewrites it/,
    );
  });
});
