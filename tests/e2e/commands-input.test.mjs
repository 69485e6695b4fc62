/** What the commands of `npx portcullis` read from standard input: a slow pipe, nothing, and too much. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT, startProcess } from "./support/processes.mjs";

const COMMAND = join(ROOT, "scripts", "portcullis.mjs");
const POLICY = join(ROOT, "examples", "policy");
/** Runs its arguments as a command, as npx does: it sets the pipe that both of them have to non-blocking mode. */
const LIKE_NPX = `process.stdin.isTTY;
const { status } = require("node:child_process").spawnSync(process.execPath, process.argv.slice(1), { stdio: "inherit" });
process.exit(status);`;
/** A pipe of the shell: the pipes of Node are sockets. */
const PIPELINE = '(sleep 1; cat "$INPUT") | node -e "$LIKE_NPX" -- "$@"';

const GOOD = {
  public_url: "https://mcp.example.com",
  issuers: [{ name: "acme", issuer: "https://login.acme.example" }],
  resources: [
    { path: "/mcp", origin: "https://tools.acme.example/mcp", issuers: ["acme"], scopes: ["mcp:tools"] },
  ],
  identity_assertion: { key_secrets: ["KEY"] },
};

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "portcullis-input-"));
  await writeFile(join(folder, "config.json"), JSON.stringify(GOOD));
});
after(() => rm(folder, { recursive: true, force: true }));

async function piped(args, input) {
  const file = join(folder, "input");
  await writeFile(file, input);
  const program = startProcess("bash", ["-c", PIPELINE, "bash", COMMAND, ...args], {
    env: { INPUT: file, LIKE_NPX },
  });
  const { code } = await program.exited;
  return { code, ...program.output };
}

const config = () => ["--config", join(folder, "config.json")];
const policy = ["--config", join(POLICY, "wrangler.toml")];
const sample = (name) => readFile(join(POLICY, name), "utf8");
const jwk = JSON.stringify({ kty: "OKP", crv: "Ed25519", x: "A".repeat(43), d: "A".repeat(43) });

/** The command, what it reads, and the exit status and output after a slow pipe. */
const READERS = [
  ["token", () => ["token", ...config()], () => "not-a-jwt\n", 1, /the token is not a JWT/],
  ["keys show", () => ["keys", "show"], () => `${jwk}\n`, 0, /"kid":/],
  ["keys rotate", () => ["keys", "rotate", "--config", "-"], () => JSON.stringify(GOOD), 0, /KEY_2/],
  ["check", () => ["check", "--config", "-"], () => JSON.stringify(GOOD), 0, /-: valid/],
  ["check, with =", () => ["check", "--config=-"], () => JSON.stringify(GOOD), 0, /-: valid/],
  ["check --list", () => ["check", ...policy, "--list", "-"], () => '{"tools":[]}', 0, /0 listed/],
  ["document", () => ["document", "--config", "-"], () => JSON.stringify(GOOD), 0, /public_url/],
  [
    "explain",
    () => ["explain", ...policy, "--tool", "delete_file", "--claims", "-"],
    () => sample("ada.json"),
    1,
    /step_up/,
  ],
  ["replay", () => ["replay", ...policy, "--log", "-"], () => sample("decisions.log"), 1, /line 2/],
];

describe("standard input", { timeout: 400_000 }, () => {
  for (const [name, args, input, expected, output] of READERS) {
    test(`${name}: a pipe whose writer is slow`, async () => {
      const { code, stdout, stderr } = await piped(args(), await input());
      assert.equal(code, expected, stderr);
      assert.match(stdout, output);
      assert.doesNotMatch(stderr, /EAGAIN|temporarily unavailable/);
    });

    test(`${name}: a pipe without a text is refused`, async () => {
      const { code, stderr } = await piped(args(), "\n");
      assert.equal(code, 2, stderr);
      assert.match(stderr, /standard input .*is empty/);
    });
  }

  test("more than any token or key is refused", async () => {
    for (const args of [
      ["token", ...config()],
      ["keys", "show"],
    ]) {
      const { code, stderr } = await piped(args, "a".repeat(65_537));
      assert.equal(code, 2, stderr);
      assert.match(stderr, /has more than 65536 bytes/);
    }
  });

  test("a terminal is refused", async (context) => {
    // `script` runs a command in a terminal of its own.
    for (const command of ["token", "keys show", "check --config -"]) {
      const line = `node ${COMMAND} ${command}`;
      const program = startProcess("script", ["--quiet", "--return", "--command", line, "/dev/null"]);
      const { code, error } = await program.exited;
      if (error?.code === "ENOENT") return context.skip("this machine has no program `script`");
      assert.equal(code, 2, program.output.stdout);
      assert.match(program.output.stdout, /is a terminal: use a pipe/);
    }
  });

  test("one standard input cannot be the token and the configuration", async () => {
    const { code, stderr } = await piped(["token", "--config", "-"], "a");
    assert.equal(code, 2);
    assert.match(stderr, /cannot have both the token and the configuration: use --from/);
  });

  test("a file is named relative to the user's folder, also with =", async () => {
    const program = startProcess("node", [COMMAND, "check", "--config=config.json"], { cwd: folder });
    const { code } = await program.exited;
    assert.equal(code, 0, program.output.stderr);
  });
});
