/**
 * What a stranger sees first: `npm start`, the commands that it prints, and Ctrl-C.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually } from "./support/http.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const shell = (command) => promisify(execFile)("bash", ["-c", command], { cwd: root, timeout: 20_000 });
const UP = 150_000;

/** The commands between the explanations. */
const commandsOf = (output) => output.match(/^ +curl (?:.*\\\n)*.*$/gm) ?? [];

/** The file that holds the token. */
const tokenFileOf = (output) => output.match(/-H @(\S+)/)[1];

/** What follows the hints. */
const logOf = (output) => output.split("Ctrl-C stops everything.")[1] ?? "";

/** All processes: id, parent, group, name. */
async function processes() {
  const { stdout } = await shell("ps -A -o pid=,ppid=,pgid=,comm=");
  return stdout.split("\n").map((line) => line.trim().split(/\s+/));
}

/** The process groups of a process and of all that it started. */
async function groupsBelow(pid) {
  const all = await processes();
  const ids = [String(pid)];
  for (const id of ids) ids.push(...all.filter(([, parent]) => parent === id).map(([child]) => child));
  return [...new Set(all.filter(([id]) => ids.includes(id)).map(([, , group]) => group))];
}

/** Processes of a group that are left. */
async function left(wanted) {
  const inGroup = (await processes()).filter(([, , group]) => group === wanted);
  return inGroup.map(([, , , name]) => name).join(" ");
}

describe("npm start", () => {
  const output = { text: "" };
  let child;
  let taken;
  let exited;

  before(
    async () => {
      // One of its ports is somebody else's.
      taken = createServer();
      await new Promise((resolve) => taken.on("error", resolve).listen(9100, "127.0.0.1", resolve));
      child = spawn(process.execPath, ["scripts/start.mjs"], { cwd: root, detached: true });
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text) => {
          output.text += text;
        });
      }
      exited = new Promise((resolve) => child.on("exit", (code) => resolve(code)));
      const ended = exited.then((code) => assert.fail(`it ended with ${code}:\n${output.text}`));
      await Promise.race([eventually("start", () => output.text.includes("Ctrl-C stops"), UP), ended]);
    },
    { timeout: UP + 10_000 },
  );
  after(() => {
    taken?.close();
    if (child?.exitCode === null) process.kill(-child.pid, "SIGTERM");
  });

  test("says which port was taken, and which it chose", () => {
    assert.match(output.text, /port 9100 \(identity provider\) is taken; using 91\d\d for this run/);
  });

  test("prints a command that is refused and shows the challenge", async () => {
    const { stdout } = await shell(commandsOf(output.text)[0]);
    assert.match(stdout, /^HTTP\/1\.1 401 /);
    assert.match(stdout, /^www-authenticate: Bearer scope="mcp:tools", resource_metadata="http/im);
  });

  test("prints a command with a token that calls a tool", async () => {
    const { stdout } = await shell(commandsOf(output.text)[1]);
    assert.equal(JSON.parse(stdout).result.structuredContent.subject, "demo-machine");
  });

  test("shows what the gateway decides, and never the token", async () => {
    const told = () => ["no_credentials", "whoami"].every((word) => logOf(output.text).includes(word));
    await eventually("the lines", told);
    const token = (await readFile(tokenFileOf(output.text), "utf8")).trim().split(" ").pop();
    assert.ok(token.length > 100 && !output.text.includes(token));
  });

  test("stops at Ctrl-C and leaves nothing", { timeout: 20_000 }, async () => {
    const tokenFile = tokenFileOf(output.text);
    const groups = await groupsBelow(child.pid);
    assert.ok(groups.length > 1, "what it started has a group of its own");
    process.kill(-child.pid, "SIGINT");
    assert.equal(await exited, 0, output.text.slice(-2_000));
    for (const group of groups) assert.equal(await left(group), "", `group ${group}`);
    await assert.rejects(readFile(tokenFile));
  });
});
