// A page as users see it: axe, and pictures, in light and dark, at the size of a phone and of a desk.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** The folder for pictures. Without it none are taken. */
const PICTURES = process.env.PORTCULLIS_PICTURES;

export const SIZES = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 800 } };

/** Fails if axe finds something wrong with the page, or if the page is wider than the window. */
export async function lookAt(browser, page, name) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      if (PICTURES) {
        mkdirSync(PICTURES, { recursive: true });
        await page.screenshot({
          path: join(PICTURES, `${name}-${colorScheme}-${size}.png`),
          fullPage: true,
        });
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.equal(wide, false, `${name} does not fit a ${size}`);
    }
    // The page's own policy lets no other script in, axe's neither: its text is looked at elsewhere.
    const text = await page.content();
    const mirror = await (await browser.newContext({ colorScheme, bypassCSP: true })).newPage();
    await mirror.setContent(text);
    await mirror.addScriptTag({ path: AXE });
    const { violations } = await mirror.evaluate(() => globalThis.axe.run());
    await mirror.context().close();
    assert.deepEqual(
      violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(", ")}`),
      [],
      `${name}, ${colorScheme}`,
    );
  }
}
