// The READMEs' first examples, word for word, in fresh Vite, Next and Astro applications: type-checked, built, served and
// used in a browser. The page signs in as the example says, by `window.Clerk`; the service's address leads to the tests'.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from "vitest";
import { browserPath, useBrowser } from "../src/browser.js";
import { Frameworks } from "../src/frameworks.js";
import { png } from "../src/media.js";
import { tokenOf } from "../src/people.js";

/** What the READMEs call the service. */
const ADDRESS = "https://files.example.com";

const folder = mkdtempSync(join(tmpdir(), "jam-frameworks-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(browserPath === undefined)("the READMEs' first examples", { timeout: 240_000 }, () => {
  const browser = useBrowser();
  let frameworks: Frameworks;

  beforeAll(() => {
    frameworks = new Frameworks(folder);
    frameworks.write("vite/src/media.tsx", exampleOf("react", "tsx"));
    frameworks.write("vite/src/client.ts", exampleOf("sdk", "ts"));
    frameworks.write("astro/src/media.tsx", exampleOf("react", "tsx"));
    frameworks.write("next/app/media.tsx", `"use client";\n${exampleOf("react", "tsx")}`);
  }, 240_000);

  test("work in Vite", async () => {
    frameworks.tool("tsc", "--project", "vite");
    frameworks.tool("vite", "build", "vite");
    const page = await open("vite", ["preview", "vite", "--port", "0"]);
    await uploadsShowsAndOpens(page);
  });

  test("work in Vite without a framework", async () => {
    const page = await open("vite", ["preview", "vite", "--port", "0"], "/client.html");
    await page.getByLabel("File").setInputFiles([image("plain.png")]);
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForFunction(() => {
      const image = document.body.querySelector("img");
      return image?.complete === true && image.naturalWidth > 0;
    });
  });

  test("work in Next", async () => {
    frameworks.tool("next", "build", "next");
    const page = await open("next", ["start", "next", "--port", "0"]);
    await uploadsShowsAndOpens(page);
  });

  test("work in server components of Next", async () => {
    const page = await open("next", ["start", "next", "--port", "0"], "/composed");
    await choose(page, "composed.png");
    await page.getByText("1 file uploaded").waitFor();
  });

  test("work in Astro", async () => {
    frameworks.tool("astro", "build", "--root", "astro");
    const page = await open("astro", ["preview", "--root", "astro", "--port", "0"]);
    await uploadsShowsAndOpens(page);
  });

  /** A page of a served application, on which somebody is signed in. */
  async function open(tool: string, options: string[], path = "/"): Promise<Page> {
    const { address, stop } = await frameworks.serve(tool, options);
    onTestFinished(stop);
    const page = await browser.open();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    onTestFinished(() => expect(complaints).toEqual([]));
    const token = await tokenOf(`user_frameworks_${Date.now()}`);
    await page.addInitScript((token) => {
      Object.assign(window, { Clerk: { session: { getToken: async () => token } } });
    }, token);
    await page.route(`${ADDRESS}/**`, async (route) => {
      const url = route.request().url().replace(ADDRESS, inject("baseUrl"));
      await route.fulfill({ response: await route.fetch({ url }) });
    });
    await page.goto(address + path);
    return page;
  }
});

/** The first example of a package's README. */
function exampleOf(name: string, kind: string): string {
  const readme = readFileSync(new URL(`../../${name}/README.md`, import.meta.url), "utf8");
  const example = readme.match(new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``))?.[1] ?? "";
  expect(example).toContain(`createClient({ baseUrl: "${ADDRESS}" })`);
  return example;
}

function image(name: string) {
  return { name, buffer: png(7), mimeType: "image/png" };
}

/** Chooses a file as a person does, who clicks again on a page that is not yet ready. */
async function choose(page: Page, name: string): Promise<void> {
  const button = page.getByRole("button", { name: "Files", exact: true });
  const click = () => Promise.all([page.waitForEvent("filechooser", { timeout: 1000 }), button.click()]);
  const [chooser] = await vi.waitFor(click, { timeout: 15_000 });
  await chooser.setFiles([image(name)]);
}

async function uploadsShowsAndOpens(page: Page): Promise<void> {
  // The light scheme's colour: the framework's tools have kept `light-dark()`.
  const line = () => getComputedStyle(document.querySelector(".jam-drop") as Element).borderTopColor;
  expect(await page.evaluate(line)).toBe("rgb(201, 193, 189)");
  await choose(page, "first.png");
  await page.getByRole("button", { name: /^Upload 1 file/ }).click();
  const card = page.getByRole("grid", { name: "Images" }).getByText("first.png");
  await card.waitFor();
  await card.click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  expect(await dialog.textContent()).toContain("first.png");
  await page.waitForFunction(() => {
    const shown = document.querySelector<HTMLImageElement>("[role=dialog] img, dialog img");
    return shown?.complete === true && shown.naturalWidth > 0;
  });
}
