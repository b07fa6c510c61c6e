// A list of files that grows as it is scrolled.

"use client";

import type { FileQuery, JamError, UserFile } from "@jam-storage/client";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { fetchPage, keys } from "./cache.js";
import { useProcessing } from "./processing.js";
import { useStorageContext } from "./provider.js";

/** A list as far as it is loaded. */
export interface Files {
  files: readonly UserFile[];
  /** Files that the query finds; null until the first page is here. */
  total: number | null;
  isLoading: boolean;
  isLoadingMore: boolean;
  error: JamError | null;
  hasMore: boolean;
  loadMore(): void;
  reload(): void;
}

/** The caller's files that a query finds, or another user's for administrators. */
export function useFiles(query: FileQuery = {}, { userId }: { userId?: string | undefined } = {}): Files {
  const { client, queries } = useStorageContext();
  const { data, error, isLoading, isFetchingNextPage, hasNextPage, fetchNextPage, refetch } =
    useInfiniteQuery(
      {
        queryKey: keys.list(query, userId),
        queryFn: ({ pageParam, signal }) => fetchPage(client, query, userId, pageParam, signal),
        initialPageParam: undefined as string | undefined,
        getNextPageParam: (page) => page.nextCursor ?? undefined,
      },
      queries,
    );
  const files = useMemo(() => data?.pages.flatMap((page) => page.files) ?? [], [data]);
  useProcessing(files);
  const loadMore = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return {
    files,
    total: data?.pages[0]?.total ?? null,
    isLoading,
    isLoadingMore: isFetchingNextPage,
    error: error as JamError | null,
    hasMore: hasNextPage,
    loadMore,
    reload: () => void refetch(),
  };
}
