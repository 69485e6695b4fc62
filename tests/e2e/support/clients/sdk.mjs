import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { UnauthorizedError as OldUnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { within } from "../processes.mjs";
import { MemoryOAuthProvider } from "./oauth-provider.mjs";

const INFO = { name: "portcullis-e2e", version: "1.0.0" };
const TIME_LIMIT = 20_000;

async function run({
  url,
  tool,
  clientMetadataUrl,
  makeClient,
  Transport,
  Unauthorized,
  finish,
  negotiated,
}) {
  const authProvider = new MemoryOAuthProvider(clientMetadataUrl);
  const connect = async () => {
    const client = makeClient();
    const transport = new Transport(new URL(url), { authProvider });
    try {
      await client.connect(transport);
    } catch (error) {
      return { client, transport, error };
    }
    return { client, transport };
  };

  const stranger = await connect();
  try {
    if (!(stranger.error instanceof Unauthorized)) {
      throw new Error("the client was not told to authorize", { cause: stranger.error });
    }
    await finish(stranger.transport, await authProvider.authorize());
  } finally {
    await stranger.client.close();
  }

  const { client, transport, error } = await connect();
  try {
    if (error) throw error;
    const { tools } = await client.listTools();
    const result = await client.callTool({ name: tool.name, arguments: tool.arguments });
    const { sessionId } = transport;
    if (sessionId) await transport.terminateSession();
    return { tools: tools.map(({ name }) => name), result, ...negotiated(client, transport) };
  } finally {
    await client.close();
  }
}

/** npm `@modelcontextprotocol/client` 2.x; `mode` is that of `versionNegotiation`. */
export const sdkClient = (mode) => (options) =>
  within(
    TIME_LIMIT,
    "@modelcontextprotocol/client",
    run({
      ...options,
      makeClient: () => new Client(INFO, { versionNegotiation: { mode } }),
      Transport: StreamableHTTPClientTransport,
      Unauthorized: UnauthorizedError,
      finish: (transport, parameters) => transport.finishAuth(parameters),
      negotiated: (client) => ({
        era: client.getProtocolEra(),
        protocolVersion: client.getNegotiatedProtocolVersion(),
      }),
    }),
  );

/** npm `@modelcontextprotocol/sdk` 1.x: knows the handshake only. */
export const oldSdkClient = (options) =>
  within(
    TIME_LIMIT,
    "@modelcontextprotocol/sdk",
    run({
      ...options,
      makeClient: () => new OldClient(INFO),
      Transport: OldTransport,
      Unauthorized: OldUnauthorizedError,
      finish: (transport, parameters) => transport.finishAuth(parameters.get("code")),
      negotiated: (_client, transport) => ({ era: "legacy", protocolVersion: transport.protocolVersion }),
    }),
  );
