// Where in the app a person is, kept in the address so that it can be gone back to and shared.

import type { AssetCategory, FileQuery, FileType } from "@jam-storage/client";
import { useMemo, useSyncExternalStore } from "react";

export type View = "library" | "favorites" | "trash" | "admin";

/** The address, understood. */
export interface Place {
  view: View;
  type: FileType | null;
  category: AssetCategory | null;
  package: string | null;
  tag: string | null;
  q: string;
  sort: Sort;
  /** The user whose files an administrator looks at. */
  user: string | null;
}

/** Orders with their words. */
export const SORTS = {
  newest: ["Newest first", "upload_date", "DESC"],
  oldest: ["Oldest first", "upload_date", "ASC"],
  name: ["Name, A to Z", "original_name", "ASC"],
  nameDown: ["Name, Z to A", "original_name", "DESC"],
  largest: ["Largest first", "file_size", "DESC"],
  longest: ["Longest first", "duration", "DESC"],
} as const;
export type Sort = keyof typeof SORTS;

const EMPTY: Place = {
  view: "library",
  type: null,
  category: null,
  package: null,
  tag: null,
  q: "",
  sort: "newest",
  user: null,
};

const CHANGED = "jam-place";

/** The place, and how to go to another: a change of the view is a step back for the Back button, a filter is not. */
export function usePlace(): readonly [Place, (change: Partial<Place>) => void] {
  const search = useSyncExternalStore(listen, () => location.search);
  const place = useMemo(() => parse(search), [search]);
  return [place, (change) => go({ ...place, ...change })];
}

/** The same place without its filters. */
export function withoutFilters({ view, sort, user }: Place): Place {
  return { ...EMPTY, view, sort, user };
}

/** Whether anything is filtered. */
export function isFiltered({ type, category, package: pack, tag, q }: Place): boolean {
  return type !== null || category !== null || pack !== null || tag !== null || q !== "";
}

/** What to ask the service for. */
export function queryOf(place: Place): FileQuery {
  const [, sortBy, sortOrder] = SORTS[place.sort];
  return {
    type: place.type ?? undefined,
    assetCategory: place.category ?? undefined,
    package: place.package ?? undefined,
    tags: place.tag === null ? undefined : [place.tag],
    q: place.q === "" ? undefined : place.q,
    favorite: place.view === "favorites" ? true : undefined,
    trash: place.view === "trash" ? true : undefined,
    sortBy,
    sortOrder,
  };
}

function parse(search: string): Place {
  const place: Record<string, string | null> = { ...EMPTY };
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in EMPTY && value !== "") place[name] = value;
  }
  if (!((place.sort ?? "") in SORTS)) place.sort = EMPTY.sort;
  return place as unknown as Place;
}

function go(place: Place): void {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(place)) {
    if (value !== null && value !== EMPTY[name as keyof Place]) parameters.set(name, value);
  }
  const text = parameters.toString();
  const address = text === "" ? location.pathname : `?${text}`;
  const here = parse(location.search);
  const isStep = here.view !== place.view || here.user !== place.user;
  history[isStep ? "pushState" : "replaceState"](null, "", address);
  window.dispatchEvent(new Event(CHANGED));
}

function listen(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  window.addEventListener(CHANGED, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(CHANGED, listener);
  };
}
