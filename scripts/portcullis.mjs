#!/usr/bin/env node
// `npx portcullis`: the command line. Commands that interpret a configuration are Rust, the Worker's own code; commands that ask
// running servers, or call wrangler, are JavaScript.
import { help } from "./lib/help.mjs";
import { ensurePackages } from "./lib/packages.mjs";

const text = help(process.argv.slice(2));
if (text !== undefined) {
  process.stdout.write(text);
  process.exit();
}
await ensurePackages(import.meta.url);

const COMMANDS = {
  init: async () => (await import("./commands/init.mjs")).init,
  doctor: async () => (await import("./commands/doctor/main.mjs")).doctor,
  token: async () => (await import("./commands/token.mjs")).token,
  push: async () => (await import("./commands/push.mjs")).push,
  rollback: async () => (await import("./commands/push.mjs")).rollback,
  keys: async () => (await import("./commands/keys.mjs")).keys,
  apikey: async () => (await import("./commands/apikey.mjs")).apikey,
  grants: async () => (await import("./commands/grants.mjs")).grants,
  new: async () => (await import("./commands/new.mjs")).create,
  build: async () => (await import("./commands/build.mjs")).build,
  serve: async () => (await import("./commands/serve/main.mjs")).serve,
  start: () => asProgram("./start.mjs"),
  deploy: () => asProgram("./deploy.mjs"),
  test: async () => (await import("./commands/test.mjs")).test,
  diff: async () => (await import("./commands/test.mjs")).diff,
  migrate: async () => (await import("./commands/migrate.mjs")).migrate,
  check: async () => (await import("./commands/check.mjs")).check,
  lock: async () => (await import("./commands/lock.mjs")).lock,
};

/** A command that is a program of its own, which reads the arguments itself. */
async function asProgram(path) {
  process.argv.splice(2, 1);
  await import(path);
  return () => {};
}

const [name, ...args] = process.argv.slice(2);
// The reader of a pipe, such as `head`, may close it early.
process.stdout.on("error", () => process.exit());
if (Object.hasOwn(COMMANDS, name ?? "")) {
  const command = await COMMANDS[name]();
  await command(args);
} else {
  const { runRust } = await import("./commands/rust.mjs");
  process.exitCode = (await runRust(process.argv.slice(2))).status;
}
