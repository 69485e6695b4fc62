import { join } from "node:path";
import { BIN, freePort, startProcess } from "../processes.mjs";
import { authorizeHeadlessly } from "../token.mjs";
import { homeWithoutBrowser } from "./no-browser.mjs";

/** npm `mcp-remote`: a bridge from stdio to HTTP. We are the host that speaks stdio, in the handshake era. */
export const mcpRemote =
  (...options) =>
  async ({ url, tool, folder }) => {
    const args = [url, String(await freePort()), "--transport", "http-only", "--allow-http", ...options];
    const program = startProcess(join(BIN, "mcp-remote"), args, {
      stdin: "pipe",
      env: { ...(await homeWithoutBrowser(folder)), MCP_REMOTE_CONFIG_DIR: join(folder, "mcp-remote") },
    });
    const send = (message) => program.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    const answer = async (id) => {
      const message = await program.until(`mcp-remote answers message ${id}`, ({ stdout }) =>
        stdout
          .split("\n")
          .filter((line) => line.startsWith("{") && line.endsWith("}"))
          .map((line) => JSON.parse(line))
          .find((candidate) => candidate.id === id && !candidate.method),
      );
      if (message.error) throw new Error(`mcp-remote: ${message.error.message}\n${program.tail()}`);
      return message.result;
    };

    try {
      send({
        id: 1,
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "portcullis-e2e", version: "1.0.0" },
        },
      });
      const where = await program.until(
        "mcp-remote asks for authorization",
        ({ stderr }) => stderr.match(/authorize this client by visiting:\s+(\S+)\s/)?.[1],
      );
      await authorizeHeadlessly(where, { requestCallback: true });
      const { protocolVersion } = await answer(1);
      send({ method: "notifications/initialized" });
      send({ id: 2, method: "tools/list" });
      const { tools } = await answer(2);
      send({ id: 3, method: "tools/call", params: { name: tool.name, arguments: tool.arguments } });
      const result = await answer(3);
      return { tools: tools.map(({ name }) => name), result, hostProtocolVersion: protocolVersion };
    } finally {
      program.stdin.end();
      await program.stop();
    }
  };
