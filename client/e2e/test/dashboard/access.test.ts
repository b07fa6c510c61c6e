// Nothing that axe finds serious, in any view, in either scheme, at either width.

import { describe, expect, test } from "vitest";
import { findings } from "../../src/axe.js";
import { browserPath, useBrowser } from "../../src/browser.js";
import { file, images, wav } from "../../src/media.js";
import { give, person } from "../../src/people.js";

const SHAPES = [
  { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", viewport: { width: 390, height: 844 } },
] as const;

describe.skipIf(browserPath === undefined)("for everybody", () => {
  const browser = useBrowser();

  test("sign-in", async () => {
    for (const shape of SHAPES) {
      const page = await browser.open(shape);
      await page.goto("/");
      await page.getByLabel("User").waitFor();
      expect(await findings(page)).toEqual([]);
    }
  });

  test("library, selection, preview, upload, trash and administration", async () => {
    const ann = person("axe", { admin: true });
    await give(ann, images(3), { tags: ["a"], packageName: "P" });
    await give(ann, [file("tone.wav", wav())]);
    for (const shape of SHAPES) {
      const page = await browser.signedIn(ann, "/", shape);
      await page.getByRole("gridcell").first().waitFor();
      expect(await findings(page), "library").toEqual([]);
      await page.getByRole("gridcell").first().focus();
      await page.keyboard.press(" ");
      await page.getByText("1 selected").waitFor();
      expect(await findings(page), "selection").toEqual([]);
      await page.keyboard.press(" ");
      await page.getByRole("gridcell", { name: "tone.wav" }).click();
      await page.locator("dialog audio").waitFor();
      expect(await findings(page), "audio").toEqual([]);
      await page.keyboard.press("ArrowRight");
      await page.getByRole("button", { name: "Zoom in" }).waitFor();
      expect(await findings(page), "image").toEqual([]);
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Upload", exact: true }).click();
      await page.getByRole("dialog").waitFor();
      expect(await findings(page), "upload").toEqual([]);
      await page.goto("/?view=trash");
      await page.getByRole("heading", { name: "The trash is empty" }).waitFor();
      expect(await findings(page), "trash").toEqual([]);
      await page.goto("/?view=admin");
      await page.getByRole("table").waitFor();
      expect(await findings(page), "admin").toEqual([]);
    }
  });
});
