// What a person sees while the service makes something of a file.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { folderOf } from "../../src/files.js";
import { file, images } from "../../src/media.js";
import { give, person } from "../../src/people.js";

describe.skipIf(browserPath === undefined)("while something is made of a file", () => {
  const browser = useBrowser();

  test("a video that no browser plays says how far its conversion is, and plays when it is done", async () => {
    const ann = person("video");
    const page = await browser.signedIn(ann);
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
    await give(ann, [file("old.avi", oldVideo())]);
    await page.reload();
    const card = page.getByRole("gridcell", { name: "old.avi" });
    await card.getByText(/Waits to be converted|Converting/).waitFor();
    await card.click();
    const preview = page.getByRole("dialog", { name: "old.avi" });
    await preview.getByText(/Waits to be converted|Converting/).waitFor();
    await preview.getByRole("status").waitFor({ state: "detached", timeout: 60_000 });
    const player = preview.locator("video");
    await expect
      .poll(() => player.evaluate((video: HTMLVideoElement) => video.currentTime))
      .toBeGreaterThan(0);
    await page.keyboard.press("Escape");
    expect(await card.getByText(/Waits|Converting/).count()).toBe(0);
  });

  test("an image shows as a blur before its thumbnail has loaded", async () => {
    const ann = person("blur");
    await give(ann, images(1));
    await expect.poll(async () => (await ann.client.getFiles())[0]?.thumbhash).toBeTruthy();
    const page = await browser.open();
    await page.route(/\/f\/.*/, () => {});
    await page.addInitScript(
      (user) => localStorage.setItem("jam-local-user", JSON.stringify({ user, admin: false })),
      ann.user,
    );
    await page.goto("/");
    const thumbnail = page.locator(".jam-card img");
    await expect
      .poll(() => thumbnail.evaluate((image) => getComputedStyle(image).backgroundImage))
      .toMatch(/^url\("data:image\/png/);
  });
});

/** MPEG-4 of the year 2000 in an AVI. */
function oldVideo(): Buffer {
  const path = join(folderOf({}), "old.avi");
  const source = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=20"];
  execFileSync("ffmpeg", ["-v", "error", ...source, "-c:v", "mpeg4", "-q:v", "5", path]);
  return readFileSync(path);
}
