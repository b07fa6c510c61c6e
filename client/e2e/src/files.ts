// Files on the disk, for browsers that are given paths.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A folder with these files, which goes with the test. */
export function folderOf(files: Record<string, Buffer>): string {
  const folder = mkdtempSync(join(tmpdir(), "jam-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return folder;
}
