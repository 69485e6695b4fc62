// `portcullis check`: asks running MCP servers for their lists, and passes those to the Rust part, which does everything else.
import { failAsJson } from "../lib/run.mjs";
import { withLists } from "./lists.mjs";
import { runRust } from "./rust.mjs";

export async function check(args) {
  if (args.includes("--help") || args.includes("-h")) {
    process.exitCode = (await runRust(["check", "--help"])).status;
    return;
  }
  if (args.includes("--json")) failAsJson();
  process.exitCode = await withLists(args, async (args) => (await runRust(["check", ...args])).status);
}
