// Uploads that the service keeps: those that files of this page go on with, and those of earlier visits that wait for
// their file. Owns what is remembered of them and who goes on with which. Never sends a byte.

import { isJamError } from "../errors.js";
import type { Uploadable } from "../form.js";
import type { UploadMetadata } from "../model.js";
import type { UnfinishedUpload } from "./item.js";
import {
  claim,
  forget,
  isSameFile,
  markOf,
  type Release,
  remember,
  remembered,
  uploadIdOf,
} from "./memory.js";
import type { UploadService } from "./service.js";

/** An upload that a file of this page goes on with. */
export interface Begun {
  readonly url: string;
  /** What an earlier visit said when it began it; null if this page did. */
  readonly earlier: UploadMetadata | null;
  /** Lets other pages go on with it. */
  readonly release: Release;
}

/** The uploads that one queue knows of. */
export class BegunUploads {
  readonly #service: UploadService;
  readonly #changed: () => void;
  #unfinished: readonly UnfinishedUpload[] = [];

  constructor(service: UploadService, changed: () => void) {
    this.#service = service;
    this.#changed = changed;
  }

  /** Those that wait for their file, as far as they were looked for. */
  get unfinished(): readonly UnfinishedUpload[] {
    return this.#unfinished;
  }

  /** Looks for what waits: remembered here, kept by the service, and sent by no page. */
  async find(): Promise<void> {
    if (remembered().length === 0) return;
    const { userId } = await this.#service.getStorageUsage();
    const begun = remembered().filter((upload) => upload.userId === userId);
    const open = new Map((await this.#service.listUploads()).map((upload) => [upload.id, upload]));
    const unfinished: UnfinishedUpload[] = [];
    for (const { url, name, size, lastModified } of begun) {
      const release = await claim(url);
      if (release === null) continue;
      release();
      const id = uploadIdOf(url);
      const kept = open.get(id);
      if (kept === undefined) forget(url);
      else unfinished.push({ id, name, size, lastModified, sent: kept.offset, expiresAt: kept.expiresAt });
    }
    this.#show(unfinished);
  }

  /** Discards the upload with this id, or all unfinished ones. */
  async discard(id?: string): Promise<void> {
    const chosen = this.#unfinished.filter((upload) => id === undefined || upload.id === id);
    await Promise.all(chosen.map((upload) => this.#end(upload.id)));
  }

  /** What a file goes on with: begun by an earlier visit, and left to it by other files and pages. */
  async takeUp(source: Uploadable, userId: string): Promise<Begun | null> {
    for (const upload of remembered()) {
      if (upload.userId !== userId || !isSameFile(upload, markOf(source))) continue;
      const release = await claim(upload.url);
      if (release === null) continue;
      this.#show(this.#unfinished.filter(({ id }) => id !== uploadIdOf(upload.url)));
      return { url: upload.url, earlier: upload.metadata, release };
    }
    return null;
  }

  /** Remembers what this page has begun. */
  keep(url: string, source: Uploadable, userId: string, metadata: UploadMetadata): Begun {
    remember({ url, userId, metadata, ...markOf(source) });
    const claimed = claim(url);
    return { url, earlier: null, release: () => void claimed.then((release) => release?.()) };
  }

  /** It is a file now, or the service does not keep it any more. */
  letGo({ url, release }: Begun): void {
    forget(url);
    release();
  }

  /** Ends it. What cannot be ended now, because the network is away, waits for the next visit. */
  giveUp({ url, release }: Begun): void {
    void this.#end(uploadIdOf(url)).then(release, release);
  }

  async #end(uploadId: string): Promise<void> {
    await this.#service.discardUpload(uploadId).catch((error: unknown) => {
      if (!isJamError(error, "not_found") && !isJamError(error, "gone")) throw error;
    });
    forget(uploadId);
    this.#show(this.#unfinished.filter((upload) => upload.id !== uploadId));
  }

  #show(unfinished: readonly UnfinishedUpload[]): void {
    this.#unfinished = unfinished;
    this.#changed();
  }
}
