// A large upload while the network is cut.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { browserPath, slowDown, useBrowser } from "../../src/browser.js";
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
    await page.getByText(`${FILES} files uploaded`).waitFor({ timeout: 120_000 });
    const names: string[] = [];
    for await (const { originalName } of ann.client.iterateFiles()) names.push(originalName);
    expect(new Set(names).size).toBe(FILES);
    expect(names).toHaveLength(FILES);
    await expect.poll(async () => (await ann.client.getStorageUsage()).reservedBytes).toBe(0);
  }, 180_000);

  test("a file that is added again after a reload goes on where it was", async () => {
    const ann = person("reload");
    const path = join(mkdtempSync(join(tmpdir(), "jam-")), "long.png");
    onTestFinished(() => rmSync(path));
    writeFileSync(path, bigPng(1, 8 << 20));
    const page = await browser.signedIn(ann);
    await slowDown(page, 1 << 20);
    const add = async () => {
      await page.getByRole("button", { name: "Upload", exact: true }).first().click();
      await page.getByRole("dialog").getByLabel("Files to upload").first().setInputFiles(path);
      await page.getByRole("button", { name: /Upload 1 file/ }).click();
    };
    await add();
    await page.getByText(/^[3-6]\d % of/).waitFor();
    page.on("dialog", (question) => void question.accept());
    await page.reload();
    const offsets: number[] = [];
    page.on("request", (request) => {
      const offset = request.headers()["upload-offset"];
      if (request.method() === "PATCH" && offset !== undefined) offsets.push(Number(offset));
    });
    await add();
    await page.getByText("1 file uploaded").waitFor();
    expect(offsets[0]).toBeGreaterThan(0);
    expect(await ann.client.getFiles()).toHaveLength(1);
  });
});
