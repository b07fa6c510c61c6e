// Videos that ffmpeg makes; without it, the tests that need them are skipped.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { file } from "./media.js";

export const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;

/** Twenty seconds of video with a tone, encoded as ffmpeg's arguments say. */
export function video(name: string, codecs: string[]): File {
  const folder = mkdtempSync(join(tmpdir(), "jam-video-"));
  const frames = ["-f", "lavfi", "-i", "testsrc=size=640x360:rate=25:duration=20"];
  const tone = ["-f", "lavfi", "-i", "sine=frequency=330:duration=20"];
  const path = join(folder, name);
  execFileSync("ffmpeg", ["-v", "error", ...frames, ...tone, "-pix_fmt", "yuv420p", ...codecs, path]);
  const bytes = readFileSync(path);
  rmSync(folder, { recursive: true });
  return file(name, bytes);
}
