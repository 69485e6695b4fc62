// The examples of docs/from-python.md as the guide has them, each with a real Python server behind the gateway.
import { readFileSync } from "node:fs";
import { request as requestSecurely } from "node:https";
import { buffer } from "node:stream/consumers";
import { Response } from "miniflare";
import { parse } from "smol-toml";
import { at, QUIET, run } from "./examples.mjs";
import { startGateway } from "./gateway.mjs";
import { startProcess, within } from "./processes.mjs";
import { python, startPythonOrigin } from "./python.mjs";
import { startRecorder } from "./recorder.mjs";
import { remember, rememberFields } from "./secrets.mjs";

export const GUIDE = readFileSync(new URL("../../../docs/from-python.md", import.meta.url), "utf8");

/** The only block of `language` in the section of the guide with this title, or before the first section without a title. */
export function blockOf(language, title) {
  const sections = GUIDE.split(/^## /m);
  const section = title === undefined ? sections[0] : sections.find((text) => text.startsWith(`${title}\n`));
  const blocks = [...(section ?? "").matchAll(/^```(\w+)\n([^`]*)^```$/gm)].filter(
    ([, of]) => of === language,
  );
  if (blocks.length !== 1) throw new Error(`${title}: ${blocks.length} blocks of ${language}`);
  return blocks[0][2];
}

/** The tools of the examples. `user_id` is the function of the guide. `/private` exists so that it can stay closed. */
const serverSource = (transport) => `
import sys
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from starlette.responses import JSONResponse

${blockOf("python")}

server = MCPServer("from-python")

@server.tool()
async def protected_tool(ctx: Context, data: str) -> str:
    return f"Processed data for user {user_id(ctx)}: {data}"

@server.tool()
async def user_info(ctx: Context) -> dict:
    return {"user_id": user_id(ctx), "request_id": ctx.request_id, "authenticated": True}

@server.tool()
async def secure_operation(ctx: Context, operation: str) -> str:
    return f"User {user_id(ctx)} performed: {operation}"

@server.tool()
async def sensitive_data() -> dict:
    return {"data": "sensitive information", "security": "protected by transport security"}

for path in ["/health", "/public", "/private"]:
    @server.custom_route(path, methods=["GET", "POST"])
    async def answer(request):
        return JSONResponse({"status": "healthy", "path": request.url.path})

server.run(transport="${transport}", host="127.0.0.1", port=int(sys.argv[1]))
`;

const INTERNAL = "https://tools.internal.example";

/**
 * Starts a Python server, and the gateway with the configuration that the guide has in the section `title`. URLs in it are
 * replaced by those of the test, `replace` has more of them, and `change(document)` changes the rest.
 *
 * With `https`, the gateway is not in development: clients reach it over HTTPS, `document` keeps its https URLs, and
 * `answer(url)` answers what it fetches from other hosts than the server's. `arrived` are the requests that the server got.
 */
export async function startExample(title, options = {}) {
  const { transport = "streamable-http", replace = {}, change = () => {}, answer, https, ...rest } = options;
  const path = transport === "sse" ? "/sse" : "/mcp";
  const running = [];
  const keep = (thing) => running.at(running.push(thing) - 1);
  const close = () => Promise.all(running.reverse().map((thing) => thing.close()));
  try {
    const server = keep(await startPythonOrigin({ source: serverSource(transport), path }));
    const recorder = keep(await startRecorder(server.url));
    const inside = `http://127.0.0.1:${recorder.port}`;
    const config = (url) => {
      const text = JSON.stringify(parse(blockOf("toml", title)).vars.PORTCULLIS);
      const urls = { "https://mcp.example.com": url, ...(https ? {} : { [INTERNAL]: inside }), ...replace };
      const replaced = Object.entries(urls).reduce((now, [from, to]) => now.replaceAll(from, to), text);
      const document = { ...JSON.parse(replaced), ...(https ? {} : { development: true }) };
      change(document);
      return document;
    };
    const outbound = async (request) => {
      const url = new URL(request.url);
      if (url.origin !== INTERNAL) return answer?.(url.href) ?? new Response(null, { status: 404 });
      const { method, headers, body } = request;
      const target = `${inside}${url.pathname}${url.search}`;
      const init = { method, headers, body, redirect: "manual", ...(body && { duplex: "half" }) };
      const response = await fetch(target, init);
      return new Response(response.body, { status: response.status, headers: response.headers });
    };
    const gateway = keep(await startGateway({ config, ...(https && { https, outbound }), ...rest }));
    return { gateway, resource: `${gateway.url}/mcp`, arrived: recorder.requests, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Calls a tool with the Python client of the examples. */
export async function callFromPython(url, tool, args, { token, env } = {}) {
  const command = [await python(), at("clients/python/call.py"), url, tool, JSON.stringify(args)];
  return run(command, { MCP_TOKEN: remember(token), ...env });
}

/** Runs a Python program to its end. */
export async function runPython(source, args, env = {}) {
  const program = startProcess(await python(), ["-c", source, ...args], { env: { ...QUIET, ...env } });
  try {
    const { code } = await within(60_000, "the Python program", program.exited, program.tail);
    return { code, ...program.output };
  } finally {
    await program.stop();
  }
}

const CERTIFICATE = `
import datetime, ipaddress, json
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
now = datetime.datetime.now(datetime.timezone.utc)
uses = dict.fromkeys(["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only",
    "decipher_only"], False)
names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
certificate = (
    x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    .not_valid_before(now - datetime.timedelta(days=1))
    .not_valid_after(now + datetime.timedelta(days=1))
    .add_extension(x509.SubjectAlternativeName(names), False)
    .add_extension(x509.BasicConstraints(True, 0), True)
    .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **uses), True)
    .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    .sign(key, hashes.SHA256())
)
pem = serialization.Encoding.PEM
form = serialization.PrivateFormat.PKCS8
private = key.private_bytes(pem, form, serialization.NoEncryption())
print(json.dumps({"key": private.decode(), "certificate": certificate.public_bytes(pem).decode()}))
`;

/** A certificate for `localhost` that signs itself, and its key. */
export async function makeCertificate() {
  const { code, stdout, stderr } = await runPython(CERTIFICATE, []);
  if (code !== 0) throw new Error(`no certificate: ${stderr}`);
  return JSON.parse(stdout);
}

const SIGN = `
import json, sys
import jwt

for claims, key, algorithm, header in json.loads(sys.argv[1]):
    print(jwt.encode(claims, key, algorithm, headers=header))
`;

/** JWTs as PyJWT signs them: each of `requests` is claims, key (PEM), algorithm and header. */
export async function signWithPyJwt(requests) {
  const { code, stdout, stderr } = await runPython(SIGN, [JSON.stringify(requests)]);
  if (code !== 0) throw new Error(`PyJWT: ${stderr}`);
  return stdout.trim().split("\n").map(remember);
}

/** One request over HTTPS. `read: false` gives the response itself, whose body is then the caller's to read. */
export async function sendSecurely(
  { gateway, certificate },
  { method = "GET", target = "/mcp", ...rest } = {},
) {
  const { fields = {}, body, read = true } = rest;
  rememberFields(Object.entries(fields));
  const options = { host: "localhost", port: gateway.port, path: target, method, headers: fields };
  const outgoing = requestSecurely({ ...options, ca: certificate, servername: "localhost", agent: false });
  const answered = new Promise((resolve, reject) => outgoing.on("response", resolve).on("error", reject));
  outgoing.end(body);
  const response = await within(30_000, `${method} ${target}`, answered);
  if (!read) return response;
  const text = (await within(30_000, `the answer to ${method} ${target}`, buffer(response))).toString();
  const { statusCode: status, headers, complete } = response;
  return { status, fields: headers, body: text, complete, json: () => JSON.parse(text) };
}
