/** The published MCP clients that go through the gateway to their end. */
import { inspector } from "./inspector.mjs";
import { mcpRemote } from "./mcp-remote.mjs";
import { oldSdkClient, sdkClient } from "./sdk.mjs";

const MODERN = "2026-07-28";

/** `eras`, in the order in which the client prefers them. */
export const CLIENTS = {
  "client 2.x, auto": { run: sdkClient("auto"), eras: ["modern", "legacy"] },
  "client 2.x, legacy": { run: sdkClient("legacy"), eras: ["legacy"] },
  [`client 2.x, pinned to ${MODERN}`]: { run: sdkClient({ pin: MODERN }), eras: ["modern"] },
  "sdk 1.x": { run: oldSdkClient, eras: ["legacy"] },
  "Inspector, legacy": { run: inspector("legacy"), eras: ["legacy"] },
  "Inspector, modern": { run: inspector("modern"), eras: ["modern"] },
  "mcp-remote": { run: mcpRemote(), eras: ["legacy"] },
  "mcp-remote, auto": { run: mcpRemote("--protocol", "auto"), eras: ["modern", "legacy"] },
};
