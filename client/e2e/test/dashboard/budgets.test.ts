// What it costs to open: bytes, and time until files are seen.

import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { images } from "../../src/media.js";
import { give, person } from "../../src/people.js";

const DIST = new URL("../../../dashboard/dist/", import.meta.url);
const SCRIPT_BYTES = 150 * 1024;
const STYLE_BYTES = 12 * 1024;
const FIRST_FILES_MS = 1000;
/** How long the way to the end may take where many other things run: a page that stands still is found all the same. */
const END_MS = 180_000;

test("the first page loads at most 150 KB of script and 12 KB of style, gzipped", () => {
  const html = readFileSync(new URL("index.html", DIST), "utf8");
  const named = (ending: string) =>
    readdirSync(new URL("assets/", DIST))
      .filter((name) => name.endsWith(ending) && html.includes(name))
      .reduce((sum, name) => sum + gzipSync(readFileSync(new URL(`assets/${name}`, DIST))).length, 0);
  expect(named(".js")).toBeGreaterThan(10_000);
  expect(named(".js")).toBeLessThanOrEqual(SCRIPT_BYTES);
  expect(named(".css")).toBeLessThanOrEqual(STYLE_BYTES);
});

describe.skipIf(browserPath === undefined)("a library of 1,000 files", () => {
  const browser = useBrowser();

  test("shows its first files within a second, scrolls to its end, and keeps few cards alive", async () => {
    const ann = person("thousand");
    for (let from = 0; from < 1000; from += 100) await give(ann, images(100, from));
    // The first visit fills the browser's cache, as it does for people.
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").first().waitFor();
    const times: number[] = [];
    for (let visit = 0; visit < 3; visit++) {
      await page.reload({ waitUntil: "commit" });
      times.push(
        await page.evaluate(
          () =>
            new Promise<number>((resolve) => {
              const look = () =>
                document.querySelector(".jam-card")
                  ? resolve(performance.now())
                  : requestAnimationFrame(look);
              look();
            }),
        ),
      );
    }
    console.log(`first files after ${times.map(Math.round).join(", ")} ms`);
    expect(Math.min(...times)).toBeLessThan(FIRST_FILES_MS);

    await page.getByRole("gridcell").first().focus();
    await expect
      .poll(
        async () => {
          await page.keyboard.press("End");
          return page.evaluate(() => {
            const focused = document.querySelector("[role=gridcell]:focus h3");
            const message = document.querySelector("[role=alert]")?.textContent ?? "no message";
            return focused?.textContent ?? `${document.activeElement?.outerHTML.slice(0, 80)}, ${message}`;
          });
        },
        { timeout: END_MS, interval: 200 },
      )
      .toBe("image-0.png");
    expect(await page.locator(".jam-card").count()).toBeLessThan(80);
  }, 300_000);
});
