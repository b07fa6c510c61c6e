// Uploads that were begun and not ended: after a reload, beside another page, and while they are being created.

import { join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { findings } from "../../src/axe.js";
import { browserPath, slowDown, useBrowser } from "../../src/browser.js";
import { folderOf } from "../../src/files.js";
import { bigPng, png } from "../../src/media.js";
import { type Person, person } from "../../src/people.js";

const MIB = 1 << 20;

describe.skipIf(browserPath === undefined)("an upload that has not ended", () => {
  const browser = useBrowser();

  test("is listed after a reload, and goes on with the file that is chosen again", async () => {
    const ann = person("unfinished");
    const folder = folderOf({ "long.png": bigPng(1, 8 * MIB), "other.png": png(2) });
    const page = await browser.signedIn(ann);
    await leaveHalfWay(page, [join(folder, "long.png")]);
    const unfinished = page.getByRole("region", { name: "Unfinished uploads" });
    await unfinished.getByText("1 unfinished upload", { exact: true }).waitFor();
    expect(await findings(page)).toEqual([]);

    const again = unfinished.getByLabel("Files of the unfinished uploads");
    await again.setInputFiles(join(folder, "other.png"));
    await unfinished.getByRole("alert").waitFor();
    const offsets = watchOffsets(page);
    await again.setInputFiles(join(folder, "long.png"));
    await page.getByText("1 file uploaded").waitFor();
    await unfinished.waitFor({ state: "detached" });
    expect(offsets[0]).toBeGreaterThan(0);
    expect((await ann.client.getFiles()).map(({ originalName }) => originalName)).toEqual(["long.png"]);
    expect(await ann.client.listUploads()).toEqual([]);
  });

  test("is given up when it is discarded, and its room is free again", async () => {
    const ann = person("discard");
    const folder = folderOf({
      "a.png": bigPng(1, 4 * MIB),
      "b.png": bigPng(2, 4 * MIB),
      "c.png": bigPng(3, 4 * MIB),
    });
    const page = await browser.signedIn(ann);
    await leaveHalfWay(
      page,
      ["a.png", "b.png", "c.png"].map((name) => join(folder, name)),
    );
    const unfinished = page.getByRole("region", { name: "Unfinished uploads" });
    await unfinished.getByText("3 unfinished uploads").waitFor();
    expect((await ann.client.getStorageUsage()).reservedBytes).toBeGreaterThan(12 * MIB);

    await unfinished.getByRole("button", { name: "Discard b.png" }).click();
    await unfinished.getByText("2 unfinished uploads").waitFor();
    await unfinished.getByRole("button", { name: "Discard all" }).click();
    await unfinished.waitFor({ state: "detached" });
    expect(await ann.client.getStorageUsage()).toMatchObject({ reservedBytes: 0, totalBytes: 0 });
    await page.reload();
    await page.getByRole("heading", { name: "A place for your media" }).waitFor();
    expect(await unfinished.count()).toBe(0);
  });

  test("takes the room that it has reserved, not twice as much", async () => {
    const ann = person("room");
    await person("boss", { admin: true }).client.setQuota(ann.user, 10 * MIB);
    const folder = folderOf({ "long.png": bigPng(1, 8 * MIB) });
    const page = await browser.signedIn(ann);
    await leaveHalfWay(page, [join(folder, "long.png")]);
    await choose(page, [join(folder, "long.png")]);
    await page.getByText("1 file uploaded").waitFor();
  });

  test("is nobody else's while a page sends it", async () => {
    const ann = person("two");
    const folder = folderOf({ "long.png": bigPng(1, 8 * MIB) });
    const page = await browser.signedIn(ann);
    await slowDown(page, MIB);
    await choose(page, [join(folder, "long.png")]);
    await page.getByText(/^[1-6]\d % of/).waitFor();
    const other = await page.context().newPage();
    const listed = other.waitForResponse((response) => response.url().endsWith("/api/uploads"));
    await other.goto("/");
    await (await listed).finished();
    await other.getByRole("heading", { level: 1 }).waitFor();
    expect(await other.getByRole("region", { name: "Unfinished uploads" }).count()).toBe(0);
    await page.getByText("1 file uploaded").waitFor();
  });

  test("is ended by a cancellation that comes while it is being created", async () => {
    const ann = person("cancelled");
    const page = await browser.signedIn(ann);
    const creation = await holdCreation(page);
    await choose(page, [{ name: "big.png", mimeType: "image/png", buffer: bigPng(1, 4 * MIB) }]);
    await creation.begun;
    await page.getByRole("button", { name: "Cancel big.png" }).click();
    await page.getByText("Cancelled").waitFor();
    const ended = page.waitForResponse((response) => response.request().method() === "DELETE");
    creation.letGo();
    expect((await ended).status()).toBe(204);
    await expectNothing(ann);
  });

  test("leaves no file when it is small and cancelled while it is being sent", async () => {
    const ann = person("small");
    const page = await browser.signedIn(ann);
    const creation = await holdCreation(page);
    await choose(page, [{ name: "small.png", mimeType: "image/png", buffer: png(1) }]);
    await creation.begun;
    await page.getByRole("button", { name: "Cancel small.png" }).click();
    const removed = page.waitForResponse((response) => response.request().method() === "DELETE");
    creation.letGo();
    expect((await removed).status()).toBe(200);
    await expectNothing(ann);
  });

  test("is kept by a pause that comes while it is being created, and goes on later", async () => {
    const ann = person("paused");
    const page = await browser.signedIn(ann);
    const creation = await holdCreation(page);
    await choose(page, [{ name: "big.png", mimeType: "image/png", buffer: bigPng(1, 4 * MIB) }]);
    await creation.begun;
    await page.getByRole("button", { name: "Pause big.png" }).click();
    creation.letGo();
    await expect.poll(async () => (await ann.client.listUploads()).length).toBe(1);
    await page.getByText("Paused at 0 %").waitFor();
    await page.getByRole("button", { name: "Resume big.png" }).click();
    await page.getByText("1 file uploaded").waitFor();
    expect(await ann.client.getFiles()).toHaveLength(1);
    expect((await ann.client.getStorageUsage()).reservedBytes).toBe(0);
  });

  test.each([
    ["with its bytes", 100],
    ["without its bytes", 4 * MIB],
  ])("is not created again when the answer to its creation %s is lost", async (_, bytes) => {
    const ann = person("lost");
    const page = await browser.signedIn(ann);
    let creations = 0;
    await onCreationAnswer(page, async () => {
      creations += 1;
      return creations === 1 ? "lose" : "pass";
    });
    await choose(page, [{ name: "once.png", mimeType: "image/png", buffer: bigPng(1, bytes) }]);
    await page.getByText("1 file uploaded").waitFor();
    expect(creations).toBe(2);
    expect(await ann.client.getFiles()).toHaveLength(1);
    expect(await ann.client.listUploads()).toEqual([]);
  });
});

type Chosen = Parameters<ReturnType<Page["locator"]>["setInputFiles"]>[0];

async function choose(page: Page, files: Chosen) {
  await page.getByRole("button", { name: "Upload", exact: true }).first().click();
  await page.getByRole("dialog").getByLabel("Files to upload").first().setInputFiles(files);
  await page.getByRole("button", { name: /^Upload \d+ file/ }).click();
}

/** Reloads the page while it sends files. */
async function leaveHalfWay(page: Page, paths: string[]) {
  await slowDown(page, paths.length * MIB);
  await choose(page, paths);
  await expect.poll(() => page.getByText(/^[2-7]\d % of/).count()).toBe(paths.length);
  page.on("dialog", (question) => void question.accept());
  await page.reload();
}

/** Where the page's appends begin. */
function watchOffsets(page: Page): number[] {
  const offsets: number[] = [];
  page.on("request", (request) => {
    const offset = request.headers()["upload-offset"];
    if (request.method() === "PATCH" && offset !== undefined) offsets.push(Number(offset));
  });
  return offsets;
}

/** Decides about the answer to each creation of an upload that a page asks for: the service has made it by then. */
async function onCreationAnswer(page: Page, decide: () => Promise<"pass" | "lose">) {
  const network = await page.context().newCDPSession(page);
  network.on("Fetch.requestPaused", async ({ requestId, request }) => {
    const verdict = request.method === "POST" ? await decide() : "pass";
    if (verdict === "pass") await network.send("Fetch.continueResponse", { requestId });
    else await network.send("Fetch.failRequest", { requestId, errorReason: "ConnectionReset" });
  });
  const patterns = [{ urlPattern: "*/api/uploads", requestStage: "Response" as const }];
  await network.send("Fetch.enable", { patterns });
}

/** Holds the answer to a creation back until it is let go. */
async function holdCreation(page: Page) {
  let begin = () => {};
  let letGo = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  await onCreationAnswer(page, async () => {
    begin();
    await held;
    return "pass";
  });
  return { begun, letGo: () => letGo() };
}

async function expectNothing({ client }: Person) {
  await expect.poll(() => client.listUploads()).toEqual([]);
  await expect.poll(() => client.getStorageUsage()).toMatchObject({ reservedBytes: 0, totalBytes: 0 });
}
