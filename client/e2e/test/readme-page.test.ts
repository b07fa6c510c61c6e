// The first example of the React package's README, word for word but for the address and the token, in a browser: what
// a new user sees first. Its styles go through Lightning CSS, as in Next and newer Vite.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { transform } from "lightningcss";
import { beforeAll, describe, expect, inject, test } from "vitest";
import { browserPath, useBrowser } from "../src/browser.js";
import { png } from "../src/media.js";
import { tokenOf } from "../src/people.js";

const ADDRESS = `createClient({ baseUrl: "https://files.example.com" })`;

describe.skipIf(browserPath === undefined)("the README's first example", () => {
  const browser = useBrowser();
  let script = "";
  let styles = "";

  beforeAll(async () => {
    const readme = readFileSync(new URL("../../react/README.md", import.meta.url), "utf8");
    const example = readme.match(/```tsx\n([\s\S]*?)```/)?.[1] ?? "";
    expect(example).toContain(ADDRESS);
    const here = "createClient({ baseUrl: location.origin, getToken: () => location.hash.slice(1) })";
    const contents = `${example.replace(ADDRESS, here)}
      import { createRoot } from "react-dom/client";
      createRoot(document.getElementById("root")!).render(<Media />);`;
    const bundle = await build({
      stdin: { contents, loader: "tsx", resolveDir: fileURLToPath(new URL("../src", import.meta.url)) },
      bundle: true,
      write: false,
      outdir: "out",
      format: "esm",
      jsx: "automatic",
      define: { "process.env.NODE_ENV": '"production"' },
    });
    script = bundle.outputFiles.find(({ path }) => path.endsWith(".js"))?.text ?? "";
    const css = bundle.outputFiles.find(({ path }) => path.endsWith(".css"));
    const targets = { chrome: 111 << 16, safari: (16 << 16) | (4 << 8) };
    styles = transform({
      filename: "styles.css",
      code: css?.contents ?? new Uint8Array(),
      targets,
    }).code.toString();
    expect(styles).toContain("--lightningcss-light");
  });

  test("uploads an image, shows it in the grid, and opens it", async () => {
    const page = await browser.open();
    const faults: string[] = [];
    page.on("pageerror", (fault) => faults.push(fault.message));
    const origin = inject("baseUrl");
    await page.route(`${origin}/example/**`, (route) => {
      const body = `<!doctype html><title>Example</title><style>${styles}</style><div id="root"></div><script type="module">${script.replaceAll("</script", "<\\/script")}</script>`;
      return route.fulfill({ contentType: "text/html", body });
    });
    await page.goto(`${origin}/example/#${await tokenOf(`user_readme_${Date.now()}`)}`);
    const line = () => getComputedStyle(document.querySelector(".jam-drop") as Element).borderTopColor;
    expect(await page.evaluate(line)).toBe("rgb(201, 193, 189)");
    await page
      .getByLabel("Files to upload")
      .setInputFiles([{ name: "first.png", buffer: png(7), mimeType: "image/png" }]);
    await page.getByRole("button", { name: /^Upload 1 file/ }).click();
    const card = page.getByRole("grid", { name: "Images" }).getByText("first.png");
    await card.waitFor();
    await card.click();
    await page.getByRole("dialog").waitFor();
    expect(await page.getByRole("dialog").textContent()).toContain("first.png");
    expect(faults).toEqual([]);
  });
});
