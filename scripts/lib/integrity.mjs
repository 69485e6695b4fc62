// The prebuilt files of the npm package are those that were built: manifest.json has their hashes.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fail, UNUSABLE } from "./run.mjs";
import { isPackage, root } from "./tools.mjs";

/** What is wrong with a folder of prebuilt files of an installed package; undefined where it is what the package says. */
function damage(place, folder) {
  const broken = (why) =>
    `${join(place, folder)} ${why}: remove ${place.replace(/[\\/]$/, "")} and run npm install again`;
  let own;
  try {
    const { files } = JSON.parse(readFileSync(join(place, "manifest.json"), "utf8"));
    own = Object.entries(files).filter(([path, { sha256 }]) => path.startsWith(`${folder}/`) && sha256);
  } catch (error) {
    return broken(`cannot be checked: manifest.json is not that of a package (${error.message})`);
  }
  if (own.length < 2) return broken("is not in manifest.json");
  for (const [path, { sha256 }] of own) {
    let bytes;
    try {
      bytes = readFileSync(join(place, path));
    } catch (error) {
      return broken(`is incomplete (${error.message})`);
    }
    if (createHash("sha256").update(bytes).digest("hex") !== sha256)
      return broken(`is not what was built: the SHA-256 of ${path} differs from manifest.json`);
  }
  return undefined;
}

/**
 * What is wrong with the Worker that `main` of wrangler's configuration file names, where it is one of an installed package; however the
 * path is written, and whichever copy of the package it is in. A clone has no list of hashes.
 */
export function damageOfMain(main, file) {
  let path;
  try {
    path = realpathSync(resolve(dirname(file), `${main}`));
  } catch {
    return undefined; // wrangler says what is missing
  }
  const [folder, place] = [basename(dirname(path)), dirname(dirname(path))];
  const isOurs = () => {
    try {
      return JSON.parse(readFileSync(join(place, "package.json"), "utf8")).name === "portcullis";
    } catch {
      return false;
    }
  };
  if (!/^build(-full)?$/.test(folder) || !isOurs() || existsSync(join(place, "Cargo.toml"))) return undefined;
  return damage(place, folder);
}

const check = (why) => why && fail(why, UNUSABLE);

/** Ends the command where a folder of prebuilt files of this package is not what the package says. */
export const checkBuilt = (folder) => isPackage && check(damage(root, folder));

/** The same for the Worker that `main` of a configuration file names. */
export const checkMain = (main, file) => check(damageOfMain(main, file));
