// What people come for, from the first page to the trash, in a real browser.

import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { pictures, png, wav } from "../../src/media.js";
import { person } from "../../src/people.js";

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
    // A film moves under the pointer, unless the system asks for less motion.
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
    await expect.poll(() => page.locator(".jam-sound-wave > div").count()).toBe(1);
  }, 180_000);

  test("filters, search and order narrow the library down, and the address keeps them", async () => {
    const ann = person("filter");
    await ann.client.uploadFiles(pictures(3), { metadata: { packageName: "Blue", tags: ["sky"] } });
    await ann.client.uploadFiles([...pictures(2, 10)], {
      metadata: { packageName: "Red", assetCategory: "object" },
    });
    const page = await browser.signedIn(ann);
    await page.getByText("5 files", { exact: true }).waitFor();
    await page.getByLabel("Package").selectOption("Blue");
    await page.getByText("3 files", { exact: true }).waitFor();
    await page.getByLabel("Tag").selectOption("sky");
    await page.getByLabel("Search by name").fill("picture-1");
    await page.getByText("1 file", { exact: true }).waitFor();
    await page.reload();
    await page.getByText("1 file", { exact: true }).waitFor();
    await page.getByLabel("Search by name").fill("nothing like it");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await page.getByLabel("Order").selectOption("name");
    await expect.poll(() => page.locator(".jam-card h3").first().textContent()).toBe("picture-0.png");
  });

  test("many files are tagged, moved, deleted, brought back and removed for good together", async () => {
    const ann = person("bulk");
    await ann.client.uploadFiles(pictures(4));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").first().hover();
    await page.getByRole("button", { name: "Select picture-3.png" }).click();
    await page.getByRole("button", { name: "Select all 4" }).click();
    const bar = page.getByRole("region", { name: "Selected files" });
    await bar.getByRole("button", { name: "Tag" }).click();
    await page.getByRole("dialog").getByLabel("Tags").fill("together,");
    await page.getByRole("button", { name: "Add to the selected files" }).click();
    await page.getByText("4 files tagged.").waitFor();

    await page.getByRole("gridcell").first().hover();
    await page.getByRole("button", { name: "Select picture-3.png" }).click();
    await page.getByRole("button", { name: "Select all 4" }).click();
    await bar.getByRole("button", { name: "Delete" }).click();
    await page.getByText("4 files moved to the trash.").waitFor();
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await expect.poll(async () => (await ann.client.getFiles({ tags: ["together"] })).length).toBe(4);

    await ann.client.batch("delete", await ann.client.getFiles());
    await page.getByRole("link", { name: "Trash" }).first().click();
    await page.getByText("4 files", { exact: true }).waitFor();
    await page.getByRole("gridcell", { name: "picture-2.png" }).click();
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByText("picture-2.png is back in the library.").waitFor();
    await page.keyboard.press("Escape");
    page.on("dialog", (question) => void question.accept());
    await page.getByRole("button", { name: "Empty trash" }).click();
    await page.getByRole("heading", { name: "The trash is empty" }).waitFor();
    expect((await ann.client.getFiles()).map(({ originalName }) => originalName)).toEqual(["picture-2.png"]);
  });

  test("a favourite shows among the favourites, and edits in the preview are kept", async () => {
    const ann = person("edit");
    await ann.client.uploadFiles(pictures(2));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell", { name: "picture-1.png" }).click();
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

  test("an administrator sees who stores what, changes a quota and uploads for a user", async () => {
    const bo = person("bo");
    await bo.client.uploadFiles(pictures(1));
    const page = await browser.signedIn(person("admin", { admin: true }), "/?view=admin");
    await page.getByRole("button", { name: `Quota of ${bo.user}` }).click();
    await page.getByLabel("Gigabytes").fill("2.5");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(`${bo.user} may store 2.5 GB.`).waitFor();
    await page.getByRole("button", { name: `Files of ${bo.user}` }).click();
    await page.getByRole("gridcell", { name: "picture-0.png" }).waitFor();
    await page.getByRole("button", { name: `Upload for ${bo.user}` }).click();
    await page
      .getByRole("dialog")
      .getByLabel("Files to upload")
      .first()
      .setInputFiles([{ name: "gift.png", mimeType: "image/png", buffer: png(9) }]);
    await page.getByRole("button", { name: /Upload 1 file/ }).click();
    await page.getByRole("gridcell", { name: "gift.png" }).waitFor();
    expect((await bo.client.getFiles()).map(({ originalName }) => originalName)).toContain("gift.png");
    await page.getByRole("button", { name: "Back to all users" }).click();
    await page.getByRole("heading", { name: "Users" }).waitFor();
  });

  test("when the service is away the page says so and goes on when it is back", async () => {
    const ann = person("away");
    await ann.client.uploadFiles(pictures(1));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").waitFor();
    await page.route("**/api/files?**", (route) => route.fulfill({ status: 500, body: "{}" }));
    await page.getByRole("link", { name: "Trash" }).first().click();
    await page.getByRole("heading", { name: "The files cannot be shown" }).waitFor();
    await page.unroute("**/api/files?**");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "The trash is empty" }).waitFor();
  });
});
