// What an administrator does: sums, quotas, files of others.

import { formatBytes } from "@jam-storage/client";
import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { bigPng, file, images, png } from "../../src/media.js";
import { person } from "../../src/people.js";

describe.skipIf(browserPath === undefined)("an administrator", () => {
  const browser = useBrowser();

  test("sees sums over everybody, and who stores most", async () => {
    await person("hoarder").client.uploadFiles([file("huge.png", bigPng(1, 40 << 20))]);
    const boss = person("stats", { admin: true });
    const page = await browser.signedIn(boss, "/?view=admin");
    const { totalUsers, totalFiles, totalUsedFormatted } = await boss.client.getStats();
    const sums = page.locator("dl.sums > div");
    const expected = { Users: totalUsers, Files: totalFiles, Stored: totalUsedFormatted };
    for (const [name, value] of Object.entries(expected)) {
      const sum = sums.filter({ has: page.getByText(name, { exact: true }) });
      await expect.poll(() => sum.locator("dd").textContent()).toContain(value.toLocaleString("en"));
    }
    const chart = page.getByRole("figure", { name: "Who stores most" });
    const longest = chart.getByRole("listitem").first();
    const stored = (await boss.client.getClerkUsers()).map(({ storage }) => storage?.totalBytes ?? 0);
    expect(await longest.textContent()).toContain(formatBytes(Math.max(...stored)));
    const bar = await longest.locator(".chart-bar").boundingBox();
    const filled = await longest.locator(".chart-bar > span").boundingBox();
    expect(filled?.width).toBe(bar?.width);
  });

  test("changes a quota, which the user's next upload meets", async () => {
    const { client, user } = person("bo");
    await client.uploadFiles(images(1));
    const page = await browser.signedIn(person("quota", { admin: true }), "/?view=admin");
    await page.getByRole("button", { name: `Quota of ${user}` }).click();
    await page.getByLabel("Gigabytes").fill("2.5");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(`${user} may store 2.5 GB.`).waitFor();
    await page.getByRole("row", { name: user }).getByText("of 2.5 GB").waitFor();
    expect((await client.getStorageUsage()).maxBytes).toBe(2.5 * 1024 ** 3);

    await page.getByRole("button", { name: `Quota of ${user}` }).click();
    await page.getByLabel("Gigabytes").fill("0");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("row", { name: user }).getByText("of 0 Bytes").waitFor();
    await expect(client.uploadFiles(images(1, 5))).rejects.toMatchObject({ code: "quota_exceeded" });
  });

  test("looks at a user's files and uploads for them", async () => {
    const { client, user } = person("kim");
    await client.uploadFiles(images(1));
    const boss = person("giver", { admin: true });
    const page = await browser.signedIn(boss, "/?view=admin");
    await page.getByRole("button", { name: `Files of ${user}` }).click();
    await page.getByRole("gridcell", { name: "image-0.png" }).waitFor();
    await page.getByRole("button", { name: `Upload for ${user}` }).click();
    await page
      .getByRole("dialog")
      .getByLabel("Files to upload")
      .first()
      .setInputFiles([{ name: "gift.png", mimeType: "image/png", buffer: png(9) }]);
    await page.getByRole("button", { name: /Upload 1 file/ }).click();
    await page.getByRole("gridcell", { name: "gift.png" }).waitFor();
    expect((await client.getFiles()).map(({ originalName }) => originalName)).toContain("gift.png");
    expect(await boss.client.getFiles()).toEqual([]);
    await page.getByRole("button", { name: "Back to all users" }).click();
    await page.getByRole("heading", { name: "Users" }).waitFor();
  });

  test("alone has this view", async () => {
    const page = await browser.signedIn(person("nobody"));
    await page.getByRole("link", { name: "Trash" }).first().waitFor();
    expect(await page.getByRole("link", { name: "Admin" }).count()).toBe(0);
    await page.goto("/?view=admin");
    await page.getByRole("heading", { name: "The users cannot be shown" }).waitFor();
  });

  test("shows an error when the users cannot be loaded, and tries again", async () => {
    const page = await browser.signedIn(person("unlucky", { admin: true }));
    await page.route("**/api/storage/stats", (route) => route.fulfill({ status: 500, body: "{}" }));
    await page.getByRole("link", { name: "Admin" }).first().click();
    await page.getByRole("heading", { name: "The users cannot be shown" }).waitFor();
    await page.unroute("**/api/storage/stats");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("table").waitFor();
  });
});
