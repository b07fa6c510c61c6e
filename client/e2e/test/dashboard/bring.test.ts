// Ways to bring files: dragged from the system, pasted from the clipboard, chosen as a folder; and content that is here.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { folderOf } from "../../src/files.js";
import { bigPng, file, png } from "../../src/media.js";
import { person } from "../../src/people.js";

describe.skipIf(browserPath === undefined)("files come", () => {
  const browser = useBrowser();

  test("by dragging files and a folder with folders onto the uploader", async () => {
    const ann = person("drop");
    const page = await browser.signedIn(ann);
    const dialog = await openUploader(page);
    await drag(page, dialog.getByRole("group", { name: "Add files" }), [
      join(folderOf({ "loose.png": png(1) }), "loose.png"),
      nestedFolder(),
    ]);
    await expectStaged(dialog, ["bottom.png", "loose.png", "top.png"]);
    await dialog.getByRole("button", { name: /Upload 3 files/ }).click();
    await page.getByText("3 files uploaded").waitFor();
    // Once: the page behind the dialog takes nothing.
    expect(await ann.client.listFiles({ includeTotal: true })).toMatchObject({ total: 3 });
  });

  test("by dragging them anywhere on the page", async () => {
    const page = await browser.signedIn(person("anywhere"));
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
    await drag(page, page.getByRole("main"), [nestedFolder()]);
    await page.getByText("2 files uploaded").waitFor();
    await page.getByRole("gridcell", { name: "bottom.png" }).waitFor();
  });

  test("by choosing a folder", async () => {
    const page = await browser.signedIn(person("folder"));
    const dialog = await openUploader(page);
    await dialog.getByLabel("Folder to upload").setInputFiles(nestedFolder());
    await expectStaged(dialog, ["bottom.png", "top.png"]);
  });

  test("by pasting an image, into the uploader and anywhere on the page", async () => {
    const page = await browser.signedIn(person("paste"), "/", {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
    await page.evaluate(
      async (bytes) => {
        const image = new Blob([new Uint8Array(bytes)], { type: "image/png" });
        await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
      },
      [...png(1)],
    );
    const dialog = await openUploader(page);
    await page.keyboard.press("ControlOrMeta+v");
    await expectStaged(dialog, ["image.png"]);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.keyboard.press("ControlOrMeta+v");
    await page.getByText("1 file uploaded").waitFor();
    await page.getByRole("gridcell", { name: "image.png" }).waitFor();
  });

  test("without their bytes when the same content is stored already: a worker hashes it", async () => {
    const ann = person("known");
    const bytes = bigPng(1, 8 << 20);
    await ann.client.upload([file("first.png", bytes)]);
    const page = await browser.signedIn(ann);
    const sent: number[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/api/uploads")) sent.push(request.postDataBuffer()?.length ?? 0);
    });
    const worker = page.waitForEvent("worker");
    const dialog = await openUploader(page);
    const path = join(folderOf({ "second.png": bytes }), "second.png");
    await dialog.getByLabel("Files to upload").first().setInputFiles(path);
    await dialog.getByRole("button", { name: /Upload 1 file/ }).click();
    expect((await worker).url()).toMatch(/digest-worker/);
    await page.getByRole("gridcell", { name: "second.png" }).waitFor();
    expect(sent.length).toBeGreaterThan(1);
    expect(sent.every((size) => size === 0)).toBe(true);
    const [second] = await ann.client.getFiles({ q: "second" });
    const stored = await (await ann.client.download(String(second?.id))).arrayBuffer();
    expect(Buffer.from(stored).equals(bytes)).toBe(true);
  });
});

async function openUploader(page: Page): Promise<Locator> {
  await page.getByRole("button", { name: "Upload", exact: true }).first().click();
  const dialog = page.getByRole("dialog", { name: "Upload" });
  await dialog.waitFor();
  return dialog;
}

async function expectStaged(dialog: Locator, names: string[]) {
  const staged = dialog.locator(".jam-staged-name");
  await expect.poll(async () => (await staged.allTextContents()).sort()).toEqual(names);
}

/** `top.png`, and `bottom.png` in a folder below. */
function nestedFolder(): string {
  const folder = folderOf({ "top.png": png(2) });
  mkdirSync(join(folder, "below"));
  writeFileSync(join(folder, "below", "bottom.png"), png(3));
  return folder;
}

/** What a drag from the system's file manager is to the browser. */
async function drag(page: Page, target: Locator, paths: string[]) {
  const box = await target.boundingBox();
  if (box === null) throw new Error("the target is not shown");
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  const input = await page.context().newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await input.send("Input.dispatchDragEvent", { type, ...at, data });
  }
}
