import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BIN } from "../processes.mjs";

const OPENERS = ["browser", "open", "xdg-open", "gio", "x-www-browser", "sensible-browser"];

/**
 * The environment of a program that thinks it has a home and a browser. Its files go to `folder`, and the
 * browser does nothing: whoever drives the program reads the URL from its output.
 */
export async function homeWithoutBrowser(folder) {
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  for (const name of OPENERS) {
    await writeFile(join(bin, name), "#!/bin/sh\nexit 0\n");
    await chmod(join(bin, name), 0o755);
  }
  return {
    HOME: folder,
    PATH: `${bin}:${BIN}:${process.env.PATH}`,
    XDG_CONFIG_HOME: join(folder, ".config"),
    BROWSER: join(bin, "browser"),
    DISPLAY: "",
    WAYLAND_DISPLAY: "",
    XDG_CURRENT_DESKTOP: "",
    DESKTOP_SESSION: "",
  };
}
