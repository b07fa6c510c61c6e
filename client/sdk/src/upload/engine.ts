// What the queue asks of a way to send one file.

import type { Uploadable } from "../form.js";
import type { UploadMetadata, UserFile } from "../model.js";

/** One file to send, once or again. */
export interface Sending {
  readonly source: Uploadable;
  readonly metadata: UploadMetadata;
  /** Another user's storage, for administrators. */
  readonly targetUserId: string | null;
  /** Keeps resumable uploads of different users of one browser apart. */
  readonly userId: string;
  /** Where an earlier attempt of this page got to. */
  readonly uploadUrl: string | null;
  /** Proves content that is stored already instead of sending it. */
  readonly instant: boolean;
  /** Largest piece of one request; null: no bound. */
  readonly maxAppendBytes: number | null;
  readonly signal: AbortSignal;
  onUploadUrl(url: string): void;
  onProgress(sent: number): void;
}

/** Sends a file and resolves with it stored; rejects with a `JamError`, or when the signal fires. */
export type Engine = (sending: Sending) => Promise<UserFile>;
