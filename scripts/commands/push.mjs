// `portcullis push` and `portcullis rollback`: the configuration in KV, from where a gateway loads it without a deployment. Each
// version that was pushed also stays in KV under a key of its own, so that it can be restored.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CANNOT, ENV, JSON_OUTPUT, readOptions } from "../lib/options.mjs";
import { fail, printJson, run, say, UNUSABLE } from "../lib/run.mjs";
import { ofEnvironment, readSettings, settingsFile } from "../lib/settings.mjs";
import { project } from "../lib/tools.mjs";
import { quiet, wrangler } from "../lib/wrangler.mjs";
import { readDocument, runRust } from "./rust.mjs";

const WHERE = {
  env: ENV,
  config: { value: "FILE", about: "The wrangler.toml of the gateway", otherwise: "wrangler.toml" },
  local: { about: "Uses the KV of `wrangler dev` on this machine" },
  "persist-to": { value: "FOLDER", about: "The folder of that KV", otherwise: "that of wrangler" },
  json: JSON_OUTPUT,
};
export const PUSH = {
  name: "portcullis push",
  about: "Checks a configuration and writes it to KV, from where a gateway loads it.",
  operands: [
    {
      name: "FILE",
      required: true,
      about: "The configuration: in the form of wrangler.toml, or JSON with only the document",
    },
  ],
  options: WHERE,
  notes: [
    "[vars.PORTCULLIS.stored] of wrangler.toml names the KV namespace. Gateways load the configuration within the seconds that are set there. A gateway that cannot use it, for example because the Worker lacks a secret that it names, rejects it and continues with its current configuration.",
  ],
  statuses: { 0: "the configuration is in KV", 2: CANNOT },
};
export const ROLLBACK = {
  name: "portcullis rollback",
  about: "Writes the configuration that was in effect before the current one to KV again.",
  options: {
    to: { value: "VERSION", about: "Another version", otherwise: "the version before" },
    list: { about: "Prints all versions, and changes nothing" },
    ...WHERE,
  },
  statuses: { 0: "the version is in KV, or the versions were printed", 2: CANNOT },
};
/** Number of versions that are kept. */
const KEPT = 20;

/** The KV binding and key where the document is, as wrangler.toml says. */
async function pointer({ env, config }) {
  const file = settingsFile(config);
  const own = ofEnvironment(readSettings(file), env);
  const stored = own?.vars?.PORTCULLIS?.stored;
  const place = env ? `env.${env}.vars.PORTCULLIS` : "vars.PORTCULLIS";
  if (typeof stored?.kv !== "string")
    fail(
      `${file} has no [${place}.stored]: a gateway loads its configuration from KV if the file has\n\n` +
        `  [${place}.stored]\n  kv = "CONFIGURATION"\n\nand no other key of the document (docs/operations.md)`,
      UNUSABLE,
    );
  const namespaces = own.kv_namespaces ?? [];
  if (!namespaces.some(({ binding }) => binding === stored.kv))
    fail(
      `${file} has no KV binding "${stored.kv}": npx wrangler kv namespace create ${stored.kv} creates a namespace to bind`,
      UNUSABLE,
    );
  const { binding, key } = { binding: stored.kv, key: stored.key ?? "portcullis" };
  return { binding, key, seconds: stored.seconds ?? 60, bindings: bindingNames(own), file };
}

/** The names of all bindings of an environment, of any kind. */
function bindingNames(value) {
  if (Array.isArray(value)) return value.flatMap(bindingNames);
  if (value === null || typeof value !== "object") return [];
  const { vars: _, env: __, ...rest } = value;
  const own = [rest.binding, rest.name].filter((name) => typeof name === "string");
  return [...own, ...Object.values(rest).flatMap(bindingNames)];
}

