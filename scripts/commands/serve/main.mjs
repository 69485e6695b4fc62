// `portcullis serve`: the gateway without Cloudflare, in workerd.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import workerd from "workerd";
import { whenOrphaned } from "../../lib/group.mjs";
import { damageOfMain } from "../../lib/integrity.mjs";
import { CANNOT, CONFIG, ENV, readOptions, refuse } from "../../lib/options.mjs";
import { fail, say, UNUSABLE } from "../../lib/run.mjs";
import { loadSettings, ofEnvironment, settingsFile } from "../../lib/settings.mjs";
import { loadDocument } from "../rust.mjs";
import { impossible, trusted, workerdConfig } from "./config.mjs";
import { isFree, Processes, sharesPorts } from "./processes.mjs";

export const SERVE = {
  name: "portcullis serve",
  about: "Runs the gateway without Cloudflare: the same Worker in workerd, on this machine.",
  options: {
    config: CONFIG,
    env: ENV,
    port: { value: "PORT", about: "The port", default: "8080" },
    host: { value: "ADDRESS", about: "The address; 0.0.0.0 for all networks", default: "127.0.0.1" },
    certificate: { value: "FILE", about: "The certificate chain (PEM): the gateway accepts HTTPS" },
    key: { value: "FILE", about: "The private key of the certificate (PEM)" },
    proxy: {
      about:
        "A proxy accepts HTTPS, and sets X-Forwarded-Proto and CF-Connecting-IP: only it may reach the port",
    },
    ca: { value: "FILE", about: "Certificates of a CA of your own (PEM), for origin servers and providers" },
    state: { value: "FOLDER", about: "Where the records of Durable Objects are" },
    kv: {
      value: "NAME=FOLDER",
      many: true,
      about: "The folder in which each file is a value of this KV binding",
    },
    processes: { value: "N", about: "How many processes share the port", default: "1" },
    health: {
      about: "Asks the gateway that runs with the same options for /healthz, and ends with 0 if it answers",
    },
    "stop-seconds": {
      value: "N",
      about: "Seconds in which requests may finish when the gateway stops",
      default: "30",
    },
  },
  notes: [
    "Secrets are environment variables with the names that the configuration has; a variable NAME_FILE names a file with the value of NAME.",
    "SIGTERM and Ctrl-C stop the gateway: send signals to the process whose number it prints, npx does not pass them on. SIGHUP reads configuration, secrets and certificate again; where they have a mistake, the gateway continues with those that it has.",
  ],
  statuses: {
    0: "the gateway was stopped, or with --health, it answers",
    1: "it could not run any longer, or with --health, it does not answer",
    2: CANNOT,
  },
};

function number(name, text, { min, max }) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    refuse(SERVE, `--${name} must be a whole number from ${min} to ${max}, got ${JSON.stringify(text)}`);
  return value;
}

function readable(name, file) {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`--${name} ${file} cannot be read: ${error.message}`);
  }
}

/** The folders of KV, by binding. */
function kvFolders(given) {
  return Object.fromEntries(
    given.map((text) => {
      const [, name, folder] = text.match(/^(\w+)=(.+)$/) ?? [];
      if (!name) refuse(SERVE, `--kv must be NAME=FOLDER, got ${JSON.stringify(text)}`);
      if (!existsSync(folder) || !statSync(folder).isDirectory())
        fail(`--kv ${name}: ${folder} is no folder`, UNUSABLE);
      return [name, resolve(folder)];
    }),
  );
}

/** The values of secrets: of the environment, or of the files that it names. */
function secretValues(names) {
  const missing = [];
  const values = {};
  for (const name of names) {
    const file = process.env[`${name}_FILE`];
    if (process.env[name] !== undefined && file !== undefined)
      throw new Error(`${name} and ${name}_FILE are both set: which one is the secret?`);
    // Editors end a file with a line break, which is not part of the secret.
    const value =
      file === undefined ? process.env[name] : readable(`${name}_FILE`, file).toString().trimEnd();
    if (value === undefined || value === "") missing.push(name);
    else values[name] = value;
  }
  if (missing.length > 0)
    throw new Error(
      `secrets that the configuration names are missing: ${missing.join(", ")}. Set environment variables with these names, or NAME_FILE with the path of a file`,
    );
  return values;
}

