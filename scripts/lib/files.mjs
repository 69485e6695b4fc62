// Writes files that exist already.
import { realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";

/**
 * Puts a text in place of that of a file at once: an interrupted command leaves the old file or the new one. A symbolic link stays one, and
 * the mode of the file stays. Throws where the file cannot be written, and leaves nothing behind.
 */
export function replaceFile(file, text) {
  const path = realpathSync(file);
  const next = `${path}.${process.pid}.new`;
  try {
    writeFileSync(next, text, { mode: statSync(path).mode });
    renameSync(next, path);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}
