/** The look of every command: its --help, and what it prints about arguments that it does not have. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { helpOf, nearest } from "../../scripts/lib/options.mjs";
import { BIN, ROOT, startProcess } from "./support/processes.mjs";

/** How a user calls a command, the file that runs, an option with a value, and the command's required arguments. */
const COMMANDS = [
  ...[
    ["new", undefined, ["my-gate"]],
    ["init", "--provider"],
    ["check", "--config"],
    ["check", "--list"],
    ["check", "--origin"],
    ["check", "--origin-header-from"],
    ["doctor", "--page"],
    ["token", "--from"],
    ["test", "--junit"],
    ["explain", "--claims"],
    ["replay", "--log"],
    ["diff", "--log", ["a", "b"]],
    ["serve", "--certificate"],
    ["keys", "--algorithm"],
    ["apikey", "--prefix"],
    ["grants", "--issuer"],
    ["push", "--persist-to"],
    ["rollback", "--to"],
    ["migrate", "--config"],
    ["document", "--env"],
    ["build", "--crate"],
    ["completions", undefined, ["bash"]],
    ["man"],
  ].map(([name, ...more]) => [`portcullis ${name}`, ["scripts/portcullis.mjs", name], ...more]),
  ["npm start --", ["scripts/start.mjs"]],
  ["npm run build --", ["scripts/build.mjs"]],
  ["npm test --", ["scripts/test.mjs"]],
  ["npm run deploy --", ["scripts/deploy.mjs"], "--env"],
  ["npm run bench --", ["bench/run.mjs"], "--only"],
  ["npm run bench:micro --", ["scripts/bench-micro.mjs"]],
  ["npm run fuzz --", ["scripts/fuzz.mjs"], undefined, ["all", "20"]],
  ["npm run differential --", ["scripts/differential.mjs"], undefined, ["10", "1"]],
  ["npm run test:policy --", ["scripts/policy-properties.mjs"], undefined, ["10"]],
];

async function run(args) {
  const [file, ...more] = args;
  const program = startProcess(join(BIN, "node"), [join(ROOT, file), ...more]);
  const { code } = await program.exited;
  return { code, ...program.output };
}

/** A usage line, one sentence, the table of options, and the exit statuses. */
function hasShape(call, help) {
  const [usage, about, ...blocks] = help.trimEnd().split("\n\n");
  for (const line of help.split("\n")) assert.ok(line.length <= 100, line);
  assert.ok(usage.startsWith(`Usage: ${call}`), help);
  assert.match(about, /^[A-Z](?:[^.]|\.(?=\S))*\.$/, help);
  if (blocks[0].startsWith("Arguments:\n")) blocks.shift();
  assert.match(blocks[0], /^Options:\n( {2}.+\n)* {2}-h, --help +Print help$/, help);
  assert.match(blocks.at(-1), /^Exit status:\n( {2}[01] {2}.+\n)+ {2}2 {2}.+$/, help);
}

async function isWrong(call, args, why) {
  const { code, stdout, stderr } = await run(args);
  assert.equal(code, 2, `${args}: ${stdout}${stderr}`);
  assert.equal(stdout, "", `${args}`);
  const [first, second, ...rest] = stderr.split("\n");
  assert.match(first, why, `${args}`);
  const inShell = call.replace(/^portcullis/, "npx portcullis");
  assert.ok(second.startsWith(`\`${inShell} --help\` prints the `), `${args}: ${stderr}`);
  assert.deepEqual(rest, [""], `${args}`);
}

