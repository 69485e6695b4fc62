#!/usr/bin/env node
// `npx portcullis`: the command line. Commands that interpret a configuration are Rust, the Worker's own code; commands that ask
// running servers, or call wrangler, are JavaScript.
import { ensurePackages } from "./lib/packages.mjs";

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
  check: async () => (await import("./commands/check.mjs")).check,
};

const [first, ...rest] = process.argv.slice(2);
// `help doctor` means `doctor --help`.
const [name, args] =
  first === "help" && Object.hasOwn(COMMANDS, rest[0] ?? "") ? [rest[0], ["--help"]] : [first, rest];
// The reader of a pipe, such as `head`, may close it early.
process.stdout.on("error", () => process.exit());
if (Object.hasOwn(COMMANDS, name ?? "")) {
  const command = await COMMANDS[name]();
  await command(args);
} else {
  const { native } = await import("./commands/native.mjs");
  process.exitCode = (await native(process.argv.slice(2))).status;
}
