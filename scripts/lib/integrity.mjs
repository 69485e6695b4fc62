// The prebuilt files of the npm package are those that were built: manifest.json has their hashes.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fail, UNUSABLE } from "./run.mjs";
import { isPackage, root } from "./tools.mjs";

/** What is wrong with a folder of prebuilt files; undefined where it is what the package says, and in a clone, which has no such list. */
function damage(folder) {
  if (!isPackage) return undefined;
  const broken = (why) =>
    `${join(root, folder)} ${why}: remove node_modules/portcullis and run npm install again`;
  let files;
  try {
    files = JSON.parse(readFileSync(join(root, "manifest.json"), "utf8")).files;
  } catch (error) {
    return broken(`cannot be checked (${error.message})`);
  }
  const own = Object.entries(files).filter(([path]) => path.startsWith(`${folder}/`));
  if (own.length < 2) return broken("is not in manifest.json");
  for (const [path, { sha256 }] of own) {
    let bytes;
    try {
      bytes = readFileSync(join(root, path));
    } catch (error) {
      return broken(`is incomplete (${error.message})`);
    }
    if (createHash("sha256").update(bytes).digest("hex") !== sha256)
      return broken(`is not what was built: the SHA-256 of ${path} differs from manifest.json`);
  }
  return undefined;
}

/** What is wrong with the Worker that `main` of wrangler's configuration names, where it is one of the package. */
export function damageOfMain(main) {
  const folder = `${main}`.match(/(?:^|[\\/])portcullis[\\/](build(?:-full)?)[\\/]index\.js$/)?.[1];
  return folder && damage(folder);
}

const check = (why) => why && fail(why, UNUSABLE);

/** Ends the command where a folder of prebuilt files is not what the package says. */
export const checkBuilt = (folder) => check(damage(folder));

/** The same for the Worker that `main` names. */
export const checkMain = (main) => check(damageOfMain(main));
