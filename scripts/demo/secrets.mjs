// Secrets of `npm start -- --authorization-server`: made once and kept in .wrangler/, where the records that depend on them are
// kept too.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { project } from "../lib/tools.mjs";

const folder = join(project, ".wrangler");
const path = join(folder, "authorization-server.env");

const random = () => randomBytes(32).toString("base64url");

function make() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    SIGNING_KEY: JSON.stringify(privateKey.export({ format: "jwk" })),
    SEALING_SECRET: random(),
    ADMIN_SECRET: random(),
    LOGIN_SECRET: random(),
    MACHINE_SECRET: random(),
  };
}

/** The secrets, and the path of the file that holds them in the format of `.dev.vars`. */
export function demoSecrets() {
  let secrets;
  try {
    const lines = readFileSync(path, "utf8").trim().split("\n");
    secrets = Object.fromEntries(lines.map((line) => line.match(/^(\w+)='(.*)'$/).slice(1)));
  } catch {
    secrets = make();
    mkdirSync(folder, { recursive: true });
    const lines = Object.entries(secrets).map(([name, value]) => `${name}='${value}'\n`);
    writeFileSync(path, lines.join(""), { mode: 0o600 });
  }
  return { secrets, path };
}
