// Calls a tool of an MCP server behind the gateway.
//
//   node call.mjs URL [TOOL [ARGUMENTS]]
//
// With MCP_TOKEN in the environment (an access token or an API key) the program sends that. Without it, the program signs in: it
// prints the page to open, and waits for the browser on a port of this machine.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const INFO = { name: "portcullis-example", version: "1.0.0" };

/** The redirect URI: listens on a port of this machine while the program runs. */
async function startCallback() {
  let arrived;
  const next = () =>
    new Promise((resolve) => {
      arrived = resolve;
    });
  let answer = next();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://127.0.0.1");
    // Browsers also request icons.
    if (pathname !== "/callback") return response.writeHead(404).end("Not found.\n");
    response.writeHead(200, { "content-type": "text/plain" }).end("You can close this page.\n");
    arrived(searchParams);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/callback`,
    /** The parameters of the authorization response that the browser delivers. */
    async parameters(state) {
      const parameters = await answer;
      answer = next();
      if (parameters.get("state") !== state)
        throw new Error("the state of the authorization response is not the state of the request");
      if (!parameters.has("code"))
        throw new Error(`the authorization server rejected the sign-in: ${parameters.get("error")}`);
      return parameters;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The callbacks that the SDK needs to sign in. Tokens are kept only until the program ends. */
function signingIn(redirectUrl) {
  const kept = { state: randomUUID() };
  return {
    redirectUrl,
    clientMetadata: {
      client_name: "Portcullis example (TypeScript)",
      application_type: "native",
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    // The https URL of a client ID metadata document, where the server accepts one; otherwise the program registers itself.
    clientMetadataUrl: process.env.MCP_CLIENT_ID_URL,
    state: () => kept.state,
    clientInformation: () => kept.client,
    saveClientInformation: (client) => {
      kept.client = client;
    },
    tokens: () => kept.tokens,
    saveTokens: (tokens) => {
      kept.tokens = tokens;
    },
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => {
      kept.verifier = verifier;
    },
    // Binds the authorization response to the authorization server that was asked.
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (discovery) => {
      kept.discovery = discovery;
    },
    redirectToAuthorization: (url) => console.error(`Open this page to sign in:\n${url}`),
  };
}

/** Does the work. Where the user has to sign in first, or to grant more scopes, does it again after that. */
async function signedIn(work, transportOf, { callback, provider }) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || provider === undefined) throw error;
    await transportOf().finishAuth(await callback.parameters(provider.state()));
    return work();
  }
}

async function main(url, tool = "whoami", text = "{}") {
  const token = process.env.MCP_TOKEN;
  const callback = token ? undefined : await startCallback();
  const provider = callback && signingIn(callback.url);
  const how = token
    ? { requestInit: { headers: { Authorization: `Bearer ${token}` } } }
    : { authProvider: provider };
  let client;
  let transport;
  const connect = async () => {
    client = new Client(INFO, { versionNegotiation: { mode: "auto" } });
    transport = new StreamableHTTPClientTransport(new URL(url), how);
    await client.connect(transport);
  };
  const asUser = (work) => signedIn(work, () => transport, { callback, provider });
  try {
    await asUser(connect);
    const { tools } = await asUser(() => client.listTools());
    console.log(`Tools: ${tools.map(({ name }) => name).join(", ")}`);
    const result = await asUser(() => client.callTool({ name: tool, arguments: JSON.parse(text) }));
    for (const part of result.content) console.log(part.type === "text" ? part.text : `(${part.type})`);
    if (result.isError) process.exitCode = 1;
  } finally {
    await client?.close();
    callback?.close();
  }
}

const [url, ...rest] = process.argv.slice(2);
if (url === undefined || rest.length > 2) {
  console.error("usage: node call.mjs URL [TOOL [ARGUMENTS]]");
  process.exit(2);
}
await main(url, ...rest).catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
});
