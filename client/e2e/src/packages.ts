// The packages as npm would publish them.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const CLIENT = fileURLToPath(new URL("../../", import.meta.url));

/** A tarball below `folder`, made as `npm publish` would make it, and the paths in it. */
export interface Packed {
  name: string;
  tarball: string;
  paths: string[];
}

/** Packs the packages that are published. Their builds run before, as part of it. */
export function pack(folder: string): Packed[] {
  const places = ["sdk", "react"].flatMap((place) => ["--workspace", place]);
  const output = execFileSync(
    "npm",
    ["pack", "--json", "--silent", "--pack-destination", folder, ...places],
    {
      cwd: CLIENT,
      encoding: "utf8",
    },
  );
  // The builds' own lines come before.
  const answer = JSON.parse(output.slice(output.search(/^[[{]$/m))) as
    | PackAnswer[]
    | Record<string, PackAnswer>;
  return Object.values(answer).map(({ name, filename, files }) => {
    return { name, tarball: join(folder, filename), paths: files.map(({ path }) => path) };
  });
}

interface PackAnswer {
  name: string;
  filename: string;
  files: { path: string }[];
}
