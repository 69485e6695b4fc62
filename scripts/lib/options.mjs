// The arguments of a command: one table, from which they are read and from which --help is printed. Uses nothing but Node 20 and its
// own modules. The Rust part of the command line has the same look (src/bin/portcullis/look.rs).
//
// A command is
//   name       what a user types, for example "portcullis token" or "npm run bench"
//   about      one sentence: what the command does
//   operands   the arguments that are no options: { name, about, required, many }
//   options    by name: { about, value, short, required, default, otherwise, only }
//                value      the name of its value; without it the option is a flag
//                default    the value where the option is not given
//                otherwise  what happens where the option is not given, in words
//                only       the values of the first operand that the option is for
//                many       the option may be given more than once; its value is then a list
//   input      what the command reads from standard input
//   rest       { name, about }: arguments after --, for another program
//   notes      further paragraphs of --help
//   statuses   the exit statuses and their meanings
import { fail, failAsJson, UNUSABLE } from "./run.mjs";

const WIDTH = 100;
const HELP = { short: "h", about: "Print help" };

/** How a user adds arguments to a command. */
const call = ({ name }) => (name.startsWith("npm") ? `${name} --` : name);
/** The command for a shell: npm packages of a clone are run with npx. */
const inShell = (command) => call(command).replace(/^portcullis/, "npx portcullis");

/** Lines of at most `WIDTH` characters, all but the first indented. */
function wrap(text, indent) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}

/** A heading, and rows of two columns below it. */
function table(heading, rows) {
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${wrap(right, width + 4)}`);
  return `${heading}:\n${lines.join("\n")}\n`;
}

const shown = (name, { value }) => `--${name}${value ? ` <${value}>` : ""}`;

function row([name, option]) {
  const { short, about, otherwise = option.default, only } = option;
  const details = [only && `(${only.join(", ")})`, otherwise && `[default: ${otherwise}]`].filter(Boolean);
  return [`${short ? `-${short}, ` : "    "}${shown(name, option)}`, [about, ...details].join(" ")];
}

/** The text of --help. */
export function helpOf(command) {
  const { about, operands = [], options = {}, input, rest, notes = [], statuses } = command;
  const required = Object.entries(options).filter(([, option]) => option.required);
  const usage = [
    call(command),
    "[OPTIONS]",
    ...required.map(([name, option]) => shown(name, option)),
    ...operands.map(({ name, required, many }) => {
      const dots = many ? "..." : "";
      return required ? `<${name}>${dots}` : `[${name}]${dots}`;
    }),
    ...(rest ? [`[-- ${rest.name}...]`] : []),
    ...(input ? [`< ${input}`] : []),
  ];
  const named = [...operands, ...(rest ? [rest] : [])];
  return [
    `Usage: ${usage.join(" ")}\n`,
    `${wrap(about, 0)}\n`,
    ...(named.length > 0
      ? [
          table(
            "Arguments",
            named.map(({ name, about }) => [name, about]),
          ),
        ]
      : []),
    table("Options", [...Object.entries(options), ["help", HELP]].map(row)),
    ...notes.map((note) => `${wrap(note, 0)}\n`),
    table("Exit status", Object.entries(statuses)),
  ].join("\n");
}

/** How many characters must be changed to make one word of another. */
function distance(one, other) {
  let before = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [at, character] of [...one].entries()) {
    const now = [at + 1];
    for (let column = 0; column < other.length; column += 1)
      now.push(
        Math.min(
          before[column + 1] + 1,
          now[column] + 1,
          before[column] + (other[column] === character ? 0 : 1),
        ),
      );
    before = now;
  }
  return before.at(-1);
}

/** The known word that is nearest to another one, where it is near. */
export function nearest(word, known) {
  const rated = known.map((name) => [distance(word, name), name]).sort(([one], [other]) => one - other);
  const [best, name] = rated[0] ?? [];
  return best <= Math.max(1, Math.floor(word.length / 3)) ? name : undefined;
}

/** Ends a command that was called in a wrong way. The message says where its arguments are listed. */
export function refuse(command, why) {
  return fail(`${why}\n\`${inShell(command)} --help\` prints the arguments`, UNUSABLE);
}

/**
 * Reads the arguments of a command. Ends it with a message where they are wrong, and with the help where --help is among them.
 * `values` has the options by their names; `operands` and `rest` are lists.
 */
export function readOptions(args, command) {
  const options = { ...command.options, help: HELP };
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const rest = end < 0 ? [] : args.slice(end + 1);
  // Before everything else, so that an error in the other arguments is JSON too.
  if (options.json && own.includes("--json")) failAsJson();
  const wrong = (why) => refuse(command, why);

  const [values, operands] = [{}, []];
  for (const [name, { value, default: initial }] of Object.entries(options))
    values[name] = value ? initial : false;
  const find = (flag) =>
    Object.keys(options).find((name) =>
      [`--${name}`, options[name].short && `-${options[name].short}`].includes(flag),
    );
  const given = new Set();
  const waiting = [...own];
  while (waiting.length > 0) {
    const word = waiting.shift();
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    const [, flag, inline] = word.match(/^([^=]*)(?:=(.*))?$/s);
    const name = find(flag);
    if (name === undefined) {
      const near = nearest(
        flag,
        Object.keys(options).map((name) => `--${name}`),
      );
      wrong(`there is no option ${flag}${near ? `; did you mean ${near}?` : ""}`);
    }
    if (name === "help") {
      process.stdout.write(helpOf(command));
      process.exit(0);
    }
    if (given.has(name) && !options[name].many) wrong(`--${name} is given twice`);
    given.add(name);
    if (!options[name].value) {
      if (inline !== undefined) wrong(`--${name} takes no value, got ${JSON.stringify(inline)}`);
      values[name] = true;
      continue;
    }
    const next = inline ?? waiting[0];
    // A value may begin with a hyphen, as ids of grants do; what looks like an option is none.
    if (next === undefined || (inline === undefined && (/^--/.test(next) || find(next) !== undefined)))
      wrong(`--${name} needs a value: ${shown(name, options[name])}`);
    const text = inline ?? waiting.shift();
    values[name] = options[name].many ? [...(values[name] ?? []), text] : text;
  }

  const known = command.operands ?? [];
  if (!command.rest) operands.push(...rest);
  if (!known.at(-1)?.many && operands.length > known.length)
    wrong(`unexpected argument ${JSON.stringify(operands[known.length])}`);
  const missing = known.find(({ required }, at) => required && operands[at] === undefined);
  if (missing) wrong(`${missing.name} is required`);
  for (const [name, option] of Object.entries(options)) {
    if (option.required && !given.has(name)) wrong(`--${name} is required`);
    if (option.only && given.has(name) && !option.only.includes(operands[0]))
      wrong(`--${name} is an option of ${option.only.join(" and ")} only`);
  }
  return { values, operands, rest: command.rest ? rest : [] };
}

/** Options that several commands have. */
export const CONFIG = { value: "FILE", about: "The configuration file", otherwise: "wrangler.toml" };
export const ENV = { value: "NAME", about: "The environment of wrangler.toml" };
export const JSON_OUTPUT = { about: "Prints JSON" };

/** The meaning of exit status 2, which is the same for each command. */
export const CANNOT = "the command or the configuration cannot be used";
