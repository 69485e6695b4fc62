// Creates what a deployment needs, after a question for each: namespaces, queues, entries of the file, secrets. Each result is written at
// once, so that a run that was interrupted is completed by the next one.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { replaceFile } from "../../lib/files.mjs";
import { fail, say, UNUSABLE } from "../../lib/run.mjs";
import { signingKey } from "../keys.mjs";
import { advice, cloudflare } from "./cloudflare.mjs";
import { checkWritable, shown, withEntry, withId, withText } from "./edit.mjs";

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
    hasTerminal,
    /** The value of a secret, typed without echo. */
    async secret(name) {
      const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
      // First: from here on the terminal does not echo.
      const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
      process.stdout.write(`value of the secret ${name} (it is not shown): `);
      const lines = [];
      terminal.on("line", (line) => lines.push(line));
      const ended = new Promise((resolve) => terminal.once("close", resolve));
      await Promise.race([once(terminal, "line"), ended]);
      // What was pasted with line breaks arrives at once.
      await sleep(100);
      terminal.close();
      process.stdout.write("\n");
      if (lines.length > 1)
        fail(`the value has more than one line: set the environment variable ${name} to it`, UNUSABLE);
      const value = (lines[0] ?? "").trim();
      if (value === "") fail(`the secret ${name} needs a value`, UNUSABLE);
      return value;
    },
  };
}

/** The value of a secret in the environment variable of its name. */
function inEnvironment(name) {
  const value = process.env[name] ?? "";
  if (value === "") return undefined;
  if (value !== value.trim())
    fail(
      `the environment variable ${name} begins or ends with white space, which would be part of the secret`,
      UNUSABLE,
    );
  say(`the secret ${name} is taken from the environment variable`);
  return value;
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

/** The change of the file that a step makes; undefined for a step that makes none. `id` is that of a namespace. */
const changeOf = ({ kind, path, entry, binding, isListed, from, to }, id) =>
  ({
    kv: {
      path,
      entry: { binding, id },
      make: (text) => (isListed ? withId(text, path, binding, id) : withEntry(text, path, { binding, id })),
    },
    write: { path, entry, make: (text) => withEntry(text, path, entry) },
    main: { path, entry: to, make: (text) => withText(text, path, from, to) },
  })[kind];

/** The text of the file after a change; ends the command where the form of the file does not allow the change. */
function changed(file, text, { make, path, entry }, hint = "") {
  const next = make(text);
  if (next !== undefined) return next;
  return fail(
    `${file} has a form that this command does not change. Write this yourself${hint}, then run it again:\n${shown(text, path, entry)}`,
    UNUSABLE,
  );
}

/** Ends the command, before anything is created, where a change of the file could not be made, or a secret is nowhere. */
async function foresee(steps, { place, ask, secrets }) {
  let text = readFileSync(place.file, "utf8");
  try {
    checkWritable(place.file);
  } catch (error) {
    if (steps.some((step) => changeOf(step, "")))
      fail(`${place.file} cannot be written: ${error.message}`, UNUSABLE);
  }
  for (const step of steps) {
    const wanted = changeOf(step, "0".repeat(32));
    if (!wanted) continue;
    const hint = step.kind === "kv" ? ` (npx wrangler kv namespace create ${step.title} prints the id)` : "";
    text = changed(place.file, text, wanted, hint);
  }
  const own = steps.filter(({ kind }) => kind === "secret");
  if (own.length === 0) return;
  secrets.known = await cloudflare.secrets(place).catch((error) => stop(own[0], error));
  if (ask.hasTerminal) return;
  // Without a terminal, a value that people need would be in the log.
  const nowhere = own.filter(
    ({ name, how, shown }) =>
      !secrets.known.includes(name) && (how === "asked" || shown) && !process.env[name],
  );
  if (nowhere.length > 0)
    fail(
      `values of secrets are needed, and there is no terminal: set the environment variables ${nowhere.map(({ name }) => name).join(", ")}`,
      UNUSABLE,
    );
}

/** Changes the file. */
const change = (file, wanted) => replaceFile(file, changed(file, readFileSync(file, "utf8"), wanted));

const STEPS = {
  async kv(step, { place, ask }) {
    const { title } = step;
    const known = await cloudflare.findNamespace(place, title);
    const question = known
      ? `use the KV namespace "${title}", which is there already`
      : `create the KV namespace "${title}"`;
    if (!(await ask.agrees(question))) return false;
    const id = known ?? (await cloudflare.makeNamespace(place, title));
    change(place.file, changeOf(step, id));
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
  async write(step, { place, ask }) {
    if (!(await ask.agrees(`write the ${step.what} into ${place.file}`))) return false;
    change(place.file, changeOf(step));
    say(`wrote the ${step.what} into ${place.file}`);
    return true;
  },
  async main(step, { place, ask }) {
    if (!(await ask.agrees(`name ${step.what} in ${place.file}`))) return false;
    change(place.file, changeOf(step));
    say(`${step.path.join(".")} = "${step.to}" in ${place.file}`);
    return true;
  },
  async secret({ name, how, shown }, { ask, secrets }) {
    if (secrets.known.includes(name)) return true;
    // Also where it could be generated: it may be the one of a Worker that is deployed again.
    const given = inEnvironment(name);
    if (given !== undefined || how === "asked") {
      secrets.values[name] = given ?? (await ask.secret(name));
      return true;
    }
    if (!(await ask.agrees(`generate the secret ${name}`))) return false;
    secrets.values[name] =
      how === "key" ? JSON.stringify(await signingKey("ES256")) : randomBytes(32).toString("base64url");
    if (shown) secrets.shown.push(name);
    return true;
  },
};

/** Does the steps. Returns the values of the secrets that the Worker does not have yet, and the names of those that people need. */
export async function prepare(steps, { file, env, account, yes }) {
  const secrets = { known: [], values: {}, shown: [] };
  const context = { place: { file, env, account }, ask: questions({ yes }), secrets };
  await foresee(steps, context);
  for (const step of steps) {
    const done = await STEPS[step.kind](step, context).catch((error) => stop(step, error));
    if (!done) fail(`without the ${step.what} the gateway cannot run: nothing was deployed`);
  }
  return secrets;
}
