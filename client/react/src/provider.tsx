// What every hook and component shares: the client, the answers it got, the files on their way.

"use client";

import type { JamClient } from "@jam-storage/client";
import { UploadQueue } from "@jam-storage/client/upload";
import { QueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { mergeUploads } from "./cache.js";

/** What the components work with. */
export interface Storage {
  readonly client: JamClient;
  readonly queries: QueryClient;
  readonly uploads: UploadQueue;
}

export interface StorageProviderProps {
  client: JamClient;
  /** Files that are sent at once; 3 without it. */
  concurrency?: number;
  /** Hashes large files first, and does not send those whose content the user has stored already. */
  instant?: boolean;
  children: ReactNode;
}

const Context = createContext<Storage | null>(null);

/** Cached answers are shown at once, and fetched again when a view of them opens a minute later. */
const FRESH_MS = 60_000;

/** New files are looked for at most this often while uploads finish one after another. */
const MERGE_MS = 400;

/** Goes around everything that shows or changes files. */
export function StorageProvider({ client, concurrency, instant, children }: StorageProviderProps) {
  const [storage] = useState<Storage>(() => ({
    client,
    queries: makeQueries(),
    uploads: new UploadQueue(client, { concurrency, instant }),
  }));
  useEffect(() => {
    // Without an answer there is nothing to show; files that are added again go on all the same.
    storage.uploads.findUnfinished().catch(() => {});
    return showFinishedUploads(storage);
  }, [storage]);
  return <Context value={storage}>{children}</Context>;
}

/** The storage of the nearest `StorageProvider`. */
export function useStorageContext(): Storage {
  const storage = useContext(Context);
  if (storage === null) throw new Error("This component needs a <StorageProvider> around it.");
  return storage;
}

function makeQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: FRESH_MS,
        gcTime: FRESH_MS,
        // The client repeats what is worth repeating.
        retry: false,
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
      },
    },
  });
}

function showFinishedUploads(storage: Storage): () => void {
  let shown = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const stop = storage.uploads.subscribe(() => {
    const { done } = storage.uploads.snapshot();
    if (done > shown) {
      timer ??= setTimeout(() => {
        timer = null;
        void mergeUploads(storage);
      }, MERGE_MS);
    }
    shown = done;
  });
  return () => {
    stop();
    if (timer !== null) clearTimeout(timer);
  };
}
