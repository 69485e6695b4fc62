// The servers of the federation that these tests use: published ones of both eras, in JavaScript and Python.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOrigin } from "../../../examples/origin/server.mjs";
import { startEverything } from "../../e2e/support/everything.mjs";
import { ROOT } from "../../e2e/support/processes.mjs";
import { noPython, startFastMcp, startPythonOrigin } from "../../e2e/support/python.mjs";
import { startRecorder } from "../../e2e/support/recorder.mjs";
import { startStdio } from "./stdio.mjs";

const program = (name) => join(ROOT, "node_modules", "@modelcontextprotocol", name, "dist", "index.js");

/** npm `@modelcontextprotocol/server-filesystem` with a folder that has one file. */
async function startFiles() {
  const folder = await mkdtemp(join(tmpdir(), "portcullis-files-"));
  await writeFile(join(folder, "hello.txt"), "Hello from a file.");
  const server = await startStdio(process.execPath, [program("server-filesystem"), folder]);
  const close = async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { ...server, folder, close };
}

/** npm `@modelcontextprotocol/server-memory`. */
async function startMemory() {
  const folder = await mkdtemp(join(tmpdir(), "portcullis-memory-"));
  const env = { MEMORY_FILE_PATH: join(folder, "memory.jsonl") };
  const server = await startStdio(process.execPath, [program("server-memory")], { env });
  const close = async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { ...server, close };
}

const FASTMCP = `
import sys
from fastmcp import FastMCP

server = FastMCP("fast", instructions="Multiplies.")

@server.tool
def multiply(a: int, b: int) -> int:
    """Multiplies two numbers."""
    return a * b

@server.resource("data://greeting")
def greeting() -> str:
    """A greeting."""
    return "Hello"

@server.prompt
def summarize(text: str) -> str:
    """Asks for a summary."""
    return "Summarize: " + text

server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]))
`;

/**
 * The servers, by their name in the configuration: how they start, which eras they have, and a tool with arguments and with what its
 * text is.
 */
export const SERVERS = {
  everything: {
    start: startEverything,
    eras: ["legacy"],
    tool: { name: "get-sum", arguments: { a: 19, b: 23 }, expected: /19 and 23 is 42/ },
    absent: /nothing/,
  },
  files: {
    start: startFiles,
    eras: ["legacy"],
    tool: ({ folder }) => ({
      name: "read_text_file",
      arguments: { path: join(folder, "hello.txt") },
      expected: /^Hello from a file\.$/,
    }),
  },
  memory: {
    start: startMemory,
    eras: ["legacy"],
    tool: { name: "read_graph", arguments: {}, expected: /"entities": \[\]/ },
  },
  dual: {
    start: () => startOrigin({ extensions: true }),
    eras: ["modern", "legacy"],
    tool: { name: "add", arguments: { a: 19, b: 23 }, expected: /^42$/ },
  },
  modern: {
    start: () => startOrigin({ onlyModern: true }),
    eras: ["modern"],
    tool: { name: "add", arguments: { a: 19, b: 23 }, expected: /^42$/ },
  },
  ...(noPython
    ? {}
    : {
        python: {
          start: startPythonOrigin,
          eras: ["modern", "legacy"],
          tool: { name: "add", arguments: { a: 19, b: 23 }, expected: /^42$/ },
        },
        fast: {
          start: () => startFastMcp(FASTMCP),
          eras: ["modern", "legacy"],
          tool: { name: "multiply", arguments: { a: 6, b: 7 }, expected: /^42$/ },
        },
      }),
};

/** Starts these servers, each behind a recorder. */
export async function startServers(names = Object.keys(SERVERS)) {
  const started = {};
  try {
    await Promise.all(
      names.map(async (name) => {
        const server = await SERVERS[name].start();
        const recorder = await startRecorder(server.url);
        const { tool } = SERVERS[name];
        started[name] = { name, server, recorder, tool: typeof tool === "function" ? tool(server) : tool };
      }),
    );
  } catch (error) {
    await closeAll(started);
    throw error;
  }
  const all = names.map((name) => started[name]);
  return {
    all,
    named: started,
    /** What the configuration has for them. */
    entries: all.map(({ name, recorder }) => ({ name, origin: recorder.url })),
    close: () => closeAll(started),
  };
}

async function closeAll(started) {
  await Promise.allSettled(
    Object.values(started).map(async ({ server, recorder }) => {
      await recorder.close();
      await server.close();
    }),
  );
}
