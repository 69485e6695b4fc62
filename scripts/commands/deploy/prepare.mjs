// Creates what a deployment needs, after a question for each: namespaces, queues, entries of the file, secrets. Each result is written at
// once, so that a run that was interrupted is completed by the next one.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { fail, say, UNUSABLE } from "../../lib/run.mjs";
import { advice, cloudflare } from "./cloudflare.mjs";
import { put, shown, withEntry, withId, withMain } from "./edit.mjs";

/** Asks the user, where there is one. Without a terminal every question is an error that says what to do. */
export function questions({ yes }) {
  const hasTerminal = process.stdin.isTTY && process.stdout.isTTY;
  return {
    async agrees(what) {
      if (yes) return true;
      if (!hasTerminal)
        fail(
          `there is no terminal to ask whether to ${what}: --yes agrees to everything that the plan lists`,
          UNUSABLE,
        );
      const terminal = createInterface({ input: process.stdin, output: process.stdout });
      const answer = await terminal.question(`${what}? [y/N] `).finally(() => terminal.close());
      return /^y(es)?$/i.test(answer.trim());
    },
    /** The value of a secret: of the environment, or typed without echo. */
    async secret(name) {
      if (process.env[name]) return process.env[name];
      if (!hasTerminal)
        fail(`the value of the secret ${name} is needed: set the environment variable ${name}`, UNUSABLE);
      const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
      // First: from here on the terminal does not echo.
      const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
      process.stdout.write(`value of the secret ${name} (it is not shown): `);
      const value = (await terminal.question("").finally(() => terminal.close())).trim();
      process.stdout.write("\n");
      if (value === "") fail(`the secret ${name} needs a value`, UNUSABLE);
      return value;
    },
  };
}

async function signingKey() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", privateKey);
  return JSON.stringify({ kty, crv, x, y, d });
}

const PERMISSIONS = {
  kv: "Workers KV Storage: Edit",
  queue: "Queues: Edit",
  secret: "Workers Scripts: Edit",
};

/** Ends the command where a step cannot be done. What was done before it stays, and is not done again. */
function stop(step, error) {
  fail(
    `${step.what}: ${error.message}${advice(error, PERMISSIONS[step.kind])}\nWhat was done before stays: the same command continues here.`,
  );
}

/** Changes the file, or says what the user has to write. */
function change(file, make, { path, entry }) {
  const text = readFileSync(file, "utf8");
  const next = make(text);
  if (next === undefined)
    fail(
      `${file} has a form that this command does not change. Write this yourself, then run it again:\n${shown(text, path, entry)}`,
      UNUSABLE,
    );
  put(file, next);
}

const STEPS = {
  async kv({ title, binding, path, isListed }, { place, ask }) {
    const known = await cloudflare.findNamespace(place, title);
    const question = known
      ? `use the KV namespace "${title}", which is there already`
      : `create the KV namespace "${title}"`;
    if (!(await ask.agrees(question))) return false;
    const id = known ?? (await cloudflare.makeNamespace(place, title));
    const entry = { binding, id };
    change(
      place.file,
      (text) => (isListed ? withId(text, path, binding, id) : withEntry(text, path, entry)),
      {
        path,
        entry,
      },
    );
    say(`${known ? "found" : "created"} the KV namespace "${title}", and wrote its id into ${place.file}`);
    return true;
  },
  async queue({ name }, { place, ask }) {
    if (await cloudflare.hasQueue(place, name)) return true;
    if (!(await ask.agrees(`create the queue "${name}"`))) return false;
    await cloudflare.makeQueue(place, name);
    say(`created the queue "${name}"`);
    return true;
  },
  async write({ what, path, entry }, { place, ask }) {
    if (!(await ask.agrees(`write the ${what} into ${place.file}`))) return false;
    change(place.file, (text) => withEntry(text, path, entry), { path, entry });
    say(`wrote the ${what} into ${place.file}`);
    return true;
  },
  async main({ what, from, to }, { place, ask }) {
    if (!(await ask.agrees(`name ${what} in ${place.file}`))) return false;
    change(place.file, (text) => withMain(text, from, to), { path: ["main"], entry: { main: to } });
    say(`main = "${to}" in ${place.file}`);
    return true;
  },
  async secret({ name, how, shown }, { place, ask, secrets }) {
    secrets.known ??= await cloudflare.secrets(place);
    if (secrets.known.includes(name)) return true;
    if (how === "asked") {
      secrets.values[name] = await ask.secret(name);
      return true;
    }
    if (!(await ask.agrees(`generate the secret ${name}`))) return false;
    secrets.values[name] = how === "key" ? await signingKey() : randomBytes(32).toString("base64url");
    if (shown) secrets.shown.push(name);
    return true;
  },
};

/** Does the steps. Returns the values of the secrets that the Worker does not have yet, and the names of those that people need. */
export async function prepare(steps, { file, env, yes }) {
  const secrets = { known: undefined, values: {}, shown: [] };
  const context = { place: { file, env }, ask: questions({ yes }), secrets };
  for (const step of steps) {
    const done = await STEPS[step.kind](step, context).catch((error) => stop(step, error));
    if (!done) fail(`without the ${step.what} the gateway cannot run: nothing was deployed`);
  }
  return secrets;
}
