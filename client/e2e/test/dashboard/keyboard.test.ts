// Everything a mouse can do, without one.

import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { images } from "../../src/media.js";
import { give, person } from "../../src/people.js";

describe.skipIf(browserPath === undefined)("the keyboard alone", () => {
  const browser = useBrowser();

  test("signs in", async () => {
    const page = await browser.open();
    await page.goto("/");
    await page.getByLabel("User").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type(person("keys").user);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
  });

  test("stays on its card when the window becomes narrower or wider, and leaves it when told to", async () => {
    const ann = person("turned");
    await give(ann, images(30));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell", { name: "image-22.png" }).focus();
    const focused = () =>
      page.evaluate(() => document.querySelector("[role=gridcell]:focus h3")?.textContent ?? "");
    const resize = async (width: number, columns: string) => {
      await page.setViewportSize({ width, height: 800 });
      await expect.poll(() => page.getByRole("grid").getAttribute("aria-colcount")).toBe(columns);
    };
    for (const [width, columns] of [
      [500, "2"],
      [1100, "3"],
      [1280, "4"],
    ] as const) {
      await resize(width, columns);
      await expect.poll(focused).toBe("image-22.png");
    }
    await page.keyboard.press("ArrowRight");
    await expect.poll(focused).toBe("image-21.png");
    await page.getByRole("searchbox").focus();
    await resize(500, "2");
    expect(await focused()).toBe("");
  });

  test("moves through a long grid, chooses, marks, opens and goes to the neighbours", async () => {
    const ann = person("grid");
    await give(ann, images(60));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("main:focus").waitFor();
    const focused = () =>
      page.evaluate(() => document.querySelector("[role=gridcell]:focus h3")?.textContent ?? "");
    for (let presses = 0; !(await focused()).startsWith("image-"); presses++) {
      expect(presses).toBeLessThan(20);
      await page.keyboard.press("Tab");
    }
    expect(await focused()).toBe("image-59.png");
    await page.keyboard.press("ArrowRight");
    await expect.poll(focused).toBe("image-58.png");
    await page.keyboard.press("End");
    await expect.poll(focused).toBe("image-0.png");
    await page.keyboard.press("ArrowUp");
    await expect.poll(focused).toBe("image-4.png");

    await page.keyboard.press("f");
    await expect.poll(async () => (await ann.client.getFiles({ favorite: true })).length).toBe(1);
    await page.keyboard.press(" ");
    await page.getByText("1 selected").waitFor();
    await page.keyboard.press("Shift+ArrowRight");
    await page.getByText("2 selected").waitFor();
    await expect.poll(focused).toBe("image-3.png");
    await page.keyboard.press(" ");
    await page.getByText("1 selected").waitFor();
    await page.keyboard.press("ArrowLeft");
    await expect.poll(focused).toBe("image-4.png");
    await page.keyboard.press(" ");
    await page.getByText("selected").waitFor({ state: "detached" });

    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "image-4.png" }).waitFor();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("dialog", { name: "image-3.png" }).waitFor();
    const scale = () =>
      page
        .locator(".jam-zoom-content")
        .evaluate((content) => new DOMMatrix(getComputedStyle(content).transform).a);
    await page.getByRole("button", { name: "Zoom in" }).waitFor();
    await page.keyboard.press("+");
    await expect.poll(scale).toBeGreaterThan(1.2);
    await page.keyboard.press("-");
    await page.keyboard.press("0");
    await expect.poll(scale).toBe(1);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    await page.keyboard.type("image-33");
    await page.getByText("1 file", { exact: true }).waitFor();
  });
});
