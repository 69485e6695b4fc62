// A real browser, where the machine has one: Chromium, driven by playwright-core.
import { existsSync } from "node:fs";

const PLACES = [
  process.env.PORTCULLIS_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** Where Chromium is; nothing where it is not. */
export const chromium = PLACES.find((place) => place && existsSync(place));

/** Starts it. */
export async function startBrowser() {
  const { chromium: type } = await import("playwright-core");
  return type.launch({
    executablePath: chromium,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
