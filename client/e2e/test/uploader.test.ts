// `FileUploader` as an application uses it: which files it accepts, and what its listeners receive.

import { fileURLToPath } from "node:url";
import { build, type OutputFile } from "esbuild";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, inject, test } from "vitest";
import { browserPath, useBrowser } from "../src/browser.js";
import { bigPng, png } from "../src/media.js";
import { tokenOf } from "../src/people.js";

const FOREIGN = "http://app.example";

describe.skipIf(browserPath === undefined)("the uploader", () => {
  const browser = useBrowser();
  let scripts: OutputFile[];

  beforeAll(async () => {
    const bundle = await build({
      entryPoints: [fileURLToPath(new URL("../src/uploader-page.tsx", import.meta.url))],
      bundle: true,
      splitting: true,
      write: false,
      outdir: "out",
      format: "esm",
      jsx: "automatic",
      define: { "process.env.NODE_ENV": '"production"' },
    });
    scripts = bundle.outputFiles;
  });

  /** The page at an origin, and the names of the scripts that it loaded. */
  async function open(origin: string, query: Record<string, string>) {
    const page = await browser.open();
    const loaded: string[] = [];
    await page.route(`${origin}/app/**`, (route) => {
      const name = new URL(route.request().url()).pathname.slice("/app/".length);
      const script = scripts.find(({ path }) => path.endsWith(`/${name}`));
      if (script === undefined) {
        const body = `<!doctype html><title></title><div id="root"></div><script type="module" src="/app/uploader-page.js"></script>`;
        return route.fulfill({ contentType: "text/html", body });
      }
      loaded.push(name);
      return route.fulfill({ contentType: "text/javascript", body: script.text });
    });
    await page.goto(`${origin}/app/?${new URLSearchParams(query)}`);
    return { page, loaded };
  }

  const choose = (page: Page, ...files: [string, Buffer][]) =>
    page
      .getByLabel("Files to upload")
      .setInputFiles(files.map(([name, buffer]) => ({ name, buffer, mimeType: "" })));

  test("takes what its rules allow, says what it refused, and tells what is stored", async () => {
    const token = await tokenOf("user_uploader");
    const { page } = await open(inject("baseUrl"), { token });
    await choose(
      page,
      ["a.txt", Buffer.from("a")],
      ["b.zip", Buffer.from("b")],
      ["big.txt", bigPng(1, 200_000)],
      ["c.txt", Buffer.from("c")],
      ["d.txt", Buffer.from("d")],
    );
    await expect
      .poll(() => page.title())
      .toBe("refused b.zip type_refused,big.txt file_too_large,d.txt too_many_files;stored a.txt,c.txt;");
    const said = await page.getByRole("alert").textContent();
    expect(said).toContain("d.txt: At most 2 files can be sent at once.");
    await choose(page, ["e.png", png(1)]);
    await expect.poll(() => page.title()).toContain("stored e.png;");
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  test("takes nothing while it is disabled", async () => {
    const { page } = await open(inject("baseUrl"), { token: await tokenOf("user_disabled"), disabled: "" });
    await expect.poll(() => page.getByRole("button", { name: "Files", exact: true }).isDisabled()).toBe(true);
    expect(await page.getByLabel("Files to upload").isDisabled()).toBe(true);
  });

  test("loads what sends files when the first upload starts", async () => {
    const { page, loaded } = await open(inject("baseUrl"), { token: await tokenOf("user_lazy") });
    await page.getByRole("button", { name: "Files", exact: true }).waitFor();
    const before = loaded.map((name) => scripts.find(({ path }) => path.endsWith(`/${name}`))?.text ?? "");
    expect(before.join("")).not.toContain("DetailedError");
    await choose(page, ["a.txt", Buffer.from("a")]);
    await expect.poll(() => page.title()).toContain("stored a.txt;");
    const after = loaded.map((name) => scripts.find(({ path }) => path.endsWith(`/${name}`))?.text ?? "");
    expect(after.join("")).toContain("DetailedError");
  });

  test("says on a page of another origin that the service may not allow it", async () => {
    const { page } = await open(FOREIGN, { token: "none", service: inject("baseUrl") });
    await choose(page, ["a.txt", Buffer.from("a")]);
    await expect.poll(() => page.title(), { timeout: 60_000 }).toBe("refused a.txt network_error;");
    const text = await page.locator(".jam-uploads").textContent();
    expect(text).toContain(`may not allow this page's origin, ${FOREIGN}.`);
  });
});
