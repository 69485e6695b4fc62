// Python with packages of PyPI's, in a virtual environment of the user's cache, never in the tree; and a real origin of
// PyPI `mcp`. Packages are installed once; where that fails, the tests that need them fail, and say how. Where there is no
// Python at all they are skipped, and the run says so.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cache } from "../../../scripts/lib/tools.mjs";
import { freePort, startProcess, within } from "./processes.mjs";

const PACKAGES = ["mcp==2.3.0"];
const PATIENCE = 300_000;

const probe = spawnSync("python3", [
  "-c",
  "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))",
]);

/** Why a test that needs Python cannot run here; false where it can. */
export const noPython =
  probe.status === 0 ? false : "needs python3, 3.10 or newer, with venv (Debian: apt install python3-venv)";

async function run(what, command, args) {
  const program = startProcess(command, args);
  try {
    const { code, error } = await within(PATIENCE, what, program.exited, program.tail);
    if (error || code !== 0) throw new Error(`${what} failed: ${error?.message ?? program.tail()}`);
  } finally {
    await program.stop();
  }
}

/** The Python of a virtual environment that has these packages, each pinned (`mcp==2.3.0`), and what they need. */
export async function python(packages = PACKAGES) {
  const name = `python-${packages.join("-").replace(/[^\w.-]+/g, "-")}`;
  const folder = join(cache, name);
  const program = join(folder, "bin", "python");
  if (existsSync(program)) return program;
  await mkdir(cache, { recursive: true });
  // Test files run side by side: each makes its own, and the first that is complete stays.
  const mine = join(cache, `${name}.${process.pid}`);
  await run("python3 -m venv (Debian: apt install python3-venv)", "python3", ["-m", "venv", mine]);
  await run(`pip install ${packages.join(" ")}`, join(mine, "bin", "python"), [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages],
  ]);
  await rename(mine, folder).catch(() => rm(mine, { recursive: true, force: true }));
  return program;
}

const SERVER = `
import sys
from mcp.server import MCPServer

server = MCPServer("python-origin")

@server.tool()
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b

@server.tool()
def drop_table(name: str) -> str:
    """Drops a table."""
    return "dropped " + name

@server.tool()
def write_file(path: str) -> str:
    """Writes a file."""
    return "written " + path

server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
`;

/**
 * Starts an origin of PyPI `mcp`: both eras, sessions in the old one. `source` is another program, which gets its port as an
 * argument, and `path` where it serves MCP.
 */
export async function startPythonOrigin({ source = SERVER, path = "/mcp" } = {}) {
  const port = await freePort();
  const folder = join(cache, "python-origin");
  await mkdir(folder, { recursive: true });
  const script = join(folder, `${process.pid}-${port}.py`);
  await writeFile(script, source);
  const server = startProcess(await python(), [script, String(port)]);
  const close = async () => {
    await server.stop();
    await rm(script, { force: true });
  };
  try {
    await server.until(
      "the Python origin",
      ({ stderr }) => stderr.includes(`http://127.0.0.1:${port}`),
      60_000,
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `http://127.0.0.1:${port}${path}`, port, close };
}

/** Starts a server of PyPI `fastmcp` whose program gets its port and these arguments. */
export async function startFastMcp(source, { port, args = [] } = {}) {
  const at = port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), "portcullis-fastmcp-"));
  const script = join(folder, "server.py");
  await writeFile(script, source);
  const server = startProcess(await python(["fastmcp==4.2.3"]), [script, String(at), ...args]);
  const close = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const isUp = ({ stderr, stdout }) => `${stderr}${stdout}`.includes(`http://127.0.0.1:${at}`);
  await server.until("the fastmcp server", isUp, 60_000).catch(async (error) => {
    await close();
    throw error;
  });
  return { url: `http://127.0.0.1:${at}/mcp`, close };
}
