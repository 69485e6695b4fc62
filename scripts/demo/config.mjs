// The configuration that `npm start` runs: that of wrangler.toml, with other ports where its ports are taken.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { choosePort } from "../lib/ports.mjs";
import { fail } from "../lib/run.mjs";
import { root } from "../lib/tools.mjs";

/** The identity provider and the MCP server of examples/. `npm start` runs them where wrangler.toml names these URLs. */
const DEMO_ISSUER = "http://localhost:9100";
const DEMO_ORIGIN = "http://127.0.0.1:9200/mcp";

const HOME = ["localhost", "127.0.0.1", "[::1]"];

/** The configuration document of a wrangler.toml; fails where it is not for this machine. */
export function readDocument(path = join(root, "wrangler.toml")) {
  let document;
  try {
    document = parse(readFileSync(path, "utf8")).vars?.PORTCULLIS;
  } catch (error) {
    fail(`${path} cannot be read: ${error.message}`);
  }
  if (typeof document !== "object")
    fail(`${path} has no table [vars.PORTCULLIS]: docs/configuration.md describes it`);
  if (document.stored !== undefined)
    fail(
      "wrangler.toml says that the document is in KV, which is empty on this machine, and `npm start` only runs a document " +
        "that is in wrangler.toml.\n  To run the gateway here, write the document with `npx portcullis push FILE --local`, " +
        "then run `npx wrangler dev`.",
    );
  const url = URL.parse(document.public_url);
  if (url?.protocol === "http:" && HOME.includes(url.hostname) && document.development === true)
    return document;
  const { public_url, development } = document;
  return fail(
    `wrangler.toml configures a gateway that is not on this machine: public_url = ${JSON.stringify(public_url)}, ` +
      `development = ${development ?? false}.\n  To run it here, write into [vars.PORTCULLIS]:\n` +
      '    public_url = "http://localhost:8787"\n' +
      "    development = true\n" +
      "  Put the configuration of the deployed gateway under [env.NAME.vars.PORTCULLIS], and deploy it with --env NAME.",
  );
}

function moved(url, port) {
  const there = new URL(url);
  there.port = port;
  return there.pathname === "/" && !url.endsWith("/") ? there.origin : there.href;
}

// Anything but a list is left for the gateway to report.
const list = (value) => (Array.isArray(value) ? value : []);

const portOf = (url) => Number(new URL(url).port || 80);

/**
 * Puts the ports of this run into the document. `changed` says whether that differs from wrangler.toml. `issuer` and `origin`
 * are the URLs of the programs in examples/, undefined where wrangler.toml does not name them.
 */
export async function choosePorts(document) {
  const before = JSON.stringify(document);

  const port = await choosePort("gateway", portOf(document.public_url));
  document.public_url = moved(document.public_url, port);

  const login = document.authorization_server?.login;
  const issuers = [...list(document.issuers), ...(login ? [login] : [])].filter(
    ({ issuer }) => issuer === DEMO_ISSUER,
  );
  let issuer;
  if (issuers.length > 0) {
    issuer = moved(DEMO_ISSUER, await choosePort("identity provider", portOf(DEMO_ISSUER)));
    for (const one of issuers) one.issuer = issuer;
  }

  const behind = list(document.resources).filter((resource) => resource.origin === DEMO_ORIGIN);
  let origin;
  if (behind.length > 0) {
    origin = moved(DEMO_ORIGIN, await choosePort("MCP server", portOf(DEMO_ORIGIN)));
    for (const one of behind) one.origin = origin;
  }
  const { hostname: host } = new URL(document.public_url);
  return { changed: JSON.stringify(document) !== before, port, host, issuer, origin };
}
