// `npx portcullis doctor URL`: checks whether MCP clients can log in and call. Prints a table of clients and steps, and for each
// finding the reason and the cure.
import { styleText } from "node:util";
import { readOptions, refuse } from "../../lib/options.mjs";
import { fail, plain, printJson, UNUSABLE } from "../../lib/run.mjs";
import { CLIENTS, STEPS } from "./clients.mjs";
import { walk } from "./walk.mjs";

export const DOCTOR = {
  name: "portcullis doctor",
  about: "Sends an MCP endpoint the requests of MCP clients, and says which clients would fail and why.",
  operands: [{ name: "URL", required: true, about: "The URL of the endpoint" }],
  options: {
    "token-from": {
      value: "VARIABLE",
      about: "Continues with the access token in this environment variable: calls, and the origin server",
    },
    page: {
      value: "ORIGIN",
      about:
        "Also sends requests as a page of this web origin, for example http://localhost:6274 (Inspector)",
    },
    json: { about: "Prints findings and verdicts as JSON" },
  },
  notes: [
    "The clients are Claude, ChatGPT, VS Code, Cursor, Copilot CLI, the Inspector, mcp-remote and the SDKs, up to the point where a user would log in. The command checks the challenge, the metadata of the resource and of the authorization server, keys, registration, PKCE, and the first requests of both eras.",
  ],
  statuses: { 0: "no client would fail", 1: "a client would fail", 2: "the command cannot be used" },
};

/** Whether a finding affects a client. */
function concerns(finding, client) {
  if (finding.clients) return finding.clients.includes(client.name);
  if (!client.steps.includes(finding.step)) return false;
  // `without`: the finding concerns only clients that cannot register in this way.
  return finding.without === undefined || !client.registration.includes(finding.without);
}

/** For each client and step `ok`, `warning` or `error`; undefined for a step that the client does not take or does not reach. */
export function verdicts(findings) {
  return CLIENTS.map((client) => {
    let stopped = false;
    const steps = Object.keys(STEPS).map((step) => {
      if (!client.steps.includes(step) || stopped) return [step, undefined];
      const own = findings.filter((finding) => finding.step === step && concerns(finding, client));
      if (own.some(({ level }) => level === "error")) {
        stopped = true;
        return [step, "error"];
      }
      return [step, own.length > 0 ? "warning" : "ok"];
    });
    return { client: client.name, fails: stopped, steps: Object.fromEntries(steps) };
  });
}

const line = (text) => plain(text, { oneLine: true });
const paint = (style, text) => styleText(style, text, { stream: process.stdout });
const SIGNS = { ok: ["green", "✓"], warning: ["yellow", "!"], error: ["red", "✗"] };

function table(rows) {
  const width = Math.max(...CLIENTS.map(({ name }) => name.length));
  const names = Object.values(STEPS);
  const lines = names.map((name, at) => `${" ".repeat(width + 4)}${"│ ".repeat(at)}┌ ${name}`);
  for (const { client, steps } of rows) {
    const signs = Object.values(steps).map((verdict) => (verdict ? paint(...SIGNS[verdict]) : "·"));
    lines.push(`  ${client.padEnd(width)}  ${signs.join(" ")}`);
  }
  return lines.join("\n");
}

export async function doctor(args) {
  const {
    values,
    operands: [url],
  } = readOptions(args, DOCTOR);
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
    refuse(DOCTOR, `URL must be an http or https URL, got ${JSON.stringify(url)}`);
  const token = values["token-from"] && process.env[values["token-from"]];
  if (values["token-from"] && !token)
    fail(`the environment variable ${values["token-from"]} is not set`, UNUSABLE);

  const progress = process.stderr.isTTY && !values.json;
  const onStep = (what) => progress && process.stderr.write(`\r\u001b[K  checking ${line(what)} …`);
  const { findings, facts } = await walk(url, { token, webOrigin: values.page, onStep });
  if (progress) process.stderr.write("\r\u001b[K");
  const rows = verdicts(findings);
  const failing = rows.filter(({ fails }) => fails).map(({ client }) => client);
  const finding = ({ level, id, what, cure }) => {
    const [style, sign] = SIGNS[level];
    return `  ${paint(style, `${sign} ${line(what)}`)}  (${id})\n      ${line(cure)}\n`;
  };
  // Where no client gets past the first request, the table would say the same ten times.
  const barrier = facts.ended && findings.find(({ level, step }) => level === "error" && step === "reach");
  if (values.json) {
    printJson({ url, facts, findings, clients: rows });
  } else if (barrier) {
    process.stdout.write(finding(barrier));
  } else {
    process.stdout.write(`\n  ${paint("bold", plain(url, { oneLine: true }))}\n\n${table(rows)}\n\n`);
    for (const one of findings) process.stdout.write(finding(one));
    const end =
      failing.length === 0
        ? "no client that the doctor knows would fail"
        : `clients that would fail: ${failing.join(", ")}`;
    process.stdout.write(`${findings.length > 0 ? "\n" : ""}  ${end}\n`);
    if (!token)
      process.stdout.write(
        "  The steps after the login were not checked: --token-from names an environment variable with an access token.\n",
      );
  }
  process.exitCode = failing.length > 0 ? 1 : 0;
}
