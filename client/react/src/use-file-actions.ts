// Changes of files: shown at once, taken back when the service refuses.

"use client";

import type { BatchAction, BatchResult, FilePatch, UserFile } from "@jam-storage/client";
import { useMemo } from "react";
import { changeFiles, forgetHiddenLists, keys, refreshFile } from "./cache.js";
import { type Storage, useStorageContext } from "./provider.js";

/** What can be done to files. Every promise rejects with a `JamError` when the service refuses. */
export interface FileActions {
  setFavorite(file: UserFile, favorite: boolean): Promise<void>;
  setTags(file: UserFile, tags: string[]): Promise<void>;
  patch(file: UserFile, patch: FilePatch): Promise<UserFile>;
  trash(file: UserFile): Promise<void>;
  restore(file: UserFile): Promise<void>;
  /** Removes for good. */
  purge(file: UserFile): Promise<void>;
  emptyTrash(): Promise<number>;
  /** Does one thing to many files; results of those that failed. */
  batch(
    action: BatchAction,
    files: readonly UserFile[],
    more?: { tags?: string[]; packageName?: string | null },
  ): Promise<BatchResult[]>;
  /** Fetches a file again, because its signed URLs have expired or its thumbnail is made by now. */
  refresh(file: UserFile): Promise<void>;
}

/** Actions whose results every list shows. */
export function useFileActions(): FileActions {
  const storage = useStorageContext();
  return useMemo(() => makeActions(storage), [storage]);
}

function makeActions(storage: Storage): FileActions {
  const { client, queries } = storage;
  const show = (shown: UserFile) => changeFiles(queries, (file) => (file.id === shown.id ? shown : file));
  const settle = (countsChanged: boolean) => {
    forgetHiddenLists(queries);
    if (countsChanged) void queries.invalidateQueries({ queryKey: keys.storage });
  };

  /** Shows `expected` until the service has answered. */
  async function change(file: UserFile, expected: Partial<UserFile>, send: () => Promise<UserFile>) {
    const isLost = show({ ...file, ...expected });
    try {
      const changed = await send();
      show(changed);
      settle("deletedAt" in expected || "fileType" in expected);
      return changed;
    } catch (error) {
      show(file);
      // A list that took the file out has to ask where it was.
      if (isLost) void queries.invalidateQueries({ queryKey: keys.files });
      throw error;
    }
  }

  return {
    async setFavorite(file, isFavorite) {
      await change(file, { isFavorite }, () => client.toggleFavorite(file, isFavorite));
    },
    async setTags(file, tags) {
      await change(file, { tags }, () => client.updateFileTags(file, tags));
    },
    patch: (file, patch) => change(file, {}, () => client.patchFile(file, patch)),
    async trash(file) {
      await change(file, { deletedAt: file.updatedAt }, () => client.deleteFile(file));
    },
    async restore(file) {
      await change(file, { deletedAt: null }, () => client.restoreFile(file));
    },
    async purge(file) {
      await client.deleteFile(file, { permanent: true });
      changeFiles(queries, (shown) => (shown.id === file.id ? null : shown));
      settle(true);
    },
    async emptyTrash() {
      const count = await client.emptyTrash();
      changeFiles(queries, (file) => (file.deletedAt === null ? file : null));
      settle(true);
      return count;
    },
    async batch(action, files, more = {}) {
      const results = await client.batch(action, files, more);
      const done = new Set(results.filter((result) => result.success).map((result) => result.id));
      changeFiles(queries, (file) => (done.has(file.id) ? afterBatch(file, action, more) : file));
      settle(true);
      return results.filter((result) => !result.success);
    },
    refresh: (file) => refreshFile(storage, file),
  };
}

function afterBatch(
  file: UserFile,
  action: BatchAction,
  { tags = [], packageName = null }: { tags?: string[]; packageName?: string | null },
): UserFile | null {
  switch (action) {
    case "delete":
      return { ...file, deletedAt: file.updatedAt };
    case "restore":
      return { ...file, deletedAt: null };
    case "purge":
      return null;
    case "favorite":
    case "unfavorite":
      return { ...file, isFavorite: action === "favorite" };
    case "tag":
      return { ...file, tags: [...new Set([...file.tags, ...tags])] };
    case "untag":
      return { ...file, tags: file.tags.filter((tag) => !tags.includes(tag)) };
    case "move":
      return { ...file, packageName };
  }
}
