import { join } from "node:path";
import { BIN, freePort, startProcess, within } from "../processes.mjs";
import { authorizeHeadlessly } from "../token.mjs";
import { homeWithoutBrowser } from "./no-browser.mjs";

/** npm `@modelcontextprotocol/inspector` on the command line: a process for each call, one sign-in for both. */
export const inspector =
  (era) =>
  async ({ url, tool, folder }) => {
    const env = {
      ...(await homeWithoutBrowser(folder)),
      MCP_AUTO_OPEN_ENABLED: "true",
      MCP_OAUTH_CALLBACK_URL: `http://127.0.0.1:${await freePort()}/oauth/callback`,
      MCP_INSPECTOR_SECRET_STORE: "file",
    };

    async function run(args, { signIn = false } = {}) {
      const options = ["--cli", url, "--transport", "http", "--protocol-era", era, "--format", "json"];
      const program = startProcess(join(BIN, "mcp-inspector"), [...options, ...args], { env });
      try {
        if (signIn) {
          const where = await program.until(
            "the Inspector asks for authorization",
            ({ stderr }) => stderr.match(/Please navigate to: (\S+)\s/)?.[1],
          );
          await authorizeHeadlessly(where, { requestCallback: true });
        }
        const { code, error } = await within(20_000, "the Inspector ends", program.exited, program.tail);
        if (error) throw error;
        if (code !== 0) throw new Error(`the Inspector ended with ${code}\n${program.tail()}`);
        return JSON.parse(program.output.stdout).result;
      } finally {
        await program.stop();
      }
    }

    const call = ["--method", "tools/call", "--tool-name", tool.name];
    const result = await run([...call, "--tool-args-json", JSON.stringify(tool.arguments)], { signIn: true });
    const { tools } = await run(["--method", "tools/list", "--stored-auth-only"]);
    return { tools: tools.map(({ name }) => name), result };
  };
