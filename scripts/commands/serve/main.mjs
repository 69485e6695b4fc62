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
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { damageOfMain } from "../../lib/integrity.mjs";
import { CANNOT, CONFIG, ENV, readOptions, refuse } from "../../lib/options.mjs";
import { fail, say, UNUSABLE } from "../../lib/run.mjs";
import { loadSettings, ofEnvironment, settingsFile } from "../../lib/settings.mjs";
import { npmBin } from "../../lib/tools.mjs";
import { loadDocument } from "../rust.mjs";
import { impossible, trusted, workerdConfig } from "./config.mjs";
import { Processes, sharesPorts } from "./processes.mjs";

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
    "stop-seconds": {
      value: "N",
      about: "Seconds in which requests may finish when the gateway stops",
      default: "30",
    },
  },
  notes: [
    "Secrets are environment variables with the names that the configuration has; a variable NAME_FILE names a file with the value of NAME.",
    "SIGTERM and Ctrl-C stop the gateway. SIGHUP reads configuration, secrets and certificate again; where they have a mistake, the gateway continues with those that it has.",
  ],
  statuses: { 0: "the gateway was stopped", 1: "it could not run any longer", 2: CANNOT },
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
function workerFiles(settings, file) {
  const main = resolve(dirname(file), `${settings.main}`);
  if (!existsSync(main))
    throw new Error(
      `main = "${settings.main}" in ${file} is not there: npm install, or in a clone npm run build`,
    );
  const damage = damageOfMain(settings.main);
  if (damage) throw new Error(damage);
  const folder = dirname(main);
  const others = readdirSync(folder).filter((name) => name.endsWith(".wasm"));
  return { folder, modules: [basename(main), ...others] };
}

const isLoopback = (host) => /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);

/** Refuses what would be reachable without HTTPS. */
function checkTransport({ document, host, certificate, proxy }) {
  if (document.development === true) {
    if (!isLoopback(host) || proxy)
      fail(
        "the configuration has development = true, which is for this machine only: remove it, or use --host 127.0.0.1 without --proxy",
        UNUSABLE,
      );
  } else if (!certificate && !proxy)
    fail(
      "clients reach the gateway by HTTPS: give it --certificate and --key, or --proxy if a proxy in front of it accepts HTTPS",
      UNUSABLE,
    );
}

/** Everything that a generation of processes needs, checked. Throws where something is wrong. */
async function prepare(options) {
  const { file, env, certificate, key, ca, kv, state, proxy, count } = options;
  const settings = loadSettings(file);
  const own = { ...settings, ...ofEnvironment(settings, env) };
  const { document: text, bindings, secrets } = await loadDocument({ config: file, env });
  const document = JSON.parse(text);
  const known = Object.fromEntries(
    (own.durable_objects?.bindings ?? []).map(({ name, class_name }) => [name, class_name]),
  );
  const objects = Object.fromEntries(
    bindings.filter(({ method }) => method === "idFromName").map(({ name }) => [name, known[name]]),
  );
  const wrong = impossible({ bindings, classOf: (name) => known[name], kv });
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  const hasObjects = Object.keys(objects).length > 0;
  if (hasObjects && !state)
    throw new Error("the configuration has Durable Objects: --state FOLDER says where their records are");
  if (hasObjects && count > 1)
    throw new Error(
      "the configuration has Durable Objects, whose records only one process can write: use --processes 1",
    );
  const { folder: built, modules } = workerFiles(own, file);
  const values = secretValues(secrets);

  const folder = mkdtempSync(join(tmpdir(), "portcullis-serve-"));
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
    const { compatibility_date: date, compatibility_flags: flags = [] } = own;
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
  return () => database.close();
}

export async function serve(args) {
  const { values } = readOptions(args, SERVE);
  const { env, certificate, key, proxy, ca, state, host } = values;
  if ((certificate === undefined) !== (key === undefined))
    refuse(SERVE, "--certificate and --key belong together");
  if (certificate && proxy) refuse(SERVE, "--proxy and --certificate exclude each other: who accepts HTTPS?");
  const options = {
    ...{ env, certificate, key, ca, state, proxy },
    file: settingsFile(values.config),
    kv: kvFolders(values.kv ?? []),
    count: number("processes", values.processes, { min: 1, max: 64 }),
  };
  const port = number("port", values.port, { min: 1, max: 65_535 });
  const seconds = number("stop-seconds", values["stop-seconds"], { min: 0, max: 3600 });
  if (options.count > 1 && !sharesPorts)
    fail("several processes can share a port on Linux only: use --processes 1", UNUSABLE);

  const first = await prepare(options).catch((error) => fail(error.message, UNUSABLE));
  checkTransport({ document: first.document, host, certificate, proxy });
  const unlock = first.hasObjects ? lock(resolve(state)) : () => {};
  let prepared = first;
  const processes = new Processes(npmBin("workerd"), {
    count: options.count,
    place: { port, host },
    seconds,
    alone: first.hasObjects || !sharesPorts,
    async make() {
      const it = prepared ?? (await prepare(options));
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
  let ending = false;
  async function end(status) {
    if (ending) return;
    ending = true;
    if (status === 0) say(`stopping: requests have ${seconds} s to finish`, process.stderr);
    await processes.stop();
    unlock();
    process.exit(status);
  }
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => end(0));
  let replacing = Promise.resolve();
  process.on("SIGHUP", () => {
    replacing = replacing
      .then(() => processes.replace())
      .then(() => say("configuration, secrets and certificate were read again", process.stderr))
      .catch((error) => say(`not read again: ${error.message}`, process.stderr));
  });
  try {
    await processes.replace();
  } catch (error) {
    unlock();
    fail(
      error.code === "EADDRINUSE" ? `port ${port} is taken: --port names another one` : error.message,
      UNUSABLE,
    );
  }
  const where = `${certificate ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  say(
    `listening on ${where} for ${first.document.public_url}, ${options.count === 1 ? "1 process" : `${options.count} processes`}`,
    process.stderr,
  );
}
