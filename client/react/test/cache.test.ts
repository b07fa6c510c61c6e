// How changes reach the lists that pages show.

import type { FileList, UserFile } from "@jam-storage/client";
import { QueryClient } from "@tanstack/react-query";
import { expect, test } from "vitest";
import { changeFiles, keys, mergeFirst, type Pages } from "../src/cache.js";

function file(id: string, change: Partial<UserFile> = {}): UserFile {
  return { id, originalName: id, isFavorite: false, deletedAt: null, tags: [], ...change } as UserFile;
}

function page(ids: string[], total: number | null = null): FileList {
  return { success: true, files: ids.map((id) => file(id)), count: ids.length, nextCursor: null, total };
}

const pagesOf = (...pages: FileList[]): Pages => ({ pages, pageParams: pages.map(() => undefined) });
const ids = (data: Pages | undefined) => data?.pages.map(({ files }) => files.map(({ id }) => id));

test("new files come first, and what they push off the first page stays in its place", () => {
  const merged = mergeFirst(pagesOf(page(["c", "b"], 4), page(["a", "z"])), page(["d", "c"], 5));
  expect(ids(merged)).toEqual([
    ["d", "c", "b"],
    ["a", "z"],
  ]);
  expect(merged.pages[0]?.total).toBe(5);
});

test("a file that is on the new first page is on no other", () => {
  const merged = mergeFirst(pagesOf(page(["b"]), page(["a"])), page(["a", "b"]));
  expect(ids(merged)).toEqual([["a", "b"], []]);
});

test("a change reaches every list, and takes the file out of those to which it does not belong any more", () => {
  const queries = new QueryClient();
  const all = keys.list({}, undefined);
  const favorites = keys.list({ favorite: true }, undefined);
  queries.setQueryData(all, pagesOf(page(["a", "b"], 2)));
  queries.setQueryData(favorites, pagesOf({ ...page([], 1), files: [file("a", { isFavorite: true })] }));
  changeFiles(queries, (shown) => (shown.id === "a" ? file("a", { originalName: "new" }) : shown));
  expect(queries.getQueryData<Pages>(all)?.pages[0]?.files[0]?.originalName).toBe("new");
  expect(queries.getQueryData<Pages>(favorites)?.pages[0]).toMatchObject({ files: [], total: 0 });
});

test("a list that a change does not concern stays the same object, so that nothing is drawn again", () => {
  const queries = new QueryClient();
  queries.setQueryData(keys.list({}, undefined), pagesOf(page(["a"])));
  const before = queries.getQueryData(keys.list({}, undefined));
  changeFiles(queries, (shown) => shown);
  expect(queries.getQueryData(keys.list({}, undefined))).toBe(before);
});
