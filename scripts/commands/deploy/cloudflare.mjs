// What a deployment asks Cloudflare, by wrangler's commands: they use the login, or the token, that wrangler has.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { project } from "../../lib/tools.mjs";
import { quiet, wrangler } from "../../lib/wrangler.mjs";

/** Seconds in which a command of wrangler must answer. */
const SECONDS = 60;

/** Runs a command of wrangler and returns its output; throws an error with what Cloudflare said. */
function ask(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(wrangler.command, [wrangler.script, ...args], {
      cwd: project,
      // The environment is always an argument, and the output always the answer alone.
      env: {
        ...process.env,
        ...quiet,
        CI: "true",
        FORCE_COLOR: "0",
        NO_COLOR: "1",
        WRANGLER_LOG: "log",
        CLOUDFLARE_ENV: "",
      },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: SECONDS * 1000,
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"])
      child[name].setEncoding("utf8").on("data", (text) => {
        output[name] += text;
      });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) return resolve(output.stdout);
      const said = stripVTControlCharacters(`${output.stdout}\n${output.stderr}`);
      const lines = said.split("\n").map((line) => line.trim());
      const why = lines.filter(
        (line) => /ERROR|\[code: \d+\]|error/i.test(line) && !/Logs were written/.test(line),
      );
      const words = why.slice(0, 4).map((line) => line.replace(/^\W*\[ERROR\]\s*/, ""));
      const error = new Error(words.join("\n") || `wrangler ended with ${signal ?? code}`);
      error.codes = [...said.matchAll(/\[code: (\d+)\]/g)].map(([, number]) => Number(number));
      reject(error);
    });
  });
}

const json = (text) => JSON.parse(text.slice(text.search(/^[[{]/m)));

/** Cloudflare's codes for a caller without permission. */
const FORBIDDEN = [9109, 10_000, 10_023];
/** There is no such Worker. */
const NO_WORKER = [10_007, 10_090];

/** What a user can do about an error, where that is known. */
export function advice(error, permission) {
  if (error.codes?.some((code) => FORBIDDEN.includes(code)))
    return `\nThe API token, or the user who is logged in, needs the permission "${permission}".`;
  if (/not logged in|CLOUDFLARE_API_TOKEN/i.test(error.message))
    return "\nnpx wrangler login logs in; in CI set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.";
  return "";
}

const where = ({ file, env }) => ["--config", file, "--env", env ?? ""];

/**
 * Asks about what belongs to the account and not to a Worker. wrangler would put the name of an environment before the titles of its
 * namespaces, and without the environment take the account of the top level: so it gets a file with the account alone.
 */
async function askAccount(args, { account }) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-account-"));
  const file = join(folder, "wrangler.json");
  try {
    writeFileSync(file, JSON.stringify({ name: "account", ...(account && { account_id: account }) }));
    return await ask([...args, "--config", file]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const cloudflare = {
  /** The id of the KV namespace with a title, if there is one. */
  async findNamespace(place, title) {
    const all = json(await askAccount(["kv", "namespace", "list"], place));
    return all.find((one) => one.title === title)?.id;
  },
  async makeNamespace(place, title) {
    const printed = await askAccount(["kv", "namespace", "create", title], place);
    const id = printed.match(/\bid"?\s*[=:]\s*"([0-9a-f]{32})"/)?.[1];
    if (id === undefined) throw new Error(`wrangler printed no id of the new KV namespace:\n${printed}`);
    return id;
  },
  async hasQueue(place, name) {
    try {
      await askAccount(["queues", "info", name], place);
      return true;
    } catch (error) {
      if (/does not exist|not found|\b11000\b/i.test(error.message)) return false;
      throw error;
    }
  },
  makeQueue: (place, name) => askAccount(["queues", "create", name], place),
  /** The names of the secrets that the Worker has; none where there is no such Worker yet. */
  async secrets(place) {
    try {
      const all = json(await ask(["secret", "list", "--format", "json", ...where(place)]));
      return all.map(({ name }) => name);
    } catch (error) {
      const isMissing = /^Worker ".*not found/.test(error.message);
      if (isMissing || error.codes?.some((code) => NO_WORKER.includes(code))) return [];
      throw error;
    }
  },
};
