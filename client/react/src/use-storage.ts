// What is stored and what is on its way.

"use client";

import type { JamError, Stats, StorageInfo, UserView } from "@jam-storage/client";
import type { UploadProgress, UploadQueue } from "@jam-storage/client/upload";
import { useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { keys } from "./cache.js";
import { useStorageContext } from "./provider.js";

/** An answer that may still be on its way. */
export interface Answer<Value> {
  value: Value | null;
  error: JamError | null;
  reload(): void;
}

/** What the caller stores and may store. */
export function useStorageUsage(): Answer<StorageInfo> {
  const { client } = useStorageContext();
  return useAnswer(keys.storage, (signal) => client.getStorageUsage({ signal }));
}

/** Every user with what they store, for administrators. */
export function useUsers(): Answer<UserView[]> {
  const { client } = useStorageContext();
  return useAnswer(keys.users, (signal) => client.getClerkUsers({ signal }));
}

/** Sums over all users, for administrators. */
export function useStats(): Answer<Stats> {
  const { client } = useStorageContext();
  return useAnswer(keys.stats, (signal) => client.getStats({ signal }));
}

/** Files on their way, and the queue that sends them. */
export function useUploads(): UploadProgress & { queue: UploadQueue } {
  const { uploads } = useStorageContext();
  const progress = useSyncExternalStore(uploads.subscribe, uploads.snapshot, uploads.snapshot);
  return { ...progress, queue: uploads };
}

function useAnswer<Value>(
  queryKey: readonly string[],
  ask: (signal: AbortSignal) => Promise<Value>,
): Answer<Value> {
  const { queries } = useStorageContext();
  const { data, error, refetch } = useQuery({ queryKey, queryFn: ({ signal }) => ask(signal) }, queries);
  return { value: data ?? null, error: error as JamError | null, reload: () => void refetch() };
}
