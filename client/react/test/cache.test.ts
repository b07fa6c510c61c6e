// How changes reach the lists that pages show.

import type { FileList, FileQuery, UserFile } from "@jam-storage/client";
import { QueryClient } from "@tanstack/react-query";
import { expect, test } from "vitest";
import { changeFiles, forgetHiddenLists, keys, mergeFirst, type Pages } from "../src/cache.js";
import { belongs, type FilterName } from "../src/filters.js";

function file(id: string, change: Partial<UserFile> = {}): UserFile {
  const lists = { tags: [], usageTags: [], characterNames: [] };
  return { id, originalName: id, isFavorite: false, deletedAt: null, ...lists, ...change } as UserFile;
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

test("a hidden list that has to be fetched again still has to after a change of its files", () => {
  const queries = new QueryClient();
  const key = keys.list({}, undefined);
  queries.setQueryData(key, pagesOf(page(["a"])));
  forgetHiddenLists(queries);
  changeFiles(queries, (shown) => shown);
  expect(queries.getQueryState(key)?.isInvalidated).toBe(true);
  changeFiles(queries, (shown) => ({ ...shown, isFavorite: true }));
  expect(queries.getQueryData<Pages>(key)?.pages[0]?.files[0]?.isFavorite).toBe(true);
  expect(queries.getQueryState(key)?.isInvalidated).toBe(true);
});

interface Case {
  query: FileQuery;
  found: Partial<UserFile>;
  /** A change of such a file after which the query does not find it any more. */
  lost: Partial<UserFile>;
}

/** One for every filter: without it this file does not compile. */
const FILTERS: { [Name in FilterName]: Case } = {
  type: { query: { type: "image" }, found: { fileType: "image" }, lost: { fileType: "scene" } },
  favorite: { query: { favorite: false }, found: { isFavorite: false }, lost: { isFavorite: true } },
  package: { query: { package: "Spring" }, found: { packageName: "Spring" }, lost: { packageName: null } },
  tags: { query: { tags: ["sea", "sun"] }, found: { tags: ["sun", "x"] }, lost: { tags: ["x", "Sea"] } },
  assetCategory: {
    query: { assetCategory: "clip" },
    found: { assetCategory: "clip" },
    lost: { assetCategory: "template" },
  },
  usageTags: { query: { usageTags: ["intro"] }, found: { usageTags: ["intro"] }, lost: { usageTags: [] } },
  audioCategory: {
    query: { audioCategory: "jingle" },
    found: { audioCategory: "jingle" },
    lost: { audioCategory: null },
  },
  characterNames: {
    query: { characterNames: ["Ada", "Bo"] },
    found: { characterNames: ["Bo"] },
    lost: { characterNames: ["Cy"] },
  },
  minWidth: { query: { minWidth: 800 }, found: { width: 800 }, lost: { width: 799 } },
  q: { query: { q: "100%" }, found: { originalName: "At 100%.png" }, lost: { originalName: "At 1000.png" } },
  trash: {
    query: { trash: true },
    found: { deletedAt: "2026-01-01T00:00:00Z" },
    lost: { deletedAt: null },
  },
};

test.each(Object.entries(FILTERS))(
  "a file that the filter %s does not find any more leaves the list",
  (_name, { query, found, lost }) => {
    const queries = new QueryClient();
    const key = keys.list(query, undefined);
    queries.setQueryData(key, pagesOf({ ...page([], 2), files: [file("a", found), file("b", found)] }));
    changeFiles(queries, (shown) => ({ ...shown, thumbhash: "made" }));
    expect(ids(queries.getQueryData<Pages>(key))).toEqual([["a", "b"]]);
    changeFiles(queries, (shown) => (shown.id === "a" ? { ...shown, ...lost } : shown));
    expect(ids(queries.getQueryData<Pages>(key))).toEqual([["b"]]);
    expect(queries.getQueryData<Pages>(key)?.pages[0]?.total).toBe(1);
  },
);

test("a list without filters keeps a file whatever it becomes, except when it goes to the trash", () => {
  for (const [name, { found, lost }] of Object.entries(FILTERS)) {
    if (name === "trash") continue;
    for (const change of [found, lost]) expect(belongs(file("a", change), {}), name).toBe(true);
  }
  expect(belongs(file("a", { deletedAt: "2026-01-01T00:00:00Z" }), {})).toBe(false);
});

test("a parameter that is not sent, or says which page in which order, takes no file out", () => {
  const unset = { type: undefined, package: "", q: "", tags: [], usageTags: [" "], trash: undefined };
  const paging = { limit: 1, offset: 9, cursor: "x", sortBy: "name", sortOrder: "ASC", includeTotal: true };
  expect(belongs(file("a"), { ...unset, ...paging } as FileQuery)).toBe(true);
});

test("all filters of a query must find a file", () => {
  const query: FileQuery = { type: "image", tags: ["sea"], q: "beach" };
  const found: Partial<UserFile> = { fileType: "image", tags: ["sea"], originalName: "Beach.png" };
  expect(belongs(file("a", found), query)).toBe(true);
  for (const name of ["type", "tags", "q"] as const)
    expect(belongs(file("a", { ...found, ...FILTERS[name].lost }), query), name).toBe(false);
});

test("texts are compared as the service reads them", () => {
  const stored = file("a", {
    originalName: "CAF\u00c9.png",
    packageName: "caf\u00e9",
    tags: ["caf\u00e9", "x,b"],
  });
  for (const query of [
    { q: "cafe\u0301" },
    { package: "cafe\u0301" },
    { tags: [" cafe\u0301 "] },
    { tags: ["x,b"] },
  ])
    expect(belongs(stored, query), JSON.stringify(query)).toBe(true);
  expect(belongs(stored, { package: "CAF\u00c9" })).toBe(false);
  expect(belongs(stored, { tags: ["x", "b"] }), "a comma is part of a label").toBe(false);
});
