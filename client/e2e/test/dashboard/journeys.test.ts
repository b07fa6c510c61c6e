// What people come for, from the first page to the trash, in a real browser.

import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { bigPng, file, images, png, wav } from "../../src/media.js";
import { give, person } from "../../src/people.js";

describe.skipIf(browserPath === undefined)("the dashboard", () => {
  const browser = useBrowser();

  test("somebody new signs in, uploads with what they say about it, and finds it after a reload", async () => {
    const { user, client } = person("ann");
    const page = await browser.open();
    await page.goto("/");
    await page.getByLabel("User").fill(user);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();

    await page.getByRole("button", { name: "Upload" }).first().click();
    const dialog = page.getByRole("dialog", { name: "Upload" });
    await dialog
      .getByLabel("Files to upload")
      .first()
      .setInputFiles([
        { name: "sea.png", mimeType: "image/png", buffer: png(1) },
        { name: "tone.wav", mimeType: "audio/wav", buffer: wav() },
      ]);
    await dialog.getByLabel("Package").fill("Holiday");
    await dialog.getByRole("button", { name: "Details of sea.png" }).click();
    await dialog.getByRole("list", { name: "Files to upload" }).getByLabel("Tags").fill("water,");
    await dialog.getByRole("button", { name: /Upload 2 files/ }).click();
    await page.getByText("2 files uploaded").waitFor();
    await page.getByRole("gridcell", { name: "sea.png" }).waitFor();

    await page.reload();
    await page.getByRole("gridcell", { name: "tone.wav" }).waitFor();
    const [sea] = await client.getFiles({ q: "sea" });
    expect(sea).toMatchObject({ packageName: "Holiday", tags: ["water"] });
  });

  test("sample media makes an empty library alive with one click", async () => {
    const page = await browser.signedIn(person("samples"));
    await page.getByRole("button", { name: "Add sample media" }).click();
    await page.getByText("20 files", { exact: true }).waitFor({ timeout: 85_000 });
    await page.getByRole("button", { name: "Video", exact: true }).click();
    await page.getByText("4 files", { exact: true }).waitFor();
    // A video moves under the pointer, unless the system asks for less motion.
    await page.emulateMedia({ reducedMotion: "no-preference" });
    await page.getByRole("gridcell").first().hover();
    const moving = page.locator(".jam-card video");
    await moving.waitFor({ state: "attached" });
    await expect
      .poll(() => moving.evaluate((video: HTMLVideoElement) => video.currentTime))
      .toBeGreaterThan(0);

    await page.getByRole("gridcell").first().click();
    const player = page.locator("dialog video");
    await expect
      .poll(() => player.evaluate((video: HTMLVideoElement) => video.readyState))
      .toBeGreaterThan(0);
    await player.evaluate((video: HTMLVideoElement) => {
      video.pause();
      video.currentTime = 5;
    });
    await expect.poll(() => player.evaluate((video: HTMLVideoElement) => video.currentTime)).toBe(5);
    await expect.poll(() => player.evaluate((video: HTMLVideoElement) => video.seeking)).toBe(false);
    await page.keyboard.press("Escape");

    await page.getByRole("button", { name: "Audio", exact: true }).click();
    await page.getByRole("gridcell", { name: "Corner shop.mp3" }).click();
    await expect.poll(() => page.locator(".jam-audio-wave > div").count()).toBe(1);
  }, 180_000);

  test("filters, search and order narrow the library down, and the address keeps them", async () => {
    const ann = person("filter");
    await give(ann, images(3), { packageName: "Blue", tags: ["sky"] });
    await give(ann, images(2, 10), { packageName: "Red", assetCategory: "object" });
    const page = await browser.signedIn(ann);
    await page.getByText("5 files", { exact: true }).waitFor();
    await page.getByLabel("Package").selectOption("Blue");
    await page.getByText("3 files", { exact: true }).waitFor();
    await page.getByLabel("Tag").selectOption("sky");
    await page.getByLabel("Search by name").fill("image-1");
    await page.getByText("1 file", { exact: true }).waitFor();
    await page.reload();
    await page.getByText("1 file", { exact: true }).waitFor();
    await page.getByLabel("Search by name").fill("nothing like it");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await page.getByLabel("Category").selectOption("object");
    await page.getByText("2 files", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Clear", exact: true }).click();
    await page.getByText("5 files", { exact: true }).waitFor();
  });

  test("each order shows its own file first", async () => {
    const ann = person("order");
    await give(ann, [file("b-first.png", png(1))]);
    await give(ann, [file("a-large.png", bigPng(2, 5000))]);
    await give(ann, [file("c-audio.wav", wav())]);
    const page = await browser.signedIn(ann);
    const first = page.locator(".jam-card h3").first();
    for (const [order, name] of [
      ["oldest", "b-first.png"],
      ["name", "a-large.png"],
      ["nameDown", "c-audio.wav"],
      ["largest", "c-audio.wav"],
      ["longest", "c-audio.wav"],
      ["", "c-audio.wav"],
    ] as const) {
      await page.getByLabel("Order").selectOption(order);
      await expect.poll(() => first.textContent(), { message: order }).toBe(name);
    }
  });

  test("many files are tagged, moved, deleted, brought back and removed for good together", async () => {
    const ann = person("bulk");
    await give(ann, images(4));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").first().hover();
    await page.getByRole("button", { name: "Select image-3.png" }).click();
    await page.getByRole("button", { name: "Select all 4" }).click();
    const bar = page.getByRole("region", { name: "Selected files" });
    await bar.getByRole("button", { name: "Tag" }).click();
    await page.getByRole("dialog").getByLabel("Tags").fill("together,");
    await page.getByRole("button", { name: "Add to the selected files" }).click();
    await page.getByText("4 files tagged.").waitFor();

    await page.getByRole("gridcell").first().hover();
    await page.getByRole("button", { name: "Select image-3.png" }).click();
    await page.getByRole("button", { name: "Select all 4" }).click();
    await bar.getByRole("button", { name: "Delete" }).click();
    await page.getByText("4 files moved to the trash.").waitFor();
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await expect.poll(async () => (await ann.client.getFiles({ tags: ["together"] })).length).toBe(4);

    await ann.client.batch("delete", await ann.client.getFiles());
    await page.getByRole("link", { name: "Trash" }).first().click();
    await page.getByText("4 files", { exact: true }).waitFor();
    await page.getByRole("gridcell", { name: "image-2.png" }).click();
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByText("image-2.png is back in the library.").waitFor();
    await page.keyboard.press("Escape");
    page.on("dialog", (question) => void question.accept());
    await page.getByRole("button", { name: "Empty trash" }).click();
    await page.getByRole("heading", { name: "The trash is empty" }).waitFor();
    expect((await ann.client.getFiles()).map(({ originalName }) => originalName)).toEqual(["image-2.png"]);
  });

  test("chosen files become favourites, move to a package, and come back from the trash or go for good", async () => {
    const ann = person("batch");
    await give(ann, images(3));
    const page = await browser.signedIn(ann);
    const bar = page.getByRole("region", { name: "Selected files" });
    const selectAll = async () => {
      await page.getByRole("gridcell").first().focus();
      await page.keyboard.press(" ");
      await bar.getByRole("button", { name: "Select all 3" }).click();
    };
    await selectAll();
    await bar.getByRole("button", { name: "Favourite" }).click();
    await page.getByText("3 files are favourites.").waitFor();
    expect(await ann.client.getFiles({ favorite: true })).toHaveLength(3);
    await selectAll();
    await bar.getByRole("button", { name: "Not a favourite" }).click();
    await page.getByText("3 files are no favourites any more.").waitFor();
    await selectAll();
    await bar.getByRole("button", { name: "Move" }).click();
    await page.getByRole("dialog").getByLabel("Package").fill("Winter");
    await page.getByRole("button", { name: "Move the selected files" }).click();
    await page.getByText("3 files moved.").waitFor();
    expect(await ann.client.getFiles({ package: "Winter", favorite: false })).toHaveLength(3);

    await ann.client.batch("delete", await ann.client.getFiles());
    await page.getByRole("link", { name: "Trash" }).first().click();
    await page.getByText("3 files", { exact: true }).waitFor();
    await page.getByRole("gridcell", { name: "image-0.png" }).focus();
    await page.keyboard.press(" ");
    page.on("dialog", (question) => void question.accept());
    await bar.getByRole("button", { name: "Delete for good" }).click();
    await page.getByText("1 file removed for good.").waitFor();
    await page.getByRole("gridcell").first().focus();
    await page.keyboard.press(" ");
    await bar.getByRole("button", { name: "Select all 2" }).click();
    await bar.getByRole("button", { name: "Restore" }).click();
    await page.getByText("2 files restored.").waitFor();
    await page.getByRole("heading", { name: "The trash is empty" }).waitFor();
    expect(await ann.client.getFiles()).toHaveLength(2);
  });

  test("a favourite shows among the favourites, and edits in the preview are kept", async () => {
    const ann = person("edit");
    await give(ann, images(2));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell", { name: "image-1.png" }).click();
    const preview = page.getByRole("dialog");
    await preview.getByRole("button", { name: "Favourite" }).click();
    await preview.getByLabel("Name").fill("renamed.png");
    await preview.getByLabel("Name").press("Enter");
    await preview.getByLabel("Category").selectOption("background");
    await preview.getByLabel("Tags").fill("kept");
    await preview.getByLabel("Tags").press("Enter");
    await page.getByRole("dialog", { name: "renamed.png" }).waitFor();
    await expect
      .poll(async () => (await ann.client.getFiles({ favorite: true }))[0])
      .toMatchObject({ originalName: "renamed.png", assetCategory: "background", tags: ["kept"] });
    await preview.getByRole("button", { name: "Remove tag kept" }).click();
    await expect.poll(async () => (await ann.client.getFiles({ favorite: true }))[0]?.tags).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Favourites" }).first().click();
    await page.getByRole("gridcell", { name: "renamed.png" }).waitFor();
    await page.getByText("1 file", { exact: true }).waitFor();
  });

  test("a file that is refused says why and can be retried or put away", async () => {
    const page = await browser.signedIn(person("refused"));
    await page.getByRole("button", { name: "Upload" }).first().click();
    await page
      .getByRole("dialog")
      .getByLabel("Files to upload")
      .first()
      .setInputFiles([
        { name: "page.html", mimeType: "text/html", buffer: Buffer.from("<!doctype html><p>hi") },
      ]);
    await page.getByRole("button", { name: /Upload 1 file/ }).click();
    await page.getByText(/Files of this kind are not accepted/).waitFor();
    await page.getByRole("button", { name: "Retry page.html" }).click();
    await page.getByText(/Files of this kind are not accepted/).waitFor();
    const close = page.getByRole("button", { name: "Close uploads" });
    await expect
      .poll(async () => {
        if (await close.isVisible()) await close.click();
        return page.getByRole("region", { name: "Uploads" }).count();
      })
      .toBe(0);
  });
});
