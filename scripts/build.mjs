// Builds the Worker into build/. `wrangler` calls this too (see wrangler.toml).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePackages } from "./lib/packages.mjs";

await ensurePackages(import.meta.url);
const { build } = await import("./lib/build.mjs");
const { readOptions } = await import("./lib/options.mjs");
const { fail, say } = await import("./lib/run.mjs");
const { root, rust } = await import("./lib/tools.mjs");
const { parse: parseToml } = await import("smol-toml");

const { values } = readOptions(process.argv.slice(2), {
  name: "npm run build",
  about: "Builds the Worker into build/.",
  options: {
    full: { about: "Builds a Worker with all features into build-full/, for tests" },
    schemas: { about: "Includes schema checks (docs/trust.md)" },
    start: {
      about: "Builds a Worker with all features into build-start/, fast and not small, for npm start",
    },
  },
  notes: [
    "The Worker contains the authorization server only where wrangler.toml has a binding for its records, and schema checks only with --schemas.",
  ],
  statuses: { 0: "the Worker was built", 1: "the build failed", 2: "the command cannot be used" },
});

/** Whether an environment of wrangler.toml has a binding for the records of the authorization server. */
function hasAuthorizationServer() {
  const { env = {}, ...top } = parseToml(readFileSync(join(root, "wrangler.toml"), "utf8"));
  const bindings = [top, ...Object.values(env)].flatMap(
    ({ durable_objects }) => durable_objects?.bindings ?? [],
  );
  return bindings.some(({ class_name }) => class_name === "AuthorizationRecords");
}

await rust();
say(
  values.start
    ? "building the Worker (seconds if it was built before)"
    : "building the Worker (about two minutes the first time, about one minute after that)",
);
const own = () => {
  const named = [hasAuthorizationServer() && "authorization-server", values.schemas && "schemas"].filter(
    Boolean,
  );
  return build("worker", {
    features: ["--no-default-features", ...named.flatMap((one) => ["--features", one])],
  });
};
await (values.start ? build("start") : values.full ? build("full") : own()).catch((error) =>
  fail(`the build failed: ${error.message.split("\n")[0]}`),
);
