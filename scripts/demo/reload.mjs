// Lets an edit of wrangler.toml take effect while `npm start` runs, if the edited configuration has no mistake.
import { spawn } from "node:child_process";
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../lib/run.mjs";
import { npmBin, project, root } from "../lib/tools.mjs";
import { readSettings } from "./config.mjs";

const INTERVAL = 500;
/** An editor may empty a file before it writes it: a text counts once it has been the same for this time. */
const SETTLED = 250;

/** The output of `portcullis check --json` for a file. Another process runs it: the first time, it compiles the command line. */
function check(path) {
  const args = [join(root, "scripts", "portcullis.mjs"), "check", "--json", "--config", path];
  const child = spawn(npmBin("node"), args, { cwd: project, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      try {
        resolve(JSON.parse(output));
      } catch {
        reject(new Error(`\`npx portcullis check\` ended with ${code}`));
      }
    });
  });
}

/** The mistakes of a file, as `portcullis check` prints them. */
async function mistakesOf(path) {
  const { valid, error, mistakes = [] } = await check(path);
  if (valid) return [];
  if (error !== undefined) return [error];
  const name = relative(process.cwd(), path);
  return mistakes.map(({ line, column, path, mistake }) => `${name}:${line}:${column}: ${path}: ${mistake}`);
}

/**
 * Watches the wrangler.toml at `path`, whose text was `seen` at the start. `place` puts the ports of this run into a document, `change` gives the gateway new settings
 * and resolves to the mistakes that it finds. Returns a function that ends the watch.
 */
export function followEdits({ path, seen, place, change }) {
  const read = () => readFileSync(path, "utf8");
  let busy = false;

  /** The text of the file once an editor has written all of it. */
  async function settled() {
    for (;;) {
      const text = read();
      await sleep(SETTLED);
      if (read() === text) return text;
    }
  }

  async function take() {
    let old = "stays in effect";
    let mistakes;
    try {
      const settings = readSettings(path);
      mistakes = await mistakesOf(path);
      if (mistakes.length === 0) {
        place(settings.vars.PORTCULLIS);
        mistakes = await change(settings);
        old = "is in effect again"; // only a running gateway knows its secrets and its bindings
      }
    } catch (error) {
      mistakes = [error.message];
    }
    if (mistakes.length === 0) return say("the new configuration is in effect");
    const lines = mistakes.map((mistake) => `\n  ${mistake}`).join("");
    say(`the new configuration is refused, and the old one ${old}:${lines}`);
  }

  async function onChange() {
    if (busy) return;
    busy = true;
    try {
      for (let now = await settled(); now !== seen; now = await settled()) {
        seen = now;
        say("wrangler.toml was edited: checking the new configuration");
        await take();
      }
    } catch {
      // An editor may replace the file: the next change shows it again.
    } finally {
      busy = false;
    }
  }
  watchFile(path, { interval: INTERVAL }, onChange);
  onChange();
  return () => unwatchFile(path);
}
