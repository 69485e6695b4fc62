// The official suite for authorization servers, against the gateway as one. A scenario waits for a user with a browser:
// here is what such a user does.
import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../e2e/support/processes.mjs";
import { authorizeHeadlessly } from "../e2e/support/token.mjs";
import { failuresOf, modules, readResults, suite } from "./suite.mjs";

export const SCENARIOS = ["authorization-server-metadata-endpoint", "authorization-code-grant"];
const TIMEOUT_MS = 60_000;

/** Runs both scenarios: each with the checks that failed. */
export async function runAuthorization(results) {
  const { startLogin } = await import("../e2e/support/login.mjs");
  const directory = join(results, "authorization");
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const scene = await startLogin({
    server: { clients: [{ client_id: "conformance", redirect_uris: [`http://127.0.0.1:${port}/callback`] }] },
  });
  try {
    const args = ["authorization", "--url", scene.issuer, "--client-id", "conformance"];
    args.push("--resource", scene.resource, "-p", String(port), "--output-dir", directory, "--verbose");
    const child = spawn(join(modules, ".bin/node"), [join(suite, "dist/index.js"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    child.stderr.resume();
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      const url = output.match(/^(http\S+\/authorize\?\S+)$/m)?.[1];
      if (url === undefined) return;
      output = "";
      authorizeHeadlessly(url, { requestCallback: true }).catch((error) => console.log(`  ${error.message}`));
    });
    const trouble = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (_code, signal) =>
        resolve(signal ? `the suite was stopped by ${signal}` : undefined),
      );
    });
    const written = await readResults(directory, /^authorization-server-(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/);
    return {
      scenarios: SCENARIOS.map((name) => ({ name, failures: failuresOf(written.get(name)) })),
      trouble,
    };
  } finally {
    await scene.close();
  }
}
