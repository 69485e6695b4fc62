// The doctor against gateways that are well, and against many that are not: each fault has to be found and named.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startLogin } from "../e2e/support/login.mjs";
import { freePort } from "../e2e/support/processes.mjs";
import { EXPIRED } from "./certificate.mjs";
import { FAULTS, startTls } from "./faults.mjs";

const COMMAND = fileURLToPath(new URL("../../scripts/portcullis.mjs", import.meta.url));
const PAGE = "http://localhost:6274";

/** Passes everything on to the gateway, and spoils what comes back. */
async function startProxy(port, target) {
  const state = { spoil: undefined };
  const server = createServer((request, response) => {
    const path = request.url.split("?")[0];
    const { method, headers } = request;
    delete headers["accept-encoding"]; // what is spoiled must be readable
    const onward = httpRequest(
      { host: "127.0.0.1", port: target(), path: request.url, method, headers },
      (answer) => {
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("end", () => {
          const body = Buffer.concat(chunks).toString();
          const whole = { status: answer.statusCode, headers: answer.headers, body };
          const sent = state.spoil ? state.spoil({ path, method, headers }, whole) : whole;
          if (sent === undefined) return; // never answered
          const { "content-length": _, "transfer-encoding": __, ...fields } = sent.headers;
          response.writeHead(sent.status, fields).end(method === "HEAD" ? "" : sent.body);
        });
      },
    );
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    state,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** What the command says. */
function doctor(url, { token, page } = {}) {
  const args = [COMMAND, "doctor", url, "--json"];
  if (token) args.push("--token-from", "DOCTOR_TOKEN");
  if (page) args.push("--page", PAGE);
  return new Promise((resolve) => {
    const env = { ...process.env, DOCTOR_TOKEN: token ?? "", NODE_EXTRA_CA_CERTS: authority };
    execFile(
      process.execPath,
      args,
      { env, timeout: 120_000, maxBuffer: 1 << 24 },
      (error, stdout, stderr) => {
        let said;
        try {
          said = JSON.parse(stdout);
        } catch {
          said = { findings: [], clients: [], broken: stderr };
        }
        resolve({ ...said, code: error?.code ?? 0 });
      },
    );
  });
}

const port = await freePort();
let gatewayPort;
const proxy = await startProxy(port, () => gatewayPort);
const scene = await startLogin({
  server: {
    clients: [
      {
        client_id: "doctor",
        token_endpoint_auth_method: "client_secret_basic",
        secret: "DOCTOR_SECRET",
        grant_types: ["client_credentials"],
        scopes: ["mcp:tools"],
      },
    ],
  },
  changes: { public_url: `http://127.0.0.1:${port}`, allowed_origins: [PAGE] },
});
gatewayPort = scene.gateway.port;
const url = `http://127.0.0.1:${port}/mcp`;
const tls = await startTls(EXPIRED);
// Trusted but for its time, so that this is what is wrong with it.
const folder = mkdtempSync(join(tmpdir(), "portcullis-doctor-"));
const authority = join(folder, "authority.pem");
writeFileSync(authority, EXPIRED.cert);

let passed = 0;
let failed = 0;
const told = (good, what) => {
  if (good) passed += 1;
  else {
    failed += 1;
    console.log(`  FAILED ${what}`);
  }
};

const machine = async () => {
  const basic = Buffer.from(`doctor:${scene.secrets.DOCTOR_SECRET}`).toString("base64");
  const response = await fetch(`http://127.0.0.1:${port}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
  });
  return (await response.json()).access_token;
};

// Well: nobody fails, and nothing is found.
const token = await machine();
const well = await doctor(url, { token, page: true });
told(
  well.code === 0 && well.findings.length === 0,
  `a gateway that is well: ${JSON.stringify(well.findings)} ${well.broken ?? ""}`,
);
told(
  well.clients.length >= 10 && well.clients.every(({ fails }) => !fails),
  "a gateway that is well: all clients",
);

const rows = [];
let named = 0;
for (const fault of FAULTS) {
  proxy.state.spoil = fault.spoil;
  const address = fault.tls ? tls.url : (fault.url?.(url) ?? url);
  const said = await doctor(address, { token: fault.token === true ? token : fault.token, page: fault.page });
  const found = said.findings.find(({ id }) => id === fault.named);
  const failing = said.clients.filter(({ fails }) => fails).map(({ client }) => client);
  const expected = fault.failing !== false;
  const complete = found?.what && found?.cure && (found.level === "error") === expected;
  const rightClients =
    fault.only === undefined ||
    (fault.only.every((name) => failing.includes(name)) && failing.length < said.clients.length);
  const good = complete && said.code === (expected ? 1 : 0) && rightClients;
  if (good) named += 1;
  rows.push(
    `| ${fault.name} | \`${fault.named}\` | ${expected ? "error" : "warning"} | ${found?.cure ?? ""} |`,
  );
  told(
    good,
    `${fault.name}: wanted ${fault.named}, found ${said.findings.map(({ id }) => id).join(", ")}; code ${said.code}; ${failing.join(", ")} ${said.broken ?? ""}`,
  );
}
proxy.state.spoil = undefined;

// The guide has this very table.
const guide = new URL("../../docs/doctor.md", import.meta.url);
const [before, , after] = readFileSync(guide, "utf8").split(/(?<=<!-- faults -->\n)|(?=<!-- end -->)/);
if (after === undefined) throw new Error("docs/doctor.md has lost the mark where its table ends");
const whole = `${before}| what is wrong | id | level | cure |\n|---|---|---|---|\n${rows.join("\n")}\n${after}`;
if (process.env.UPDATE === "1") writeFileSync(guide, whole);
told(
  readFileSync(guide, "utf8") === whole,
  "docs/doctor.md has another table: UPDATE=1 npm run test:doctor writes it",
);

// What the command itself refuses.
for (const args of [
  [],
  ["ftp://x"],
  ["http://x", "http://y"],
  ["http://x", "--frob"],
  ["http://x", "--token-from", "NOT_SET_HERE"],
]) {
  const code = await new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, "doctor", ...args], (error) => resolve(error?.code ?? 0));
  });
  told(code === 2, `doctor ${args.join(" ")}: code ${code}`);
}

await Promise.all([proxy.close(), scene.close(), tls.close()]);
rmSync(folder, { recursive: true });
console.log(`doctor: ${named}/${FAULTS.length} faults named`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
