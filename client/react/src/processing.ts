// What the service still makes of a file: the video that every browser can play.

"use client";

import type { UserFile } from "@jam-storage/client";
import { useEffect } from "react";
import { refreshFile } from "./cache.js";
import { useStorageContext } from "./provider.js";

/** How often files are fetched again while derivatives of them are made. */
const ASK_MS = 3_000;
/** Files that are asked for at once; the others follow. */
const ASKED_MAX = 10;

/** How far the video is that is made of a file, in words; null when nothing is made. */
export function processingOf({ derivatives }: UserFile): string | null {
  const video = derivatives.find(({ kind }) => kind === "playback");
  if (video === undefined || video.state === "ready") return null;
  if (video.state === "failed") return "Not converted";
  return video.progress === null ? "Waits to be converted" : `Converting · ${video.progress} %`;
}

/** Keeps what is shown of files up to date while something is made of them. */
export function useProcessing(files: readonly UserFile[]): void {
  const storage = useStorageContext();
  useEffect(() => {
    const pending = files.filter(isPending).slice(0, ASKED_MAX);
    if (pending.length === 0) return;
    const timer = setInterval(() => {
      // What cannot be asked for now is asked for the next time.
      for (const file of pending) refreshFile(storage, file).catch(() => {});
    }, ASK_MS);
    return () => clearInterval(timer);
  }, [files, storage]);
}

function isPending({ derivatives }: UserFile): boolean {
  return derivatives.some(({ kind, state }) => kind === "playback" && state === "pending");
}
