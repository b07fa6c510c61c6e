// One file on its way, as a page shows it.

import type { JamError } from "../errors.js";
import type { UploadMetadata, UserFile } from "../model.js";
import type { FileMark } from "./memory.js";

/** `waiting`: the network or the service is away, and it will be tried again by itself. */
export type UploadState = "queued" | "uploading" | "waiting" | "paused" | "done" | "failed" | "cancelled";

/** A file of a queue. Never changes: a change makes a new one. */
export interface UploadItem {
  /** Of this queue; not the id of the stored file. */
  readonly id: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The browser's guess, such as `image/png`; may be empty. */
  readonly mimeType: string;
  readonly metadata: UploadMetadata;
  readonly targetUserId: string | null;
  readonly state: UploadState;
  /** Bytes that are on their way or stored. */
  readonly sent: number;
  readonly error: JamError | null;
  /** The stored file, once it is. */
  readonly file: UserFile | null;
}

/** An upload of an earlier visit. It goes on when its file is added to the queue again. */
export interface UnfinishedUpload extends FileMark {
  /** Of the service. */
  readonly id: string;
  /** Bytes that are stored. */
  readonly sent: number;
  /** When the service gives it up, as RFC 3339; null if it does not say. */
  readonly expiresAt: string | null;
}

/** How far a queue is. */
export interface UploadProgress {
  /** Bytes of all files that were not cancelled or failed. */
  readonly total: number;
  readonly sent: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** Null while it cannot be estimated. */
  readonly secondsLeft: number | null;
  readonly done: number;
  readonly failed: number;
  /** Files that will still change state by themselves. */
  readonly active: number;
  readonly items: readonly UploadItem[];
  /** Uploads of earlier visits, once they were looked for. */
  readonly unfinished: readonly UnfinishedUpload[];
}

/** Whether an item will not change any more by itself. */
export function isSettled({ state }: UploadItem): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