/** The operations on KV, by wrangler's commands. */
function store({ binding }, { env, config, local, "persist-to": folder }) {
  const where = [
    ...["--config", settingsFile(config), "--binding", binding, local ? "--local" : "--remote"],
    ...(env ? ["--env", env] : []),
    ...(folder ? ["--persist-to", resolve(folder)] : []),
  ];
  const ask = (what, args) =>
    run(wrangler.command, [wrangler.script, "kv", "key", what, ...args, ...where], {
      cwd: project,
      env: quiet,
      quiet: true,
    });
  const must = (promise) => promise.catch((error) => fail(`KV "${binding}": ${error.message}`, UNUSABLE));
  return {
    async names(prefix) {
      const printed = await must(ask("list", ["--prefix", prefix]));
      return JSON.parse(printed.slice(printed.indexOf("["))).map(({ name }) => name);
    },
    // wrangler adds a line break to the value that it prints.
    get: async (name) => (await must(ask("get", [name, "--text"]))).trim(),
    async put(name, value) {
      const folder = mkdtempSync(join(tmpdir(), "portcullis-push-"));
      try {
        const file = join(folder, "value");
        writeFileSync(file, value);
        await must(ask("put", [name, "--path", file]));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    delete: (name) => must(ask("delete", [name])),
  };
}

/** The versions that were pushed, the oldest first, from keys of the form `KEY@MOMENT@VERSION`. */
async function history(kv, key) {
  const names = await kv.names(`${key}@`);
  const parsed = names.map((name) => {
    const [moment, version] = name.slice(key.length + 1).split("@");
    return { name, moment, version };
  });
  return parsed
    .filter(({ version }) => /^[0-9a-f]{16}$/.test(version ?? ""))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const versionOf = (document) => createHash("sha256").update(document).digest("hex").slice(0, 16);

/**
 * `names` are the versions that these commands put into effect, the newest last, as `KEY:current` lists them. `version` is that of
 * the document in KV. `now` is its name. It is undefined where an operator put another document there by hand; then the last of
 * `names` was in effect before that document.
 */
async function inForce(kv, key) {
  const there = await kv.names(key);
  const version = there.includes(key) ? versionOf(await kv.get(key)) : undefined;
  let names = [];
  try {
    names = there.includes(`${key}:current`) ? JSON.parse(await kv.get(`${key}:current`)) : [];
  } catch {
    // Another program wrote this value.
  }
  names = Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  const known = names.at(-1)?.endsWith(`@${version}`);
  return { version, names, now: known ? names.at(-1) : undefined };
}

/** Puts a document into effect. `names` are the versions that were in effect before, and this one. */
async function putInForce(kv, key, document, names) {
  await kv.put(key, document);
  await kv.put(`${key}:current`, JSON.stringify(names.slice(-KEPT)));
}

export async function push(args) {
  const {
    values,
    operands: [file],
  } = readOptions(args, PUSH);
  const place = await pointer(values);
  const { document, version, bindings } = await readDocument({ config: resolve(file), env: values.env });
  if (JSON.parse(document).stored)
    fail(
      `${file} only says that the document is in KV: name the file that has the document itself`,
      UNUSABLE,
    );
  const missing = bindings.filter(({ name }) => !place.bindings.includes(name));
  if (missing.length > 0)
    fail(
      missing
        .map(
          ({ name, at }) =>
            `${at}: ${place.file} has no binding "${name}", so the gateway would reject this document`,
        )
        .join("\n"),
      UNUSABLE,
    );
  // Checked as it will be in KV, where the size limit differs from that of a variable.
  const checked = await runRust(["check", "--json", "--config", "-"], { quiet: true, input: document });
  const { findings, bytes, limit } = JSON.parse(checked.stdout);
  if (bytes > limit) fail(`the document in ${file} has ${bytes} bytes; the limit is ${limit}`, UNUSABLE);
  for (const { resource, finding } of findings) say(`${resource ?? file}: ${finding}`, process.stderr);

  const kv = store(place, values);
  const before = await inForce(kv, place.key);
  const name = `${place.key}@${new Date().toISOString()}@${version}`;
  await kv.put(name, document);
  await putInForce(kv, place.key, document, [...before.names, name]);
  const old = (await history(kv, place.key)).slice(0, -KEPT);
  for (const { name } of old) await kv.delete(name);
  if (values.json)
    return printJson({ version, before: before.version, bytes, seconds: place.seconds, findings });
  say(
    `wrote version ${version} (${bytes} bytes) to KV "${place.binding}"${before.version ? `; the version before it was ${before.version}` : ""}`,
  );
  say(
    `gateways load it within ${place.seconds} seconds after KV has it in all locations; their log then has configuration_activated, or configuration_refused (configuration_invalid names each mistake)`,
  );
}

export async function rollback(args) {
  const { values } = readOptions(args, ROLLBACK);
  const place = await pointer(values);
  const kv = store(place, values);
  const versions = await history(kv, place.key);
  if (versions.length === 0)
    fail(`no version was pushed to KV "${place.binding}" under the key "${place.key}" yet`, UNUSABLE);
  const { names, now, version: before } = await inForce(kv, place.key);
  if (values.list) {
    const listed = versions.map(({ moment, version, name }) => ({
      moment,
      version,
      in_force: name === now,
    }));
    if (values.json) return printJson(listed);
    for (const { moment, version, in_force } of listed)
      process.stdout.write(`${in_force ? "*" : " "} ${version}  ${moment}\n`);
    return;
  }
  // The version that was in effect before, which need not be the one that was pushed before: that one may have been rolled back.
  const earlier = now === undefined ? names : names.slice(0, -1);
  const chosen = versions.findLast(({ name, version }) =>
    values.to ? version === values.to : name === earlier.at(-1),
  );
  if (chosen === undefined)
    fail(
      values.to
        ? `there is no version ${values.to}; --list prints all versions`
        : "no earlier version was in effect; --list prints all versions, --to names one",
      UNUSABLE,
    );
  const document = await kv.get(chosen.name);
  if (versionOf(document) !== chosen.version)
    fail(`the value in KV under ${chosen.name} is not that version; nothing was changed`, UNUSABLE);
  await putInForce(kv, place.key, document, values.to ? [...names, chosen.name] : earlier);
  if (values.json) return printJson({ version: chosen.version, before, seconds: place.seconds });
  say(
    `wrote version ${chosen.version} of ${chosen.moment} to KV again; gateways load it within ${place.seconds} seconds`,
  );
}
