// Uppy in a browser whose page comes from another origin than the service.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import chromiumFlags from "../../../../client/e2e/chromium-flags.json" with { type: "json" };
import { Cable } from "./cable.js";
import { Service, sha256 } from "./service.js";

const MIB = 1 << 20;
const QUOTA = 200 * MIB;

let folder, pages, service, cable, browser;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "jam-uppy-"));
  const bundle = await build({
    entryPoints: [fileURLToPath(new URL("uppy_page.js", import.meta.url))],
    bundle: true,
    write: false,
  });
  pages = createServer((request, answer) => {
    const isScript = request.url === "/page.js";
    answer.setHeader("Content-Type", isScript ? "text/javascript" : "text/html; charset=utf-8");
    answer.end(isScript ? bundle.outputFiles[0].text : pageText());
  }).listen(0, "127.0.0.1");
  await once(pages, "listening");
  service = await Service.start({ CORS_ORIGIN: origin(), MAX_STORAGE_PER_USER: String(QUOTA) });
  cable = await Cable.to(service);
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: chromiumFlags });
});
after(async () => {
  await browser?.close();
  await service?.stop();
  cable?.cut();
  pages.close();
  await rm(folder, { recursive: true });
});

function origin() {
  return `http://127.0.0.1:${pages.address().port}`;
}

function pageText() {
  const settings = JSON.stringify({ uploads: cable.uploads, token: process.env.SERVICE_TOKEN });
  return `<!doctype html><div id="uploads"></div><script>window.settings = ${settings}</script><script src="/page.js"></script>`;
}

let page, network, requests;
beforeEach(async () => {
  page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  network = await page.context().newCDPSession(page);
  requests = [];
  page.on("response", (response) => {
    if (response.url().startsWith(cable.uploads)) requests.push(response);
  });
  await page.goto(origin());
});
afterEach(() => page.context().close());

async function setOffline(offline) {
  await network.send("Network.emulateNetworkConditions", {
    offline,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });
}

async function choose(path) {
  await page.setInputFiles(".uppy-Dashboard-input >> nth=0", path);
  await page.click(".uppy-StatusBar-actionBtn--upload");
}

/** A file of chance; its path and digest. */
async function makeFile(name) {
  const content = randomBytes(18 * MIB + 3);
  const path = join(folder, name);
  await writeFile(path, content);
  return { path, digest: sha256(content) };
}

/** Chooses a file and waits until half of it has gone out. */
async function chooseAndStall(path) {
  const middle = cable.stallAfter(9 * MIB);
  await choose(path);
  await middle;
}

/** Waits until the page says that all is there, and compares what is stored. */
async function assertArrives(digest) {
  await page.waitForFunction(() => window.uploadUrl);
  await page.waitForSelector(".uppy-StatusBar.is-complete");
  assert.equal(await service.storedSha256(await page.evaluate(() => window.uploadUrl)), digest);
}

const methods = () => requests.map((response) => response.request().method());
const created = () => methods().filter((method) => method === "POST").length;

/** Where the last resumption began. */
async function resumedAt() {
  const heads = requests.filter((response) => response.request().method() === "HEAD");
  return Number(await heads.at(-1)?.headerValue("upload-offset"));
}

test("a file is paused and resumed", async () => {
  const { path, digest } = await makeFile("paused.bin");
  await chooseAndStall(path);
  await page.click('button[title="Pause"]');
  await page.click('button[title="Resume"]');
  await assertArrives(digest);
  assert.equal(created(), 1);
  assert.ok((await resumedAt()) > 0, "nothing of what was sent is there");
});

test("a page that is reloaded continues its upload", async () => {
  const { path, digest } = await makeFile("reloaded.bin");
  await chooseAndStall(path);
  await page.reload();
  await choose(path);
  await assertArrives(digest);
  assert.equal(created(), 1);
  assert.ok((await resumedAt()) > 0, "nothing of what was sent is there");
});

test("a network that goes away is waited for", async () => {
  const { path, digest } = await makeFile("offline.bin");
  await chooseAndStall(path);
  await setOffline(true);
  cable.cut();
  await page.waitForFunction(() => !navigator.onLine);
  cable.mend();
  await setOffline(false);
  await assertArrives(digest);
  assert.equal(created(), 1);
  assert.ok((await resumedAt()) > 0, "nothing of what was sent is there");
});

test("a file over the quota is refused at once, and the page shows why", async () => {
  const path = join(folder, "large.bin");
  await writeFile(path, "");
  await truncate(path, QUOTA + 1);
  await choose(path);
  await page.waitForSelector(".uppy-StatusBar.is-error");
  const message = await page.textContent(".uppy-Informer");
  assert.deepEqual(requests.map((response) => response.status()), [413]);
  assert.match(message, /large\.bin/);
  const [details] = await Promise.all([
    page.waitForEvent("dialog").then(async (dialog) => {
      await dialog.dismiss();
      return dialog.message();
    }),
    page.click(".uppy-StatusBar-details"),
  ]);
  assert.match(details, /413.*quota/s);
});
