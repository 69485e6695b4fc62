// The configuration that `npm start` runs: that of wrangler.toml, with other ports where its ports are taken.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VARIANTS } from "../lib/build.mjs";
import { choosePort } from "../lib/ports.mjs";
import { parseSettings } from "../lib/settings.mjs";
import { isPackage, root } from "../lib/tools.mjs";

/** The identity provider and the MCP server of examples/. `npm start` runs them where wrangler.toml names these URLs. */
const DEMO_ISSUER = "http://localhost:9100";
const DEMO_ORIGIN = "http://127.0.0.1:9200/mcp";

const HOME = ["localhost", "127.0.0.1", "[::1]"];

/** The settings in a wrangler.toml, with a configuration document for this machine; throws where it has none. */
export function readSettings(path) {
  let settings;
  try {
    settings = parseSettings(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error.message}`);
  }
  const document = settings.vars?.PORTCULLIS;
  if (typeof document !== "object")
    throw new Error(`${path} has no table [vars.PORTCULLIS]: docs/configuration.md describes it`);
  if (document.stored !== undefined)
    throw new Error(
      "wrangler.toml says that the document is in KV, which is empty on this machine, and `npm start` only runs a document " +
        "that is in wrangler.toml.\n  To run the gateway here, write the document with `npx portcullis push FILE --local`, " +
        "then run `npx wrangler dev`.",
    );
  const url = URL.parse(document.public_url);
  if (url?.protocol === "http:" && HOME.includes(url.hostname) && document.development === true)
    return withQuickBuild(settings);
  const { public_url, development } = document;
  throw new Error(
    `wrangler.toml configures a gateway that is not on this machine: public_url = ${JSON.stringify(public_url)}, ` +
      `development = ${development ?? false}.\n  To run it here, write into [vars.PORTCULLIS]:\n` +
      '    public_url = "http://localhost:8787"\n' +
      "    development = true\n" +
      "  Put the configuration of the deployed gateway under [env.NAME.vars.PORTCULLIS], and deploy it with --env NAME.",
  );
}

/** The settings with the Worker that is built fast, and contains everything: one for every configuration of this repository. */
function withQuickBuild(settings) {
  if (!settings.build?.command?.includes("scripts/build.mjs")) return settings;
  // The example of the package: nothing is built there.
  if (isPackage) return { ...settings, main: join(root, VARIANTS.full.folder, "index.js"), build: undefined };
  const main = join(root, VARIANTS.start.folder, "index.js");
  return { ...settings, main, build: { command: "node scripts/build.mjs --start", cwd: root } };
}

function moved(url, port) {
  const there = new URL(url);
  there.port = port;
  return there.pathname === "/" && !url.endsWith("/") ? there.origin : there.href;
}

// Anything but a list is left for the gateway to report.
const list = (value) => (Array.isArray(value) ? value : []);

const portOf = (url) => Number(new URL(url).port || 80);

/** The issuers and logins of a document that name the identity provider of examples/. */
const demoIssuers = ({ issuers, authorization_server }) =>
  [...list(issuers), ...(authorization_server?.login ? [authorization_server.login] : [])].filter(
    ({ issuer }) => issuer === DEMO_ISSUER,
  );

/** The resources of a document whose origin is the MCP server of examples/. */
const demoResources = ({ resources }) => list(resources).filter(({ origin }) => origin === DEMO_ORIGIN);

/**
 * Chooses the ports of this run. `issuer` and `origin` are the URLs of the programs in examples/, undefined where wrangler.toml
 * does not name them. `place` puts the ports into a document; it throws for a document that needs another run of `npm start`.
 */
export async function choosePorts(document) {
  const asked = document.public_url;
  const port = await choosePort("gateway", portOf(asked));
  const publicUrl = moved(asked, port);
  const issuer =
    demoIssuers(document).length > 0
      ? moved(DEMO_ISSUER, await choosePort("identity provider", portOf(DEMO_ISSUER)))
      : undefined;
  const origin =
    demoResources(document).length > 0
      ? moved(DEMO_ORIGIN, await choosePort("MCP server", portOf(DEMO_ORIGIN)))
      : undefined;

  function place(document) {
    const again = (what) => new Error(`${what}: stop \`npm start\` and start it again`);
    if (document.public_url !== asked)
      throw again(`public_url was ${asked} when the gateway started, and a running gateway keeps it`);
    const [issuers, resources] = [demoIssuers(document), demoResources(document)];
    if (issuers.length > 0 && issuer === undefined)
      throw again(`the identity provider at ${DEMO_ISSUER} does not run`);
    if (resources.length > 0 && origin === undefined)
      throw again(`the MCP server at ${DEMO_ORIGIN} does not run`);
    document.public_url = publicUrl;
    for (const one of issuers) one.issuer = issuer;
    for (const one of resources) one.origin = origin;
  }
  return { port, host: new URL(publicUrl).hostname, issuer, origin, place };
}
