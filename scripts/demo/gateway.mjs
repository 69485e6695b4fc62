// Runs the gateway in `wrangler dev`: its process, its build, its log.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { say } from "../lib/run.mjs";
import { project } from "../lib/tools.mjs";
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

/** What wrangler prints at each change of its configuration, and what says less than this program does. */
const NOISE = /^(⎔ |Your Worker has access to the following bindings|Binding +Resource|env\.\w+ )/;
const UPDATED = /^⎔ .*updated and ready/;

/** Whether an event says what `change` returns, or is its own request to /healthz. */
const isOfProbe = ({ event, reason, resource }) =>
  reason === "configuration_invalid" ||
  (event === "request" && resource === undefined && ["public_document", "misconfigured"].includes(reason));

/**
 * Starts the gateway. `folder` has its wrangler.toml, `settings` is what that contains, with the ports of this run; `envFile` is a
 * file with secrets. `onEvent` gets the lines of the gateway's log, as objects; `onLine` gets all other output of wrangler and of
 * its builds, once the gateway is up.
 *
 * wrangler reads the settings from a file of its own beside wrangler.toml, where relative paths mean the same: an edit of
 * wrangler.toml takes effect only where `change` is called with the new settings.
 */
export function startGateway({ port, host, folder: place, settings, envFile, onEvent, onLine }) {
  const config = join(place, `.wrangler-start-${port}.json`);
  let current = settings;
  const write = (settings) =>
    writeFileSync(config, `${JSON.stringify(settings, undefined, 2)}\n`, { mode: 0o600 });
  write(settings);
  const args = ["dev", "--config", config, "--ip", host, "--port", String(port)];
  args.push("--persist-to", join(project, ".wrangler", "state"));
  if (envFile) args.push("--env-file", envFile);
  // Any free port, because other programs that are debugged use the default, 9229.
  args.push("--inspector-port", "0", "--show-interactive-dev-session=false");
  const env = { ...process.env, ...quiet, NO_COLOR: "1", FORCE_COLOR: "0", RUST_BACKTRACE: "0" };
  delete env.CLOUDFLARE_ENV; // the top level of wrangler.toml is the configuration for this machine
  const child = spawn(wrangler.command, [wrangler.script, ...args], {
    cwd: place,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });

  const folder = join(project, ".wrangler");
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
  /** Set while wrangler takes new settings: gets `undefined` when it has, or the reason why it cannot. */
  let changed;
  let probing = false;

  function takeBuild(line) {
    if (line.startsWith("Running:")) {
      build.length = 0;
      if (up && !changed) say("building the Worker again");
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
      if (probing && isOfProbe(event)) return;
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
      if (changed) changed(`the Worker could not be built:\n${build.join("\n")}`);
      else if (up)
        onLine(`the Worker could not be built; requests wait until a build succeeds:\n${build.join("\n")}`);
      return;
    }
    lines.push(line);
    lines.splice(0, lines.length - TAIL_LINES);
    if (UPDATED.test(line)) changed?.();
    if (line.startsWith("✘ [ERROR]")) {
      broken = true;
      if (changed) return changed(line);
    }
    if (up && !NOISE.test(line)) onLine(line);
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

  /** Gives wrangler other settings. Resolves to the mistakes in them that the gateway finds. */
  async function load(settings) {
    mistakes.length = 0;
    const why = await new Promise((resolve) => {
      changed = resolve;
      write(settings);
      ended.then((how) => resolve(`wrangler ${how}`));
    });
    changed = undefined;
    if (why) return [why];
    // The first request starts the gateway, which then logs the mistakes of its configuration.
    probing = true;
    const answer = await fetch(`${settings.vars.PORTCULLIS.public_url}/healthz`).catch((error) => error);
    await sleep(500); // the log lines arrive over another stream
    probing = false;
    return answer.ok ? [] : mistakes.length > 0 ? [...mistakes] : [`the gateway answers ${answer.status}`];
  }

  /**
   * Changes the settings of the running gateway. Resolves to the mistakes that the gateway finds in them; if there are any, the
   * settings from before are in effect again.
   */
  async function change(settings) {
    if (JSON.stringify(settings) === JSON.stringify(current)) return [];
    const found = await load(settings);
    if (found.length === 0) current = settings;
    else if (!over) await load(current);
    return found;
  }

  return {
    logPath,
    ended,
    tail,
    ready,
    change,
    async stop() {
      rmSync(config, { force: true });
      if (over) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
