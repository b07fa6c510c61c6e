// What the queue asks of a way to send one file.

import type { Uploadable } from "../form.js";
import type { UploadMetadata, UserFile } from "../model.js";

/** One file to send, once or again. */
export interface Sending {
  readonly source: Uploadable;
  readonly metadata: UploadMetadata;
  /** Another user's storage, for administrators. */
  readonly targetUserId: string | null;
  /** An upload that was begun for it. */
  readonly uploadUrl: string | null;
  /** It was begun by an earlier visit, which may have said something else about the file. */
  readonly isTakenUp: boolean;
  /** The same at every attempt: a creation whose answer is lost is not made twice. */
  readonly creationKey: string;
  /** Proves content that is stored already instead of sending it. */
  readonly instant: boolean;
  /** Largest piece of one request; null: no bound. */
  readonly maxAppendBytes: number | null;
  readonly signal: AbortSignal;
  /** Called as soon as an upload is known to exist. */
  onUploadUrl(url: string): void;
  onProgress(sent: number): void;
}

/**
 * Sends a file and resolves with it stored. Rejects with a `JamError`, or when the signal fires, but with nothing under
 * way whose outcome is unknown: a creation is waited for, and a file that is stored by then resolves.
 */
export type Engine = (sending: Sending) => Promise<UserFile>;
