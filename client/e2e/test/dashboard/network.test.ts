// A large upload while the network is cut.

import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { bigPng } from "../../src/media.js";
import { person } from "../../src/people.js";

const FILES = 200;
const FILE_BYTES = 150_000;

describe.skipIf(browserPath === undefined)("when the network is cut", () => {
  const browser = useBrowser();

  test("an upload of 200 files waits, goes on by itself, and stores each file once", async () => {
    const ann = person("cut");
    const page = await browser.signedIn(ann);
    const files = Array.from({ length: FILES }, (_, index) => ({
      name: `cut-${index}.png`,
      mimeType: "image/png",
      buffer: bigPng(index, FILE_BYTES),
    }));
    await page.getByRole("button", { name: "Upload" }).first().click();
    await page.getByRole("dialog").getByLabel("Files to upload").first().setInputFiles(files);
    await page.getByRole("button", { name: /Upload 200 files/ }).click();
    await page.locator(".jam-upload[data-state=done]").nth(20).waitFor();
    await page.context().setOffline(true);
    await page
      .getByText(/Waiting for the connection/)
      .first()
      .waitFor();
    const storedWhenCut = (await ann.client.getStorageUsage()).fileCount;
    expect(storedWhenCut).toBeLessThan(FILES);
    await page.context().setOffline(false);
    await page.getByText(`${FILES} files uploaded`).waitFor();
    const names: string[] = [];
    for await (const { originalName } of ann.client.iterateFiles()) names.push(originalName);
    expect(new Set(names).size).toBe(FILES);
    expect(names).toHaveLength(FILES);
    await expect.poll(async () => (await ann.client.getStorageUsage()).reservedBytes).toBe(0);
  });
});
