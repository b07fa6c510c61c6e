// Videos that browsers cannot stream, played by one.

import { describe, expect, test } from "vitest";
import { browserPath, useBrowser } from "../../src/browser.js";
import { person } from "../../src/people.js";
import { hasFfmpeg, video } from "../../src/videos.js";

const VIDEOS: [string, string[]][] = [
  ["index-at-the-end.mp4", ["-c:v", "libx264", "-c:a", "aac"]],
  ["another-container.mkv", ["-c:v", "libx264", "-c:a", "ac3"]],
  ["another-codec.avi", ["-c:v", "mpeg4", "-c:a", "libmp3lame"]],
];

describe.skipIf(browserPath === undefined || !hasFfmpeg)("a video that browsers cannot stream", () => {
  const browser = useBrowser();

  test.each(VIDEOS)("%s plays, and can be seeked, once it is converted", async (name, codecs) => {
    const ann = person("video");
    const stored = (await ann.client.uploadFiles([video(name, codecs)])).files[0];
    if (stored === undefined) throw new Error("Nothing was stored.");
    await expect
      .poll(
        async () => (await ann.client.getDerivatives(stored)).find(({ kind }) => kind === "playback")?.state,
        { timeout: 60_000 },
      )
      .toBe("ready");

    const page = await browser.signedIn(ann);
    await page.getByRole("gridcell", { name }).click();
    const element = page.locator("video");
    await element.waitFor();
    expect(await element.getAttribute("src")).toContain("/playback");
    const played = await element.evaluate(async (node) => {
      const player = node as HTMLVideoElement;
      player.muted = true;
      await player.play();
      const reached = (seconds: number) =>
        new Promise<void>((done) => {
          player.ontimeupdate = () => player.currentTime > seconds && !player.seeking && done();
        });
      await reached(0.2);
      player.currentTime = 15;
      await reached(15.2);
      return { duration: Math.round(player.duration), width: player.videoWidth, error: player.error };
    });
    expect(played).toEqual({ duration: 20, width: 640, error: null });
  });
});
