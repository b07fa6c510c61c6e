// The built files, as applications get them.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Without react itself. */
const METER_BYTES = 18 * 1024;

test("every built module is one of the client's for React's servers", () => {
  const modules = readdirSync(`${ROOT}dist`, { recursive: true, encoding: "utf8" });
  const scripts = modules.filter((name) => name.endsWith(".js"));
  expect(scripts.length).toBeGreaterThan(10);
  for (const name of scripts) {
    const code = readFileSync(`${ROOT}dist/${name}`, "utf8").replace(/^(\/\/.*\n)*/, "");
    expect(code.startsWith('"use client";'), name).toBe(true);
  }
});

test("a page with the meter alone loads neither what sends files nor what shows them", async () => {
  const { metafile, outputFiles } = await build({
    stdin: {
      contents: `export { StorageMeter, StorageProvider } from "@jam-storage/react"`,
      resolveDir: ROOT,
    },
    bundle: true,
    minify: true,
    splitting: true,
    metafile: true,
    format: "esm",
    platform: "browser",
    external: ["react", "react-dom", "react/jsx-runtime"],
    outdir: "out",
    write: false,
  });
  const names = Object.keys(metafile.outputs);
  const first = new Set(names.filter((name) => metafile.outputs[name]?.entryPoint === "<stdin>"));
  for (const name of first) {
    const { imports = [] } = metafile.outputs[name] ?? {};
    for (const { path, kind } of imports) if (kind === "import-statement") first.add(path);
  }
  const loaded = [...first].flatMap((name) => Object.keys(metafile.outputs[name]?.inputs ?? {}));
  expect(loaded.some((path) => path.includes("sdk/dist/upload/queue"))).toBe(true);
  for (const engine of ["tus-js-client", "hash-wasm", "wavesurfer", "react-zoom-pan-pinch"])
    expect(
      loaded.filter((path) => path.includes(engine)),
      engine,
    ).toEqual([]);
  const bytes = outputFiles
    .filter(({ path }) => [...first].some((name) => path.endsWith(name)))
    .reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
  console.log(`StorageMeter alone: ${bytes} bytes gzipped, without react`);
  expect(bytes).toBeLessThanOrEqual(METER_BYTES);
});