describe("each command", { timeout: 400_000 }, () => {
  for (const [call, args, option, operands = []] of COMMANDS)
    test(`${call} ${option ?? ""}`, async () => {
      const help = await run([...args, "--help"]);
      assert.equal(help.code, 0, help.stderr);
      hasShape(call, help.stdout);

      await isWrong(call, [...args, "--no-such-thing"], /^portcullis: there is no option --no-such-thing$/);
      await isWrong(
        call,
        [...args, "--hepl"],
        /^portcullis: there is no option --hepl; did you mean --help\?$/,
      );
      if (option) {
        const missing = new RegExp(`^portcullis: ${option} needs a value: ${option} <[A-Z,]+>$`);
        await isWrong(call, [...args, option], missing);
        assert.match(help.stdout, new RegExp(`^ .* ${option} <[A-Z,]+>  `, "m"));
      }
      // `push FILE`, `doctor URL` and others take one argument, `npm test` any number of names.
      if (!/(new|test|doctor|keys|grants|push|npm test --)$/.test(call))
        await isWrong(
          call,
          [...args, ...operands, ...(call.endsWith("replay") ? ["--log", "a"] : []), "more"],
          /^portcullis: unexpected argument "more"$/,
        );
    });

  test("the texts of --help are current", async () => {
    const { runRust } = await import("../../scripts/commands/rust.mjs");
    const rust = async (...args) => (await runRust(args, { quiet: true })).stdout;
    const { APIKEY } = await import("../../scripts/commands/apikey.mjs");
    const { DOCTOR } = await import("../../scripts/commands/doctor/main.mjs");
    const { GRANTS } = await import("../../scripts/commands/grants.mjs");
    const { INIT } = await import("../../scripts/commands/init.mjs");
    const { KEYS } = await import("../../scripts/commands/keys.mjs");
    const { NEW } = await import("../../scripts/commands/new.mjs");
    const { PUSH, ROLLBACK } = await import("../../scripts/commands/push.mjs");
    const { BUILD } = await import("../../scripts/commands/build.mjs");
    const { SERVE } = await import("../../scripts/commands/serve/main.mjs");
    const { TOKEN } = await import("../../scripts/commands/token.mjs");
    const texts = { "": await rust("--help") };
    for (const name of [
      "check",
      "test",
      "lock",
      "explain",
      "replay",
      "diff",
      "migrate",
      "document",
      "completions",
      "man",
    ])
      texts[name] = await rust(name, "--help");
    for (const table of [NEW, INIT, DOCTOR, TOKEN, SERVE, BUILD, KEYS, APIKEY, GRANTS, PUSH, ROLLBACK])
      texts[table.name.split(" ")[1]] = helpOf(table);
    const file = join(ROOT, "scripts", "help.json");
    const text = `${JSON.stringify(texts, undefined, 2)}\n`;
    if (process.env.UPDATE) writeFileSync(file, text);
    assert.equal(readFileSync(file, "utf8"), text, "UPDATE=1 npm run test:e2e writes scripts/help.json");
    const [, list] = texts[""].match(/^Commands:\n((?:.+\n)+)/m);
    const names = [...list.matchAll(/^ {2}(\w+)/gm)]
      .map(([, name]) => name)
      .filter((name) => !["help", "start", "deploy"].includes(name));
    // Those two are programs of their own, which print it themselves.
    assert.deepEqual(Object.keys(texts).filter(Boolean).sort(), names.sort());
  });

  test("the commands are listed in the order in which a new user needs them", async () => {
    const { stdout } = await run(["scripts/portcullis.mjs", "--help"]);
    const [, list] = stdout.match(/^Commands:\n((?:.+\n)+)/m);
    // The other lines continue a description.
    const names = [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name);
    assert.deepEqual(names.slice(0, 5), ["new", "start", "init", "check", "test"]);
    const source = readFileSync(join(ROOT, "docs", "commands.md"), "utf8");
    const rows = [...source.matchAll(/^\| `([a-z]+)[^|]*\|/gm)].map(([, name]) => name);
    assert.deepEqual(
      rows,
      names.filter((name) => !["help", "rollback"].includes(name)),
      "docs/commands.md has them in the same order",
    );
  });

  test("an unknown command is named, with the nearest one where it is near", async () => {
    await isWrong(
      "portcullis",
      ["scripts/portcullis.mjs", "docter"],
      /no command docter; did you mean doctor\?$/,
    );
    await isWrong("portcullis", ["scripts/portcullis.mjs", "frob"], /no command frob$/);
  });

  for (const [what, call, args, why] of [
    ["a required option", "portcullis replay", ["replay"], /--log is required$/],
    ["a required option", "portcullis apikey", ["apikey", "--prefix", "pk"], /--label is required$/],
    ["a required argument", "portcullis doctor", ["doctor"], /URL is required$/],
    ["an option twice", "portcullis check", ["check", "--env", "a", "--env", "b"], /--env is given twice$/],
    ["an option twice", "portcullis token", ["token", "--env", "a", "--env", "b"], /--env is given twice$/],
    ["a value for a flag", "portcullis check", ["check", "--json=a"], /--json takes no value, got "a"$/],
    ["a value for a flag", "portcullis push", ["push", "--local=a", "f"], /--local takes no value, got "a"$/],
    ["an option as a value", "portcullis check", ["check", "--config", "--env"], /--config needs a value/],
    ["an option as a value", "portcullis token", ["token", "--config", "--env"], /--config needs a value/],
    ["an argument too many", "portcullis push", ["push", "a", "b"], /unexpected argument "b"$/],
    [
      "an unknown action",
      "portcullis keys",
      ["keys", "mkae"],
      /ACTION must be make, show or rotate, got "mkae"$/,
    ],
    [
      "an option of another action",
      "portcullis keys",
      ["keys", "show", "--algorithm", "ES256"],
      /--algorithm is an option of make only$/,
    ],
  ])
    test(`${what}: ${args.join(" ")}`, () => isWrong(call, ["scripts/portcullis.mjs", ...args], why));

  test("the document that is checked is the one that is deployed", () =>
    isWrong(
      "npm run deploy --",
      ["scripts/deploy.mjs", "--", "--env=b"],
      /--env=b must be before the --, or in the file/,
    ));

  test("a layer of tests that does not exist", () =>
    isWrong("npm test --", ["scripts/test.mjs", "e2"], /there is no layer "e2"$/));
});

test("each option of a table is in the help, with its default", () => {
  const help = helpOf({
    name: "portcullis x",
    about: "Does it.",
    options: { one: { about: "First", value: "A", default: "b" }, two: { about: "Second", short: "t" } },
    statuses: { 0: "it is done" },
  });
  assert.match(help, /^ {6}--one <A> {2}First \[default: b\]$/m);
  assert.match(help, /^ {2}-t, --two {6}Second$/m);
});

test("only a word that is near is suggested", () => {
  assert.equal(nearest("--confg", ["--config", "--env"]), "--config");
  assert.equal(nearest("--frob", ["--config", "--env"]), undefined);
});
