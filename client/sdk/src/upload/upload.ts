// `client.upload`: files in, stored files and failures out.

import type { JamError } from "../errors.js";
import type { Uploadable, UploadFilesOptions } from "../form.js";
import type { Uploaded, UploadMetadata, UserFile } from "../model.js";
import { isSettled, type UploadItem, type UploadProgress } from "./item.js";
import { isSameFile, markOf, remembered } from "./memory.js";
import { refusalOf, UploadQueue } from "./queue.js";
import type { UploadService } from "./service.js";

export type { UploadProgress } from "./item.js";

/** How files are uploaded. */
export interface UploadOptions {
  /** Said about every file. */
  metadata?: UploadMetadata | undefined;
  /** Called while bytes travel, at most ten times a second. */
  onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Cancels what is not stored yet. */
  signal?: AbortSignal | undefined;
  /** Files that are sent at once; 3 without it. */
  concurrency?: number | undefined;
  /** Hashes files first, and does not send those whose content the user has stored already. */
  instant?: boolean | undefined;
  /** Another user's storage, for administrators. */
  targetUserId?: string | undefined;
}

/** What became of the files of one `upload`. */
export interface UploadOutcome {
  files: UserFile[];
  errors: { name: string; error: JamError }[];
}

/**
 * Uploads files and resolves when each is stored or refused.
 * Rejects before a byte is sent when the files together do not fit the quota, and when the signal fires.
 */
export async function upload(
  service: UploadService,
  files: Iterable<Uploadable>,
  { signal, onProgress, metadata, targetUserId, concurrency, instant }: UploadOptions = {},
): Promise<UploadOutcome> {
  const sources = [...files];
  signal?.throwIfAborted();
  if (targetUserId === undefined) await refuseTooMuch(service, sources, signal);
  const queue = new UploadQueue(service, { concurrency, instant });
  const cancel = () => queue.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  const settled = whenSettled(queue, onProgress);
  try {
    await queue.add(sources, { metadata, targetUserId });
    if (sources.length > 0) await settled;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
  signal?.throwIfAborted();
  return outcome(queue.snapshot().items);
}

/** `upload` as the live front end knows it: its arguments, its answer. */
export async function uploadFiles(
  service: UploadService,
  files: Iterable<Uploadable>,
  { metadata, signal, onProgress }: UploadFilesOptions,
): Promise<Uploaded> {
  const { files: stored, errors } = await upload(service, files, {
    metadata,
    signal,
    onProgress: ({ sent, total }) => onProgress?.(sent, total),
  });
  const [first] = errors;
  if (stored.length === 0 && first !== undefined) throw first.error;
  const notStored = errors.map(({ name, error: { message, code } }) => ({
    filename: name,
    error: message,
    code,
  }));
  return { success: true, files: stored, errors: notStored };
}

async function refuseTooMuch(service: UploadService, sources: Uploadable[], signal: AbortSignal | undefined) {
  const storage = await service.getStorageUsage({ signal });
  // What an earlier visit has begun has its room already.
  const begun = remembered().filter(({ userId }) => userId === storage.userId);
  const fresh = sources.map(markOf).filter((mark) => !begun.some((upload) => isSameFile(upload, mark)));
  const total = fresh.reduce((sum, { size }) => sum + size, 0);
  const anyFile = { ...storage, limits: { ...storage.limits, maxFileBytes: Number.POSITIVE_INFINITY } };
  const refusal = refusalOf(total, storage.availableBytes, anyFile);
  if (refusal !== null) throw refusal;
}

function whenSettled(queue: UploadQueue, onProgress: UploadOptions["onProgress"]): Promise<void> {
  return new Promise((resolve) => {
    const stop = queue.subscribe(() => {
      const progress = queue.snapshot();
      onProgress?.(progress);
      if (progress.items.length > 0 && progress.items.every(isSettled)) {
        stop();
        resolve();
      }
    });
  });
}

function outcome(items: readonly UploadItem[]): UploadOutcome {
  return {
    files: items.flatMap(({ file }) => file ?? []),
    errors: items.flatMap(({ name, error }) => (error === null ? [] : { name, error })),
  };
}
