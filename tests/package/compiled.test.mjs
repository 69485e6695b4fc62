/** A Worker with a verifier that is compiled in: examples/compiled-verifier, built as its users would. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startGateway } from "../e2e/support/gateway.mjs";
import { startWitness } from "../e2e/support/origin.mjs";
import { ROOT, startProcess } from "../e2e/support/processes.mjs";

const CRATE = join(ROOT, "examples", "compiled-verifier");
const tickets = JSON.parse(readFileSync(join(ROOT, "tests", "vectors", "tickets.json"), "utf8"));

const build = async (args) => {
  const program = startProcess("node", [join(ROOT, "scripts", "portcullis.mjs"), "build", ...args], {
    // What is compiled already need not be compiled again.
    env: { CARGO_TARGET_DIR: join(ROOT, "target") },
  });
  const { code } = await program.exited;
  return { code, ...program.output };
};

describe("a verifier that is compiled in", { timeout: 15 * 60_000 }, () => {
  let origin;
  let gateway;

  const start = (folder) =>
    startGateway({
      build: folder,
      config: (url) => ({
        public_url: url,
        development: true,
        verifiers: [{ name: "tickets", compiled: true, token_prefix: "ticket_" }],
        resources: [{ path: "/mcp", origin: origin.url, verifiers: ["tickets"], scopes: ["mcp:tools"] }],
      }),
    });
  const call = async (ticket) => {
    const response = await fetch(`${gateway.url}/mcp`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${ticket}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    });
    await response.text();
    const [last] = gateway
      .events()
      .filter(({ event }) => event === "request")
      .slice(-1);
    return { status: response.status, reason: last.reason, subject: last.label };
  };

  before(
    async () => {
      origin = await startWitness();
      const { code, stdout, stderr } = await build(["--crate", CRATE, "--quick"]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /built .*compiled-verifier[\\/]build/);
      gateway = await start(join(CRATE, "build"));
    },
    { timeout: 15 * 60_000 },
  );
  after(async () => {
    await gateway?.close();
    await origin?.close();
  });

  test("what it accepts reaches the origin server", async () => {
    for (let at = 0; at < 2; at += 1) {
      const { status, subject } = await call(tickets.valid);
      assert.deepEqual({ status, subject }, { status: 200, subject: "ticket" });
    }
  });

  for (const [name, reason] of [
    ["expired", "token_expired"],
    ["forged", "token_signature"],
    ["empty", "token_claim_missing"],
  ])
    test(`a ticket that is ${name} does not`, async () => {
      assert.deepEqual(await call(tickets[name]), { status: 401, reason, subject: undefined });
    });

  test("a Worker without the verifier refuses the configuration", async () => {
    const other = await start(join(ROOT, "build-full"));
    try {
      const response = await fetch(`${other.url}/mcp`, { method: "POST", body: "{}" });
      assert.equal(response.status, 503);
      const [mistake] = other.events().filter(({ reason }) => reason === "configuration_invalid");
      assert.match(mistake.detail, /no verifier "tickets" is compiled into this Worker/);
    } finally {
      await other.close();
    }
  });

  test("a folder that is no crate is refused", async () => {
    const { code, stderr } = await build(["--crate", join(ROOT, "docs")]);
    assert.equal(code, 2);
    assert.match(stderr, /docs has no Cargo\.toml/);
  });
});