/** The files of the Worker that wrangler's configuration names: the entry first. */
function workerFiles({ main: named, compatibility_date: date, compatibility_flags: flags = [] }, file) {
  const wrong = (key, what, value) =>
    new Error(`${file}: ${key} must be ${what}, got ${JSON.stringify(value)}`);
  if (typeof named !== "string" || named === "") throw wrong("main", "the path of the Worker", named);
  if (typeof date !== "string" || !/^\d{4}-\d\d-\d\d$/.test(date))
    throw wrong("compatibility_date", 'a text such as "2026-11-01"', date);
  if (!Array.isArray(flags) || !flags.every((flag) => typeof flag === "string"))
    throw wrong("compatibility_flags", "an array of texts", flags);
  const main = resolve(dirname(file), named);
  if (!existsSync(main))
    throw new Error(`main = "${named}" in ${file} is not there: npm install, or in a clone npm run build`);
  const damage = damageOfMain(named, file);
  if (damage) throw new Error(damage);
  const folder = dirname(main);
  const others = readdirSync(folder).filter((name) => name.endsWith(".wasm"));
  return { folder, modules: [basename(main), ...others], date, flags };
}

const isLoopback = (host) => /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);

/** Refuses what would be reachable without HTTPS. */
function checkTransport(document, { host, certificate, proxy }) {
  if (document.development === true) {
    if (!isLoopback(host) || proxy)
      throw new Error(
        "the configuration has development = true, which is for this machine only: remove it, or use --host 127.0.0.1 without --proxy",
      );
  } else if (!certificate && !proxy)
    throw new Error(
      "clients reach the gateway by HTTPS: give it --certificate and --key, or --proxy if a proxy in front of it accepts HTTPS",
    );
}

/** Everything that a generation of processes needs, checked. Throws where something is wrong. */
async function prepare(options, base) {
  const { file, env, certificate, key, ca, kv, state, proxy, count } = options;
  const settings = loadSettings(file);
  const own = { ...settings, ...ofEnvironment(settings, env) };
  const { document: text, bindings, secrets } = await loadDocument({ config: file, env });
  const document = JSON.parse(text);
  checkTransport(document, options);
  const known = Object.fromEntries(
    (own.durable_objects?.bindings ?? []).map(({ name, class_name }) => [name, class_name]),
  );
  const badClass = Object.values(known).find((name) => !/^[A-Za-z_]\w*$/.test(`${name}`));
  if (badClass !== undefined)
    throw new Error(`${file}: class_name must be the name of a class, got ${JSON.stringify(badClass)}`);
  const objects = Object.fromEntries(
    bindings.filter(({ method }) => method === "idFromName").map(({ name }) => [name, known[name]]),
  );
  const wrong = impossible({ document, bindings, classes: known, kv });
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  const hasObjects = Object.keys(objects).length > 0;
  if (hasObjects && !state)
    throw new Error("the configuration has Durable Objects: --state FOLDER says where their records are");
  if (hasObjects && count > 1)
    throw new Error(
      "the configuration has Durable Objects, whose records only one process can write: use --processes 1",
    );
  const { folder: built, modules, date, flags } = workerFiles(own, file);
  const values = secretValues(secrets);

  const folder = mkdtempSync(join(base, "generation-"));
  const put = (name, content) => writeFileSync(join(folder, name), content, { mode: 0o600 });
  try {
    for (const name of modules) copyFileSync(join(built, name), join(folder, name));
    put("document.json", text);
    put("trusted.json", JSON.stringify(trusted(document)));
    copyFileSync(new URL("outbound.js", import.meta.url), join(folder, "outbound.js"));
    if (certificate) {
      put("certificate.pem", readable("certificate", certificate));
      put("key.pem", readable("key", key));
    }
    if (ca) put("ca.pem", readable("ca", ca));
    const it = { modules, date, flags, secrets, bindings, objects, kv, ca, document, certificate, proxy };
    put("config.capnp", workerdConfig({ ...it, state: hasObjects ? resolve(state) : undefined }));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    document,
    hasObjects,
    config: join(folder, "config.capnp"),
    // Nothing else of the environment is for the gateway.
    env: { ...values, PATH: process.env.PATH, TZ: "UTC" },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/**
 * Makes this process the only writer of the records: another one would not see what this one writes. The lock is that of a database file,
 * which ends with the process, however it ends.
 */
function lock(state) {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(state, "portcullis.lock"));
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    fail(`another process uses ${state}: stop it first, or use another --state (${error.message})`, UNUSABLE);
  }
  return database;
}

