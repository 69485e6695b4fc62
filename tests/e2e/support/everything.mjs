import { join } from "node:path";
import { freePort, ROOT, startProcess } from "./processes.mjs";

const PROGRAM = join(ROOT, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js");

/** Starts npm `@modelcontextprotocol/server-everything`: the handshake era, with sessions. */
export async function startEverything() {
  const port = await freePort();
  const server = startProcess("node", [PROGRAM, "streamableHttp"], { env: { PORT: String(port) } });
  try {
    await server.until("server-everything", ({ stderr }) => stderr.includes(`listening on port ${port}`));
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { url: `http://127.0.0.1:${port}/mcp`, port, close: server.stop };
}
