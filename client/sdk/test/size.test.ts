import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

/** Without the upload engine, which is loaded when it is first used. */
const BUDGET_BYTES = 15 * 1024;

test("the client without the upload engine is at most 15 KB gzipped", async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `export * from "./src/index.ts"`,
      resolveDir: new URL("..", import.meta.url).pathname,
    },
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    outdir: "out",
    write: false,
  });
  const entry = outputFiles.find((file) => file.path.endsWith("stdin.js"));
  const chunks = [...(entry?.text ?? "").matchAll(/from\s?"\.\/(chunk-\w+\.js)"/g)].map(([, name]) => name);
  const first = outputFiles.filter(
    (file) => file === entry || chunks.some((chunk) => file.path.endsWith(String(chunk))),
  );
  const bytes = first.reduce((sum, file) => sum + gzipSync(file.contents).length, 0);
  expect(bytes).toBeGreaterThan(1000);
  expect(bytes).toBeLessThanOrEqual(BUDGET_BYTES);
  console.log(`@jam-storage/client: ${bytes} bytes gzipped`);
});
