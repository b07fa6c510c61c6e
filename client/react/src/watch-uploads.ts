// Tells what became of files that were sent together.

"use client";

import { JamError, type UserFile } from "@jam-storage/client";
import type { UploadItem, UploadQueue } from "@jam-storage/client/upload";
import type { FileError } from "./file-error.js";

/** Called when uploads are settled. */
export interface UploadListeners {
  onUploaded(files: UserFile[]): void;
  onError(errors: FileError[]): void;
}

/**
 * Calls the listeners once all files of these additions are settled, and again when a retry settles some of them again.
 * Ends when none of them can change any more.
 */
export function watchUploads(
  queue: UploadQueue,
  additions: readonly Promise<string[]>[],
  { onUploaded, onError }: UploadListeners,
): void {
  const known = new Map<string, UploadItem>();
  const reported = new Map<string, UploadItem["state"]>();
  let ids: ReadonlySet<string> | null = null;

  const look = () => {
    if (ids === null) return;
    const present = new Map(queue.snapshot().items.map((item) => [item.id, item]));
    for (const id of ids) {
      const item = present.get(id);
      if (item !== undefined) known.set(id, item);
    }
    // An addition is in the snapshot a moment later; from then on, what is missing was put away.
    if (known.size < ids.size) return;
    const items = [...known.values()];
    const isOpen = (item: UploadItem) => present.has(item.id) && !SETTLED.has(item.state);
    if (items.some(isOpen)) return;
    const news = items.filter((item) => reported.get(item.id) !== item.state);
    for (const item of news) reported.set(item.id, item.state);
    const stored = news.flatMap(({ state, file }) => (state === "done" && file !== null ? [file] : []));
    const errors = news.flatMap(({ state, name, error }) =>
      state === "failed" && error instanceof JamError ? [{ name, error }] : [],
    );
    if (!items.some(({ id, state }) => present.has(id) && state === "failed")) stop();
    if (stored.length > 0) onUploaded(stored);
    if (errors.length > 0) onError(errors);
  };
  const stop = queue.subscribe(look);
  void Promise.all(additions).then((added) => {
    ids = new Set(added.flat());
    look();
  });
}

const SETTLED: ReadonlySet<UploadItem["state"]> = new Set(["done", "failed", "cancelled"]);
