// Runs the gateway in `wrangler dev`: its process, its build, its log.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
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
 * Starts the gateway. `config` is its wrangler.toml, `envFile` a file with secrets; `document` replaces the configuration document
 * in wrangler.toml. `onEvent` gets the lines of the gateway's log, as objects; `onLine` gets all other output of wrangler and of
 * its builds, once the gateway is up.
 */
export function startGateway({ port, host, config, envFile, document, onEvent, onLine }) {
  const args = ["dev", "--config", config, "--ip", host, "--port", String(port)];
  args.push("--persist-to", join(root, ".wrangler", "state"));
  if (envFile) args.push("--env-file", envFile);
  // Any free port, because other programs that are debugged use the default, 9229.
  args.push("--inspector-port", "0", "--show-interactive-dev-session=false");
  if (document) args.push("--var", `PORTCULLIS:${JSON.stringify(document)}`);
  const env = { ...process.env, ...quiet, NO_COLOR: "1", FORCE_COLOR: "0", RUST_BACKTRACE: "0" };
  delete env.CLOUDFLARE_ENV; // the top level of wrangler.toml is the configuration for this machine
  const child = spawn(wrangler.command, [wrangler.script, ...args], {
    cwd: dirname(config),
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });

  const folder = join(root, ".wrangler");
  mkdirSync(folder, { recursive: true });
  const logPath = join(folder, `gateway-${port}.log`);
  const log = createWriteStream(logPath);
  log.on("error", (error) => say(`the log file cannot be written: ${error.message}`));

  const lines = [];
  const build = [];
  const mistakes = [];
  let up = false;
  let heard = false;
  let crate = "";
  let failed = false;
  let broken = false;
  let dump = false;

  function takeBuild(line) {
    if (line.startsWith("Running:")) {
      build.length = 0;
      if (up) say("building the Worker again");
      return;
    }
    if (line !== "") build.push(line);
    if (line.includes("wasm-opt")) crate = "";
    crate = line.match(/([\w-]+) v\d+\.\d+/)?.[1] ?? crate;
  }

  function take(raw) {
    const line = stripVTControlCharacters(raw).trimEnd();
    const event = parseEvent(line);
    if (event) {
      heard = true;
      log.write(`${line}\n`);
      if (event.reason === "configuration_invalid") mistakes.push(event.detail);
      onEvent(event);
      return;
    }
    if (BUILD.test(line)) return takeBuild(line.replace(BUILD, ""));
    // Before it reports a failed build, wrangler dumps its own error object in hundreds of lines: leave them out.
    if (dump && /^(\s|\}|$)/.test(line)) return;
    dump = /^✘ \[ERROR\].*Process exited with/.test(line);
    if (dump || line === "") return;
    if (/\[ERROR\].*custom build/.test(line)) {
      failed = true;
      if (up)
        onLine(`the Worker could not be built; requests wait until a build succeeds:\n${build.join("\n")}`);
      return;
    }
    lines.push(line);
    lines.splice(0, lines.length - TAIL_LINES);
    if (up) onLine(line);
    else if (line.startsWith("✘ [ERROR]")) broken = true;
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

  /** Waits until the gateway answers at `url`. */
  async function ready(url) {
    const begun = Date.now();
    let said = begun;
    while (Date.now() - begun < PATIENCE) {
      if (over) throw new Error(`wrangler ${await ended}; its last output:\n${tail()}`);
      if (failed) throw new Error(`the Worker could not be built:\n${build.join("\n")}`);
      if (broken) {
        await sleep(1_000); // more lines of the error may follow
        throw new Error(`the gateway cannot be started:\n${tail()}`);
      }
      const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) }).catch(
        () => undefined,
      );
      // Our gateway has written a line to its log; without one, another program answers at this port.
      if (answer?.ok && heard) {
        up = true;
        return;
      }
      if (answer && !answer.ok) {
        await sleep(1_000); // the log line with the reason arrives over another stream
        if (mistakes.length === 0) throw new Error(`the gateway answers with ${answer.status}:\n${tail()}`);
        throw new Error(
          `the gateway rejects its configuration in wrangler.toml:\n  ${mistakes.join("\n  ")}`,
        );
      }
      if (Date.now() - said > 20_000) {
        said = Date.now();
        say(`  … ${Math.round((said - begun) / 1_000)} s${crate && `, compiling ${crate}`}`);
      }
      await sleep(250);
    }
    throw new Error(
      `the gateway did not answer within ${PATIENCE / 60_000} minutes; the last output of wrangler:\n${tail()}`,
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
