// The grid with a hundred thousand files: `MediaGrid` alone in a page, as an application would use it.

import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";

const FILES = 100_000;
const FIRST_CARDS_MS = 1000;
const SCREENS = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];

describe.skipIf(browserPath === undefined)("a grid of 100,000 files", () => {
  const browser = useBrowser();
  let script: string;

  beforeAll(async () => {
    const bundle = await build({
      entryPoints: [fileURLToPath(new URL("../../src/grid-page.tsx", import.meta.url))],
      bundle: true,
      write: false,
      minify: true,
      format: "esm",
      jsx: "automatic",
      define: { "process.env.NODE_ENV": '"production"', FILES: String(FILES) },
    });
    script = String(bundle.outputFiles[0]?.text);
  });

  async function open(viewport: { width: number; height: number }): Promise<Page> {
    const page = await browser.open({ viewport });
    await page.setContent(`<body style="margin: 0"><div id="root" style="height: 100vh"></div>`);
    await page.addStyleTag({
      path: fileURLToPath(new URL("../../../react/dist/styles.css", import.meta.url)),
    });
    await page.addScriptTag({ content: script, type: "module" });
    await page.locator(".jam-card").first().waitFor();
    return page;
  }

  test.each(SCREENS)(
    "shows its first cards within a second, few of them, at $width pixels",
    async (screen) => {
      const page = await open(screen);
      const took = await page.evaluate(() => (window as unknown as { firstCardsMs: number }).firstCardsMs);
      console.log(`first cards of ${FILES} at ${screen.width} px after ${Math.round(took)} ms`);
      expect(took).toBeLessThan(FIRST_CARDS_MS);
      expect(await nodes(page)).toBeLessThan(2000);
    },
  );

  test.each(SCREENS)("scrolls to its very end and back, at $width pixels", async (screen) => {
    const page = await open(screen);
    const scroll = (to: number) =>
      page.locator(".jam-grid").evaluate((grid, share) => {
        grid.scrollTop = share * grid.scrollHeight;
      }, to);
    await scroll(1);
    await page.getByRole("gridcell", { name: `file-${FILES - 1}.png` }).waitFor();
    const last = page.getByRole("gridcell", { name: `file-${FILES - 1}.png` });
    expect(await last.evaluate((cell) => cell.getBoundingClientRect().bottom)).toBeLessThanOrEqual(
      screen.height,
    );
    for (const share of [0.5, 0.25, 0.75]) {
      await scroll(share);
      await page.locator(".jam-card").first().waitFor();
      expect(await nodes(page)).toBeLessThan(2000);
    }
    await scroll(0);
    await page.getByRole("gridcell", { name: "file-0.png" }).waitFor();
  });

  test("keeps the focus of the keyboard while other rows come and go", async () => {
    const page = await open({ width: 1280, height: 800 });
    const focused = () => page.evaluate(() => document.activeElement?.querySelector("h3")?.textContent);
    await page.getByRole("gridcell").first().focus();
    await page.keyboard.press("ArrowDown");
    await expect.poll(focused).toBe("file-5.png");
    await page.mouse.move(640, 400);
    await page.mouse.wheel(0, 400_000);
    await page.getByRole("gridcell", { name: "file-0.png" }).waitFor({ state: "detached" });
    expect(await focused()).toBe("file-5.png");
    await page.keyboard.press("ArrowRight");
    await expect.poll(focused).toBe("file-6.png");
    await page.keyboard.press("End");
    await expect.poll(focused).toBe(`file-${FILES - 1}.png`);
    await page.keyboard.press("PageUp");
    await expect.poll(async () => Number((await focused())?.match(/\d+/)?.[0])).toBeLessThan(FILES - 10);
    await page.keyboard.press("Home");
    await expect.poll(focused).toBe("file-0.png");
    await page.keyboard.press("Shift+End");
    await expect.poll(() => page.evaluate(() => document.title)).toBe(`${FILES} selected`);
  });
});

function nodes(page: Page): Promise<number> {
  return page.evaluate(() => document.querySelectorAll("*").length);
}
