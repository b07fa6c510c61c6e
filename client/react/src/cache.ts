// The answers that pages show: where they are kept, and how a change of one file reaches every list that shows it.

"use client";

import type { FileList, FileQuery, JamClient, UserFile } from "@jam-storage/client";
import type { InfiniteData, QueryClient, QueryState } from "@tanstack/react-query";
import { belongs } from "./filters.js";

/** Keys of the cache. */
export const keys = {
  files: ["jam", "files"] as const,
  list: (query: FileQuery, userId: string | undefined) => ["jam", "files", query, userId ?? null] as const,
  storage: ["jam", "storage"] as const,
  users: ["jam", "users"] as const,
  stats: ["jam", "stats"] as const,
};

/** Pages of a list, as the cache keeps them. */
export type Pages = InfiniteData<FileList, string | undefined>;

/** Files that are asked for at once. */
export const PAGE_FILES = 100;

interface Source {
  readonly client: JamClient;
  readonly queries: QueryClient;
}

/** Asks for one page of the caller's files, or of another user's. */
export function fetchPage(
  client: JamClient,
  query: FileQuery,
  userId: string | undefined,
  cursor: string | undefined,
  signal?: AbortSignal,
): Promise<FileList> {
  // The total is the same on every page.
  const asked = { limit: PAGE_FILES, ...query, cursor, includeTotal: cursor === undefined };
  return userId === undefined
    ? client.listFiles(asked, { signal })
    : client.listAdminUserFiles(userId, asked, { signal });
}

/**
 * Applies a change to every list: null takes the file out, and so does a change after which it does not belong.
 * Returns whether a list lost a file: only the service knows where it would be put back.
 */
export function changeFiles(queries: QueryClient, change: (file: UserFile) => UserFile | null): boolean {
  let isLost = false;
  for (const list of queries.getQueryCache().findAll({ queryKey: keys.files })) {
    const { isInvalidated, data } = list.state as QueryState<Pages>;
    if (data === undefined) continue;
    const { pages, removed } = changePages(data, list.queryKey[2] as FileQuery, change);
    if (pages === data) continue;
    queries.setQueryData<Pages>(list.queryKey, pages);
    // What a list does not show yet, it still has to ask for.
    if (isInvalidated) list.invalidate();
    isLost ||= removed > 0;
  }
  return isLost;
}

/** Fetches a file again and shows it in every list. */
export async function refreshFile({ client, queries }: Source, file: UserFile): Promise<void> {
  const fresh = await client.getFile(file);
  changeFiles(queries, (shown) => (shown.id === fresh.id ? fresh : shown));
}

function changePages(data: Pages, query: FileQuery, change: (file: UserFile) => UserFile | null) {
  let removed = 0;
  let touched = false;
  const pages = data.pages.map((page) => {
    const files = page.files.flatMap((file) => {
      const changed = change(file);
      if (changed === file) return file;
      touched = true;
      if (changed !== null && belongs(changed, query)) return changed;
      removed += 1;
      return [];
    });
    return { ...page, files };
  });
  if (!touched) return { pages: data, removed };
  return { pages: { ...data, pages: pages.map((page) => lessTotal(page, removed)) }, removed };
}

function lessTotal(page: FileList, removed: number): FileList {
  return typeof page.total === "number" ? { ...page, total: page.total - removed } : page;
}

/** Lists that are not shown are fetched again once they are. */
export function forgetHiddenLists(queries: QueryClient): void {
  void queries.invalidateQueries({ queryKey: keys.files, refetchType: "none", type: "inactive" });
}

/** Shows new files in the lists that are open, without moving what is there. */
export async function mergeUploads({ client, queries }: Source): Promise<void> {
  forgetHiddenLists(queries);
  void queries.invalidateQueries({ queryKey: keys.storage });
  const open = queries.getQueryCache().findAll({ queryKey: keys.files, type: "active" });
  await Promise.all(
    open.map(async ({ queryKey }) => {
      const [, , query, userId] = queryKey as ReturnType<typeof keys.list>;
      const first = await fetchPage(client, query, userId ?? undefined, undefined).catch(() => null);
      if (first !== null) queries.setQueryData<Pages>(queryKey, (data) => data && mergeFirst(data, first));
    }),
  );
}

/** Files that the new first page pushed off its end follow it. */
export function mergeFirst(data: Pages, first: FileList): Pages {
  const [old, ...rest] = data.pages;
  if (old === undefined) return data;
  const known = new Set(first.files.map((file) => file.id));
  const pushedOff = old.files.filter((file) => !known.has(file.id));
  const later = rest.map((page) => ({ ...page, files: page.files.filter((file) => !known.has(file.id)) }));
  const merged = { ...old, files: [...first.files, ...pushedOff], total: first.total ?? null };
  return { ...data, pages: [merged, ...later] };
}
