// The gateway in `wrangler dev`: its process, its build, its log.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { say } from "../lib/run.mjs";
import { root } from "../lib/tools.mjs";
import { quiet, wrangler } from "../lib/wrangler.mjs";

/** A first build on a slow machine takes some minutes. */
const PATIENCE = 15 * 60_000;
const TAIL_LINES = 40;
const BUILD = /^\[custom build\] ?/;

function parseEvent(line) {
  if (!line.startsWith('{"v":')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * Starts it. `document` replaces the one in wrangler.toml. `onEvent` gets the lines of its log, as objects, and
 * `onLine` what else it and its builds have to say once it is up.
 */
export function startGateway({ port, host, document, onEvent, onLine }) {
  const args = ["dev", "--config", join(root, "wrangler.toml"), "--ip", host, "--port", String(port)];
  // Each program that is debugged wants 9229; any other port will do here.
  args.push("--inspector-port", "0", "--show-interactive-dev-session=false");
  if (document) args.push("--var", `PORTCULLIS:${JSON.stringify(document)}`);
  const env = { ...process.env, ...quiet, NO_COLOR: "1", FORCE_COLOR: "0" };
  delete env.CLOUDFLARE_ENV; // the environment without a name is the one for here
  const child = spawn(wrangler.command, [wrangler.script, ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });

  const folder = join(root, ".wrangler");
  mkdirSync(folder, { recursive: true });
  const logPath = join(folder, `gateway-${port}.log`);
  const log = createWriteStream(logPath);
  log.on("error", (error) => say(`the log is not kept: ${error.message}`));

  const lines = [];
  const mistakes = [];
  let up = false;
  let building = "";
  let failed = false;

  function take(raw) {
    const line = stripVTControlCharacters(raw).trimEnd();
    const event = parseEvent(line);
    if (event) {
      log.write(`${line}\n`);
      if (event.reason === "configuration_invalid") mistakes.push(event.detail);
      onEvent(event);
      return;
    }
    if (line.replace(BUILD, "") === "") return;
    lines.push(line.replace(BUILD, "  "));
    lines.splice(0, lines.length - TAIL_LINES);
    building = line.match(/^\[custom build\] .*?([\w-]+) v\d+\.\d+/)?.[1] ?? building;
    if (/\[ERROR\].*custom build/.test(line)) failed = true;
    if (up) onLine(line);
  }
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", take);

  let over = false;
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(`could not be run: ${error.message}`));
    child.once("exit", (code, signal) => resolve(`ended with ${signal ?? code}`));
  }).then((how) => {
    over = true;
    return how;
  });

  const tail = () => lines.join("\n");

  /** Waits until it answers at `url`. */
  async function ready(url) {
    const begun = Date.now();
    let said = begun;
    while (Date.now() - begun < PATIENCE) {
      if (over) throw new Error(`the gateway's wrangler ${await ended}; the last that it said:\n${tail()}`);
      if (failed) throw new Error(`the Worker could not be built:\n${tail()}`);
      const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) }).catch(
        () => undefined,
      );
      if (answer?.ok) {
        up = true;
        return;
      }
      if (mistakes.length > 0) {
        throw new Error(
          `the gateway refuses its configuration, in wrangler.toml:\n  ${mistakes.join("\n  ")}`,
        );
      }
      if (answer)
        throw new Error(`the gateway answers with ${answer.status}; the last that it said:\n${tail()}`);
      if (Date.now() - said > 20_000) {
        said = Date.now();
        say(`  … building: ${Math.round((said - begun) / 1_000)} s${building && ` (${building})`}`);
      }
      await sleep(250);
    }
    throw new Error(
      `the gateway did not answer in ${PATIENCE / 60_000} minutes; the last that it said:\n${tail()}`,
    );
  }

  return {
    logPath,
    ended,
    tail,
    ready,
    async stop() {
      if (over) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
