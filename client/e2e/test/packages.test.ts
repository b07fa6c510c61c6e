// What `npm publish` would send from a checkout in which nothing was built.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CLIENT, type Packed, pack } from "../src/packages.js";

const folder = mkdtempSync(join(tmpdir(), "jam-packages-"));
let packed: Packed[] = [];

beforeAll(() => {
  for (const place of ["sdk", "react"]) {
    rmSync(join(CLIENT, place, "dist"), { recursive: true, force: true });
    rmSync(join(CLIENT, place, "LICENSE"), { force: true });
  }
  packed = pack(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const NAMES = ["@jam-storage/client", "@jam-storage/react"];
const tarballOf = (name: string) => packed.find((one) => one.name === name)?.tarball ?? name;

test("a package has its code, its types and its licence", () => {
  expect(packed.map(({ name }) => name).sort()).toEqual(NAMES);
  for (const { paths } of packed) {
    for (const path of ["dist/index.js", "dist/index.d.ts", "LICENSE", "README.md", "CHANGELOG.md"])
      expect(paths).toContain(path);
    expect(paths.filter((path) => /^(src|test)\//.test(path))).toEqual([]);
  }
});

test.each(NAMES)("publint finds nothing in %s", (name) => {
  passes("publint", ["run", tarballOf(name), "--strict"]);
});

// Both are ES modules: what CommonJS and the resolution before `exports` would find is not asked.
test.each(NAMES)("types of %s are found by every resolution", (name) => {
  passes("attw", [tarballOf(name), "--profile", "esm-only"]);
});

/** Runs a tool of this workspace, and shows what it said when it found a fault. */
function passes(tool: string, options: string[]) {
  const path = join(CLIENT, "node_modules/.bin", tool);
  const { status, stdout, stderr } = spawnSync(path, options, { encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
}
