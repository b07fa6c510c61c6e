// Chromium, and a page of it with somebody signed in.

import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, inject, onTestFinished } from "vitest";
import chromiumFlags from "../chromium-flags.json" with { type: "json" };
import type { Person } from "./people.js";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
/** Whether there is a browser: without one, the tests that need it are skipped. */
export const browserPath = process.env.CHROMIUM ?? PLACES.find((path) => existsSync(path));

/** A browser for all tests of a file. */
export function useBrowser() {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: String(browserPath), args: chromiumFlags });
  });
  afterAll(() => browser.close());

  return {
    /** A page that was never here before. */
    async open(options: BrowserContextOptions = {}): Promise<Page> {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 800 },
        reducedMotion: "reduce",
        baseURL: inject("baseUrl"),
        ...options,
      });
      onTestFinished(() => context.close());
      const page = await context.newPage();
      page.on("pageerror", (error) => {
        throw error;
      });
      return page;
    },
    /** A page on which somebody is signed in, at an address of the dashboard. */
    async signedIn({ user, admin }: Person, address = "/", options: BrowserContextOptions = {}) {
      const page = await this.open(options);
      await page.addInitScript(
        (remembered) => localStorage.setItem("jam-local-user", remembered),
        JSON.stringify({ user, admin }),
      );
      await page.goto(address);
      await page.getByRole("heading", { level: 1 }).waitFor();
      return page;
    },
  };
}

/** Lets a page send no faster than this. */
export async function slowDown(page: Page, bytesPerSecond: number): Promise<void> {
  const network = await page.context().newCDPSession(page);
  const limits = { offline: false, latency: 20, downloadThroughput: -1, uploadThroughput: bytesPerSecond };
  await network.send("Network.emulateNetworkConditions", limits);
}
