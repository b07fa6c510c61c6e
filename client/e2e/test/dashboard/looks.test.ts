// Light and dark, phone to desktop.

import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { file, images, png, wav } from "../../src/media.js";
import { give, person } from "../../src/people.js";

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
const WIDTHS = [360, 768, 1024, 1920];

describe.skipIf(browserPath === undefined)("the dashboard's looks", () => {
  const browser = useBrowser();

  test("follow the system, or the theme that was chosen, also after a reload", async () => {
    const page = await browser.signedIn(person("theme"), "/", { colorScheme: "light" });
    const systemLight = await brightness(page);
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await brightness(page);
    expect(systemLight).toBeGreaterThan(200);
    expect(dark).toBeLessThan(60);
    await page.getByRole("button", { name: "Theme: system. Change to light" }).click();
    await expect.poll(() => brightness(page)).toBe(systemLight);
    await page.reload();
    await page.getByRole("button", { name: "Theme: light. Change to dark" }).click();
    await page.emulateMedia({ colorScheme: "light" });
    await expect.poll(() => brightness(page)).toBe(dark);
  });

  test("fit every width: nothing is cut off or has to be scrolled sideways", async () => {
    const ann = person("widths", { admin: true });
    await give(ann, images(3), { packageName: "A package with a long name" });
    await give(ann, [file(`${"long name ".repeat(12)}.png`, png(5))]);
    const page = await browser.signedIn(ann);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      for (const address of ["/", "/?view=favorites", "/?view=trash", "/?view=admin"]) {
        await page.goto(address);
        await page.getByRole("heading", { level: 1 }).waitFor();
        expect(await overflow(page), `${address} at ${width}`).toBe(0);
      }
      await page.goto("/");
      await page.getByRole("gridcell").first().click();
      await page.getByRole("dialog").waitFor();
      expect(await overflow(page), `preview at ${width}`).toBe(0);
      const close = await page.getByRole("dialog").getByRole("button", { name: "Close" }).boundingBox();
      expect((close?.x ?? 0) + (close?.width ?? width), `close at ${width}`).toBeLessThanOrEqual(width);
    }
  });

  test("let a phone do everything: upload, look, see what is stored by type, change the view", async () => {
    const ann = person("phone");
    await give(ann, [file("tone.wav", wav())]);
    const page = await browser.signedIn(ann, "/", PHONE);
    const tabs = page.getByRole("navigation", { name: "Views" }).last();
    await tabs.getByRole("button", { name: "Upload" }).tap();
    await page
      .getByRole("dialog")
      .getByLabel("Files to upload")
      .first()
      .setInputFiles([{ name: "photo.png", mimeType: "image/png", buffer: png(1) }]);
    await page.getByRole("button", { name: /Upload 1 file/ }).tap();
    await page.getByText("1 file uploaded").waitFor();
    await page.getByRole("button", { name: "Close uploads" }).tap();
    await page.getByRole("gridcell", { name: "photo.png" }).tap();
    await page.getByRole("dialog", { name: "photo.png" }).getByRole("button", { name: "Delete" }).tap();
    await page.getByRole("dialog", { name: "tone.wav" }).getByRole("button", { name: "Close" }).tap();
    await tabs.getByRole("link", { name: "Trash" }).tap();
    await page.getByRole("gridcell", { name: "photo.png" }).waitFor();
    await tabs.getByRole("button", { name: "You" }).tap();
    const you = page.getByRole("dialog", { name: "You" });
    await you.getByRole("meter", { name: "Storage used" }).waitFor();
    await expect.poll(() => you.locator(".jam-meter-legend").textContent()).toMatch(/Audio[\s\S]*Trash/);
  });
});

/** 0 to 255. */
function brightness(page: Page): Promise<number> {
  return page.evaluate(() => {
    const [red = 0, green = 0, blue = 0] =
      getComputedStyle(document.body)
        .backgroundColor.match(/[\d.]+/g)
        ?.map(Number) ?? [];
    return (red + green + blue) / 3;
  });
}

/** Pixels that the page is wider than the window. */
function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
