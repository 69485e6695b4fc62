/** docs/portcullis.d.ts: current, and what a compiler says of right and of wrong configurations. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { types } from "../../scripts/lib/types.mjs";
import { BIN, ROOT, startProcess } from "./support/processes.mjs";

const RIGHT = `
import type { PolicyExamples, PortcullisConfiguration, VerifierAnswer, VerifierRequest } from "portcullis";

export const configuration: PortcullisConfiguration = {
  public_url: "https://mcp.example.com",
  issuers: [{ name: "acme", issuer: "https://login.example" }],
  resources: [
    {
      path: "/mcp",
      origin: "https://tools.example/mcp",
      issuers: ["acme"],
      scopes: ["mcp:tools"],
      rules: [{ effect: "allow", tools: ["add"] }],
    },
  ],
};
export const stored: PortcullisConfiguration = { stored: { kv: "CONFIGURATION" } };
export function verify({ token, resource }: VerifierRequest): VerifierAnswer {
  return token === resource ? { active: true, sub: "ada", scope: "mcp:tools" } : { active: false };
}
export const examples: PolicyExamples = {
  callers: { ada: { claims: { sub: "ada" } } },
  requests: { add: { tool: "add" } },
  decisions: { ada: { add: "step_up files:write" } },
};
`;

describe("types", { timeout: 120_000 }, () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "portcullis-types-"));
    const paths = { portcullis: [join(ROOT, "docs", "portcullis.d.ts")] };
    const options = { strict: true, noEmit: true, skipLibCheck: false, module: "nodenext", types: [], paths };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options }));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function compile(text) {
    writeFileSync(join(folder, "test.ts"), text);
    const program = startProcess(join(BIN, "tsc"), ["-p", folder], { cwd: folder });
    const { code } = await program.exited;
    return { code, stdout: program.output.stdout };
  }

  test("are current", async () => {
    const file = join(ROOT, "docs", "portcullis.d.ts");
    const text = await types();
    if (process.env.UPDATE) writeFileSync(file, text);
    assert.equal(readFileSync(file, "utf8"), text, "UPDATE=1 npm run test:e2e writes docs/portcullis.d.ts");
  });

  test("take what is right", async () => {
    const { code, stdout } = await compile(RIGHT);
    assert.equal(code, 0, stdout);
  });

  for (const [what, change, why] of [
    ["an unknown key", ["public_url:", "publicurl:"], /publicurl/],
    ["an unknown effect", ['effect: "allow"', 'effect: "alow"'], /"alow"/],
    ["a value of another type", ['scopes: ["mcp:tools"]', "scopes: 5"], /number/],
    ["an answer without a subject", ['sub: "ada", ', ""], /sub|client_id/],
    ["a decision that is none", ["step_up files:write", "maybe"], /maybe/],
  ])
    test(`refuse ${what}`, async () => {
      const [from, to] = change;
      const { code, stdout } = await compile(RIGHT.replace(from, to));
      assert.notEqual(code, 0);
      assert.match(stdout, why);
    });
});
