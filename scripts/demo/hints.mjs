// The commands to try that `npm start` prints, ready to paste.
import { styleText } from "node:util";

const paint = (style, text) => styleText(style, text, { stream: process.stdout });

const quote = (text) => (/^[\w./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

const CALL = {
  headers: { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "whoami" },
  body: {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name: "whoami",
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  },
};

// The user's own MCP server may have other tools, and may support the legacy era only.
const HELLO = {
  headers: {},
  body: {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "portcullis-demo", version: "1" },
    },
  },
};

/** The request of the second hint: a call of `whoami` for the MCP server in examples/, `initialize` for any other server. */
export function sample(ours) {
  const { headers, body } = ours ? CALL : HELLO;
  const accept = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
  return { headers: { ...accept, ...headers }, body: JSON.stringify(body) };
}

function curl(url, authorization, { headers, body }) {
  const fields = Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`);
  const rows = [`curl -sS ${url} -H ${authorization}`, fields.slice(0, 2).join(" ")];
  if (fields.length > 2) rows.push(fields.slice(2).join(" "));
  return [...rows, `-d ${quote(body)}`].join(" \\\n       ");
}

/**
 * The text of the hints. `page` is the URL of the gateway's page for people, undefined where the page is off; `warnings` is the
 * number of warnings about the configuration. `server` is the URL of the gateway where it is the authorization server. `tokenFile` is a file with an
 * Authorization field, whose token is renewed; it is undefined where the identity provider is not the one of examples/.
 */
export function hints({ url, page, warnings, issuer, server, ours, issuers, behind, tokenFile, logPath }) {
  const head = (number, text) => `  ${paint("bold", `${number}. ${text}`)}\n`;
  const tool = ours ? "--method tools/call --tool-name whoami" : "--method tools/list";
  const login = issuer ? "your browser opens: sign in as Ada" : "your browser opens: sign in";
  const inspector = "npx @modelcontextprotocol/inspector";
  const holder = tokenFile ? "in a file, renewed while npm start runs" : "in $TOKEN, where you put it";
  const field = tokenFile ? `@${quote(tokenFile)}` : '"Authorization: Bearer $TOKEN"';

  return `
${paint("bold", "  The gateway is running.")}

     gateway            ${url}${page ? `\n     its page           ${page}   (for people: how to connect)` : ""}
     identity provider  ${issuers.join(", ")}${issuer ? "   (one user, Ada, without a password)" : ""}
     MCP server         ${behind}
${server ? `     the gateway is the authorization server; ${server}/grants shows your grants\n` : ""}
${head(1, "Without a token: the gateway answers 401, and says where to get a token")}     curl -i ${url}

${head(2, `With a token (${holder}): the gateway forwards the request`)}     ${curl(url, field, sample(ours))}

${head(3, `The whole login, with the MCP Inspector, in this folder (${login})`)}     ${inspector} --cli ${url} --relogin ${tool}

     or in its web page:
     ${inspector} --server-url ${url} --transport http

${head(4, "Your own MCP client")}     ${url}
     claude mcp add --transport http portcullis ${url}

  The log of the gateway follows, one line for each event. The same log as JSON is in
     ${logPath}
${warnings > 0 ? `\n  Before you deploy this configuration: \`npx portcullis check\` has ${warnings === 1 ? "a note" : `${warnings} notes`} about it.\n` : ""}
  Ctrl-C stops everything.

`;
}
