// What a person sees when something does not work.

import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { bigPng, images } from "../../src/media.js";
import { give, person } from "../../src/people.js";

describe.skipIf(browserPath === undefined)("when something does not work", () => {
  const browser = useBrowser();

  test("a page whose service is away says so and goes on when it is back", async () => {
    const ann = person("away");
    await give(ann, images(1));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").waitFor();
    await page.route("**/api/files?**", (route) => route.fulfill({ status: 500, body: "{}" }));
    await page.getByRole("link", { name: "Trash" }).first().click();
    await page.getByRole("heading", { name: "The files cannot be shown" }).waitFor();
    await page.unroute("**/api/files?**");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "The trash is empty" }).waitFor();
  });

  test("a list whose next page fails says so and goes on when asked", async () => {
    const ann = person("cutlist");
    for (const from of [0, 100]) await give(ann, images(100, from));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").first().waitFor();
    await page.route("**/api/files?*cursor=*", (route) => route.abort());
    await page.getByRole("gridcell").first().focus();
    await page.keyboard.press("End");
    const message = page.getByRole("alert").filter({ hasText: "The rest cannot be shown" });
    await message.waitFor();
    await page.getByRole("gridcell", { name: "image-100.png" }).waitFor();
    await page.unroute("**/api/files?*cursor=*");
    await message.getByRole("button", { name: "Try again" }).click();
    await message.waitFor({ state: "detached" });
    await page.getByRole("gridcell", { name: "image-100.png" }).focus();
    await page.keyboard.press("End");
    await page.getByRole("gridcell", { name: "image-0.png" }).waitFor();
  });

  test("a change that is refused is taken back, and the reason is above the preview", async () => {
    const ann = person("refusal");
    await give(ann, images(1));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").click();
    const problem = { success: false, error: "That cannot be done today.", code: "conflict" };
    const refuse = { status: 409, body: JSON.stringify(problem), contentType: "application/json" };
    await page.route("**/api/files/*", (route) =>
      route.request().method() === "PATCH" ? route.fulfill(refuse) : route.continue(),
    );
    const preview = page.getByRole("dialog");
    await preview.getByLabel("Name").fill("never.png");
    await preview.getByLabel("Name").press("Enter");
    await page.locator(".toasts:popover-open").getByText("That cannot be done today.").waitFor();
    await expect.poll(() => preview.getByLabel("Name").inputValue()).toBe("image-0.png");
    expect((await ann.client.getFiles())[0]?.originalName).toBe("image-0.png");
  });

  test("a batch that fails leaves its files chosen and says why", async () => {
    const ann = person("batch");
    await give(ann, images(2));
    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell").first().focus();
    await page.keyboard.press(" ");
    await page.route("**/api/files/batch", (route) => route.abort());
    await page
      .getByRole("region", { name: "Selected files" })
      .getByRole("button", { name: "Delete" })
      .click();
    await page.getByText(/cannot be reached/).waitFor();
    await page.getByText("1 selected").waitFor();
    expect(await ann.client.getFiles()).toHaveLength(2);
  });

  test("a file that does not fit is refused before a byte of it is sent", async () => {
    const ann = person("full");
    await person("boss", { admin: true }).client.setQuota(ann.user, 10_000);
    const page = await browser.signedIn(ann);
    const sent: string[] = [];
    page.on("request", (request) => {
      if (/\/api\/(uploads|files\/upload)/.test(request.url()) && request.method() !== "OPTIONS")
        sent.push(request.url());
    });
    await page.getByRole("button", { name: "Upload", exact: true }).first().click();
    await page
      .getByRole("dialog")
      .getByLabel("Files to upload")
      .first()
      .setInputFiles([{ name: "big.png", mimeType: "image/png", buffer: bigPng(1, 50_000) }]);
    await page.getByRole("button", { name: /Upload 1 file/ }).click();
    await page.getByText(/Not enough storage: [\d.]+ KB are needed and 9\.77 KB are left/).waitFor();
    expect(sent).toEqual([]);
  });
});
