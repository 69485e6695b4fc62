#!/usr/bin/env node
// `npm create portcullis my-gate` is `npx portcullis new my-gate`.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const folder = dirname(createRequire(import.meta.url).resolve("portcullis/package.json"));
const command = [join(folder, "scripts", "portcullis.mjs"), "new", ...process.argv.slice(2)];
process.exitCode = spawnSync(process.execPath, command, { stdio: "inherit" }).status ?? 1;
