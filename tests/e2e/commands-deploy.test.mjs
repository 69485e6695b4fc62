/** `npm run deploy` and its dry run: which configurations they refuse, before anything is built. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT, startProcess } from "./support/processes.mjs";

/** A Worker that needs no build: the smallest module of WebAssembly, and a script that imports it. */
const WASM = Buffer.from("0061736d01000000", "hex");
const SCRIPT =
  'import wasm from "./w.wasm"; export default { fetch: () => new Response(String(wasm instanceof WebAssembly.Module)) };';

/** A file of wrangler with a build command that leaves a trace. */
const settings = (document, more = "") => `name = "gate"
main = "index.js"
compatibility_date = "2026-11-01"
${more}
[build]
command = "echo the build runs"
${document}
`;
const document = (url, more = "", table = "vars.PORTCULLIS") => `[${table}]
public_url = "${url}"
${more}
[[${table}.issuers]]
name = "acme"
issuer = "https://login.acme.example"
[[${table}.resources]]
path = "/mcp"
origin = "https://tools.acme.example/mcp"
issuers = ["acme"]
`;

describe("deploy", { timeout: 400_000 }, () => {
  let folder;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "portcullis-deploy-test-"));
    await writeFile(join(folder, "index.js"), SCRIPT);
    await writeFile(join(folder, "w.wasm"), WASM);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function deploy(text, args) {
    const file = join(folder, "wrangler.toml");
    await writeFile(file, text);
    const program = startProcess("node", [join(ROOT, "scripts", "deploy.mjs"), "--config", file, ...args]);
    const { code } = await program.exited;
    return { code, ...program.output };
  }

  const good = document("https://mcp.example.com");
  const staging = document("https://staging.example.com", "publicpage = true", "env.staging.vars.PORTCULLIS");
  for (const [what, text, args, why] of [
    [
      "an unknown key",
      settings(document("https://mcp.example.com", "publicpage = true")),
      [],
      /wrangler\.toml:\d+:1: publicpage: unknown key; did you mean `public_page`\?/,
    ],
    ["a missing table", settings(""), [], /has no \[vars\.PORTCULLIS\]/],
    [
      "a missing environment",
      settings(good),
      ["--env", "staging"],
      /has no \[env\.staging\.vars\.PORTCULLIS\]/,
    ],
    ["a mistake in the environment", settings(`${good}${staging}`), ["--env", "staging"], /publicpage/],
    ["a mistake in the environment, by -e", settings(`${good}${staging}`), ["-e", "staging"], /publicpage/],
  ])
    for (const dry of [true, false])
      test(`${what}: ${dry ? "the dry run" : "the deployment"} is refused before the build`, async () => {
        const { code, stdout, stderr } = await deploy(text, [...args, ...(dry ? ["--dry-run"] : [])]);
        assert.equal(code, 2, stdout);
        assert.match(stderr, why);
        assert.doesNotMatch(stdout, /the build runs/);
      });

  test("a gateway on this machine is not deployed", async () => {
    const text = settings(document("http://localhost:8787", "development = true"));
    const { code, stderr } = await deploy(text, []);
    assert.equal(code, 2);
    assert.match(stderr, /is for a gateway on this machine/);
  });

  test("a document without mistakes is packed and weighed", async () => {
    const { code, stdout, stderr } = await deploy(settings(good), ["--dry-run"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /wrangler\.toml: valid, 0 findings/);
    assert.match(stdout, /the build runs/);
    assert.match(stdout, /bundle: .* gzipped/);
  });

  test("a document in KV without a binding: the plan has the namespace", async () => {
    const text = settings('[vars.PORTCULLIS.stored]\nkv = "CONFIGURATION"');
    const { code, stdout } = await deploy(text, ["--dry-run"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /1\. KV namespace "gate-CONFIGURATION" for stored\.kv \(binding "CONFIGURATION"\)/);
  });

  test("--document is for a configuration in KV alone", async () => {
    const { code, stderr } = await deploy(settings(good), ["--dry-run", "--document", "gateway.toml"]);
    assert.equal(code, 2);
    assert.match(stderr, /--document is for a configuration in KV/);
  });

  test("of a document in KV it is said that it is not checked, and how to check it", async () => {
    const kv = '[[kv_namespaces]]\nbinding = "CONFIGURATION"\nid = "0123456789abcdef0123456789abcdef"';
    const text = settings('[vars.PORTCULLIS.stored]\nkv = "CONFIGURATION"', kv);
    const { code, stdout, stderr } = await deploy(text, ["--dry-run"]);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /does not check the document in KV: --document FILE .*npx portcullis check --config FILE/,
    );
  });
});
