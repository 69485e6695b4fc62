// wrangler, asked to do its work and nothing else.
import { join } from "node:path";
import { npmBin, root } from "./tools.mjs";

/** The program, and what it is run with. */
export const wrangler = {
  command: npmBin("node"),
  script: join(root, "node_modules", "wrangler", "bin", "wrangler.js"),
};

/** No telemetry, no look for updates, no look-up of where we are: it works offline, and nobody is told. */
export const quiet = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};
