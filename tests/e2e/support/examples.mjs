// What the tests of the examples have in common: where they are, and how they are run.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { ROOT, startProcess, within } from "./processes.mjs";
import { authorizeHeadlessly } from "./token.mjs";

export const at = (path) => join(ROOT, "examples", path);

export const read = (path) => readFileSync(at(path), "utf8");

export const requirements = (path) => read(path).trim().split("\n");

/** Nothing is left in the tree. */
export const QUIET = { PYTHONDONTWRITEBYTECODE: "1" };

/** Runs an example to its end; the browser's part is done for it, as often as it asks. */
export async function run([command, ...args], env = {}) {
  const program = startProcess(command, args, { env: { MCP_TOKEN: "", ...QUIET, ...env } });
  const logins = [];
  const pages = /Open this page to sign in:\n(\S+)\n/g;
  const browse = async () => {
    for (;;) {
      const page = await program.until(
        "a page to sign in",
        ({ stderr }) => [...stderr.matchAll(pages)][logins.length]?.[1],
        60_000,
      );
      logins.push(new URL(page).searchParams);
      await authorizeHeadlessly(page, { requestCallback: true });
    }
  };
  const browsing = browse().catch((error) => error);
  try {
    const { code } = await within(90_000, "the example", program.exited, program.tail);
    const failure = await browsing;
    if (!/the program has ended/.test(failure.message)) throw failure;
    return { code, logins, ...program.output };
  } finally {
    await program.stop();
  }
}

/** The JSON of the last line that is some. */
export const lastJson = (text) =>
  JSON.parse(
    text
      .trim()
      .split("\n")
      .findLast((line) => line.startsWith("{")),
  );

/** What the tool of that name says to a client of the SDK. */
export async function whoami(url, mode, requestInit) {
  const client = new Client({ name: "e2e", version: "1.0.0" }, { versionNegotiation: { mode } });
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    const { content, isError } = await client.callTool({ name: "whoami", arguments: {} });
    assert.notEqual(isError, true, content[0].text);
    return content[0].text;
  } finally {
    await client.close();
  }
}
