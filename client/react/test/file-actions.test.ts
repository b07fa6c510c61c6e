// @vitest-environment jsdom
// What lists show of a change until the service has answered, and after it refused.

import { createClient, type JamClient, JamError, type UserFile } from "@jam-storage/client";
import { renderHook, waitFor } from "@testing-library/react";
import { createElement, type ReactNode } from "react";
import { expect, test } from "vitest";
import { keys, type Pages } from "../src/cache.js";
import { StorageProvider, useStorageContext } from "../src/provider.js";
import { useFileActions } from "../src/use-file-actions.js";

const FILE = { id: "a", isFavorite: false, deletedAt: null, tags: ["sea"], derivatives: [] };
const file = FILE as unknown as UserFile;
const tagged = keys.list({ tags: ["sea"] }, undefined);
const all = keys.list({}, undefined);

function useActions() {
  return { actions: useFileActions(), queries: useStorageContext().queries };
}

/** Actions against a service that refuses everything, and two lists that show the file. */
function refused() {
  const refuse = () => Promise.reject(new JamError("No.", { code: "conflict", status: 409 }));
  const client: JamClient = { ...createClient(), updateFileTags: refuse };
  const wrapper = ({ children }: { children: ReactNode }) =>
    createElement(StorageProvider, { client, children });
  const { queries, actions } = renderHook(useActions, { wrapper }).result.current;
  const page = { success: true, files: [file], count: 1, nextCursor: null };
  for (const key of [tagged, all])
    queries.setQueryData<Pages>(key, { pages: [page], pageParams: [undefined] });
  const shown = (key: readonly unknown[]) => queries.getQueryData<Pages>(key)?.pages[0]?.files;
  return { queries, actions, shown };
}

test("a list that lost a file to a change that is refused asks again, the others show it as it was", async () => {
  const { queries, actions, shown } = refused();
  const change = actions.setTags(file, ["sun"]);
  expect(shown(tagged)).toEqual([]);
  expect(shown(all)).toMatchObject([{ tags: ["sun"] }]);
  await expect(change).rejects.toMatchObject({ code: "conflict" });
  expect(shown(all)).toEqual([file]);
  await waitFor(() => expect(queries.getQueryState(tagged)?.isInvalidated).toBe(true));
});

test("no list asks again when a refused change took the file out of none", async () => {
  const { queries, actions, shown } = refused();
  await expect(actions.setTags(file, ["sea", "sun"])).rejects.toMatchObject({ code: "conflict" });
  expect(shown(tagged)).toEqual([file]);
  expect(queries.getQueryState(tagged)?.isInvalidated).toBe(false);
});
