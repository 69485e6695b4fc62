/**
 * What a stranger sees first: `npm start`, the commands that it prints, and Ctrl-C.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
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

const CONFIGURATION = `${root}wrangler.toml`;

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
  const original = readFileSync(CONFIGURATION, "utf8");
  const restore = () => {
    if (readFileSync(CONFIGURATION, "utf8") !== original) writeFileSync(CONFIGURATION, original);
  };
  // The file is the user's: it is restored however the tests end.
  process.on("exit", restore);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

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
    restore();
    if (child?.exitCode === null) process.kill(-child.pid, "SIGTERM");
  });

  test("says which port was taken, and which it chose", () => {
    assert.match(output.text, /port 9100 \(identity provider\) is taken; using 91\d\d for this run/);
  });

  test("prints the URL of the page for people", async () => {
    const [, page] = output.text.match(/^ +its page +(http\S+)/m);
    const answer = await fetch(page, { headers: { accept: "text/html" } });
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /<title>/);
  });

  test("has one line about what to know before a deployment, and no warnings", () => {
    assert.match(output.text, /Before you deploy this configuration: `npx portcullis check` has 3 notes/);
    assert.doesNotMatch(output.text, /configuration_warning/);
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

  /** Edits wrangler.toml; returns what `npm start` prints about the new configuration. */
  async function edited(text) {
    const begun = output.text.length;
    writeFileSync(CONFIGURATION, text);
    const said = () =>
      /the new configuration is .*(\n {2}.*)*/.exec(output.text.slice(begun).replace(/[^\n]*$/, ""))?.[0];
    return eventually("the new configuration", said, 400_000);
  }

  /** The scope that a call without a token is asked for. */
  const challenge = async () => {
    const { stdout } = await shell(commandsOf(output.text)[0]);
    return stdout.match(/^www-authenticate: Bearer scope="([^"]*)"/im)?.[1];
  };

  test("an edit is in effect, or refused with its mistakes", { timeout: 500_000 }, async () => {
    const other = original.replace('scopes = ["mcp:tools"]', 'scopes = ["mcp:other"]');
    assert.notEqual(other, original);
    assert.equal(await edited(other), "the new configuration is in effect");
    assert.equal(await challenge(), "mcp:other");

    const line = original.split("\n").findIndex((text) => text.startsWith("scopes ")) + 1;
    const mistaken = await edited(original.replace("scopes =", "scops ="));
    assert.match(mistaken, /^the new configuration is refused, and the old one stays in effect:\n/);
    assert.match(
      mistaken,
      new RegExp(`\n {2}wrangler\\.toml:${line}:1: resources\\[0\\]\\.scops: unknown key; did you mean`),
    );
    assert.equal(await challenge(), "mcp:other");

    // Only the running gateway knows that the secret is missing.
    const unset = await edited(`${other}\n[vars.PORTCULLIS.sessions]\nsecrets = ["NOT_SET"]\n`);
    assert.match(
      unset,
      /refused, and the old one is in effect again:\n {2}sessions\.secrets\[0\]: there is no Worker secret/,
    );
    assert.equal(await challenge(), "mcp:other");

    assert.match(await edited(`${other}\n[broken\n`), /refused, .*:\n {2}.*wrangler\.toml cannot be read/);
    assert.match(
      await edited(other.replace("localhost:8787", "localhost:8788")),
      /refused, .*:\n {2}public_url was http:.*stop `npm start` and start it again/,
    );

    assert.equal(await edited(original), "the new configuration is in effect");
    assert.equal(await challenge(), "mcp:tools");
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