/** Asks a gateway that runs on this machine, as its proxy or its clients would: it answers to the host of public_url alone. */
async function health({ file, env, port, host, certificate }) {
  const settings = loadSettings(file);
  const { public_url: url } = ofEnvironment(settings, env)?.vars?.PORTCULLIS ?? {};
  const { host: name = "" } = URL.parse(`${url}`) ?? {};
  const headers = { host: name, "x-forwarded-proto": "https" };
  // The certificate is that of public_url, and this asks the same machine.
  const options = { host: host.replace(/^(0\.0\.0\.0|::)$/, "127.0.0.1"), port, path: "/healthz", headers };
  const ask = certificate ? secureRequest : request;
  const status = await new Promise((resolve) => {
    const outgoing = ask({ ...options, rejectUnauthorized: false, timeout: 3_000 }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    outgoing.once("error", (error) => resolve(error.message));
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within 3 seconds")));
    outgoing.end();
  });
  if (status !== 200) fail(`the gateway does not answer: ${status}`);
  say("the gateway answers");
}

export async function serve(args) {
  const { values } = readOptions(args, SERVE);
  const { env, certificate, key, proxy, ca, state, host } = values;
  if ((certificate === undefined) !== (key === undefined))
    refuse(SERVE, "--certificate and --key belong together");
  if (certificate && proxy) refuse(SERVE, "--proxy and --certificate exclude each other: who accepts HTTPS?");
  const options = {
    ...{ env, certificate, key, ca, state, proxy, host },
    file: settingsFile(values.config),
    kv: kvFolders(values.kv ?? []),
    count: number("processes", values.processes, { min: 1, max: 64 }),
  };
  const port = number("port", values.port, { min: 1, max: 65_535 });
  const seconds = number("stop-seconds", values["stop-seconds"], { min: 0, max: 3600 });
  if (values.health) return health({ ...options, port });
  // Everything that is written is for this user alone: records, keys, sockets.
  process.umask(0o077);
  if (options.count > 1 && !sharesPorts)
    fail("several processes can share a port on Linux only: use --processes 1", UNUSABLE);

  const place = { port, host };
  let processes;
  let held;
  let ending = false;
  async function end(status) {
    if (ending) return;
    ending = true;
    if (status === 0) say(`stopping: requests have ${seconds} s to finish`, process.stderr);
    await processes?.stop();
    held?.close();
    process.exit(status);
  }
  // Before anything is written: a signal must not leave it behind.
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => end(0));
  // npm and npx do not pass signals on: where they end, this ends too.
  if (process.env.npm_command !== undefined) whenOrphaned(() => end(0));
  let replacing = Promise.resolve();
  process.on("SIGHUP", () => {
    replacing = replacing
      .then(() => processes?.replace())
      .then(() => processes && say("configuration, secrets and certificate were read again", process.stderr))
      .catch((error) => ending || say(`not read again: ${error.message}`, process.stderr));
  });
  const base = mkdtempSync(join(tmpdir(), "portcullis-serve-"));
  process.on("exit", () => rmSync(base, { recursive: true, force: true }));
  const cannot = (error) =>
    fail(
      error.code === "EADDRINUSE" ? `port ${port} is taken: --port names another one` : error.message,
      UNUSABLE,
    );
  const first = await prepare(options, base).catch(cannot);
  // Held until the end: the lock would end with the object.
  held = first.hasObjects ? lock(resolve(state)) : undefined;
  await isFree(place).catch(cannot);
  let prepared = first;
  processes = new Processes(workerd.default, {
    count: options.count,
    folder: base,
    place,
    seconds,
    alone: first.hasObjects || !sharesPorts,
    async make() {
      const it = prepared ?? (await prepare(options, base));
      prepared = undefined;
      if (it.hasObjects !== first.hasObjects) {
        it.remove();
        throw new Error("Durable Objects were added or removed: stop the gateway and start it again");
      }
      return it;
    },
    onEnd(how, isLast) {
      say(`a workerd process ended with ${how}${isLast ? "" : "; starting another one"}`, process.stderr);
      if (isLast) end(1);
    },
  });
  try {
    await processes.replace();
  } catch (error) {
    if (ending) return;
    await processes.stop();
    cannot(error);
  }
  if (ending) return;
  const where = `${certificate ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  say(
    `listening on ${where} for ${first.document.public_url}, ${options.count === 1 ? "1 process" : `${options.count} processes`}; process ${process.pid} takes signals`,
    process.stderr,
  );
}
