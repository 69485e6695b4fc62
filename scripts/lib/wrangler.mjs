// How wrangler is run, with its requests to other servers switched off.
import { join } from "node:path";
import { npmBin, npmFolder } from "./tools.mjs";

/** The Node program and the script that it runs. */
export const wrangler = {
  command: npmBin("node"),
  script: join(npmFolder("wrangler"), "bin", "wrangler.js"),
  /** The program that the script starts: a signal to the script would not reach it. */
  program: join(npmFolder("wrangler"), "wrangler-dist", "cli.js"),
};

/** No telemetry, no check for updates, no look-up of the location: wrangler works offline and reports nothing. */
export const quiet = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};
