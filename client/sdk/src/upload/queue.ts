// Files on their way: several at a time, each until it is stored, refused or cancelled. Owns every decision about
// order, repetition and quota; how bytes travel is the engine's, which is loaded when the first upload starts.

import { isAbort, JamError, networkError } from "../errors.js";
import { partsOf, type Uploadable } from "../form.js";
import { formatBytes } from "../format.js";
import type { StorageInfo, UploadMetadata } from "../model.js";
import { type Begun, BegunUploads } from "./begun.js";
import type { Engine } from "./engine.js";
import { formEngine } from "./form-engine.js";
import { isSettled, type UploadItem, type UploadProgress } from "./item.js";
import { Rate } from "./rate.js";
import type { UploadService } from "./service.js";
import { whenWorthTrying, worthWaiting } from "./waiting.js";

/** How a queue works. */
export interface QueueOptions {
  /** Files that are sent at once; 3 without it. */
  concurrency?: number | undefined;
  /** Hashes files first, and does not send those whose content the user has stored already. */
  instant?: boolean | undefined;
}

/** What is said about files that are added together. */
export interface AddOptions {
  metadata?: UploadMetadata | undefined;
  /** Another user's storage, for administrators. */
  targetUserId?: string | undefined;
}

interface Entry {
  item: UploadItem;
  readonly source: Uploadable;
  /** Known to fit, as far as that can be known beforehand. */
  admitted: boolean;
  begun: Begun | null;
  readonly creationKey: string;
  running: AbortController | null;
}

interface Session {
  readonly storage: StorageInfo;
  readonly resumable: Engine | null;
}

/** Progress is reported at most this often. */
const NOTICE_MS = 100;
const CONCURRENCY = 3;

/** A queue of uploads. Made once for a page; `subscribe` and `snapshot` fit `useSyncExternalStore`. */
export class UploadQueue {
  readonly #service: UploadService;
  readonly #form: Engine;
  readonly #begun: BegunUploads;
  readonly #concurrency: number;
  readonly #instant: boolean;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<() => void>();
  readonly #rate = new Rate();
  #session: Promise<Session> | null = null;
  #snapshot: UploadProgress = empty();
  #notice: ReturnType<typeof setTimeout> | null = null;
  #nextId = 1;

  constructor(service: UploadService, { concurrency = CONCURRENCY, instant = false }: QueueOptions = {}) {
    this.#service = service;
    this.#form = formEngine(service);
    this.#begun = new BegunUploads(service, () => this.#changed());
    this.#concurrency = concurrency;
    this.#instant = instant;
  }

  /** Where everything is. The same object until something changes. */
  readonly snapshot = (): UploadProgress => this.#snapshot;

  /** Calls back after changes, at most ten times a second; returns how to stop that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Adds files and starts. What is too large or does not fit fails before a byte is sent; a file whose upload an
   * earlier visit has begun goes on where that got to. Resolves with the items' ids.
   */
  async add(files: Iterable<Uploadable>, options: AddOptions = {}): Promise<string[]> {
    const entries = [...files].map((source) => this.#enqueue(source, options));
    this.#changed();
    // What others uploaded meanwhile counts, so the usage is fetched again with every addition.
    this.#session = this.#openSession();
    try {
      const { storage } = await this.#session;
      for (const entry of entries) await this.#takeUp(entry, storage);
      this.#admit(entries, options.targetUserId === undefined ? storage : null);
    } catch (error) {
      for (const entry of entries) this.#fail(entry, error);
    }
    this.#startNext();
    return entries.map((entry) => entry.item.id);
  }

  /** Stops sending; everything without `id`. What is stored so far is kept for `resume`. */
  pause(id?: string): void {
    for (const entry of this.#chosen(id)) {
      if (isSettled(entry.item)) continue;
      this.#set(entry, { state: "paused" });
      entry.running?.abort();
    }
    this.#startNext();
  }

  /** Goes on with what is paused. */
  resume(id?: string): void {
    for (const entry of this.#chosen(id)) {
      if (entry.item.state === "paused") this.#set(entry, { state: "queued" });
    }
    this.#startNext();
  }

  /** Tries what failed again. */
  retry(id?: string): void {
    for (const entry of this.#chosen(id)) {
      if (entry.item.state !== "failed") continue;
      entry.admitted = true;
      this.#set(entry, { state: "queued", error: null });
    }
    this.#startNext();
  }

  /** Gives up what is not stored yet. */
  cancel(id?: string): void {
    for (const entry of this.#chosen(id)) {
      if (isSettled(entry.item)) continue;
      this.#set(entry, { state: "cancelled", sent: 0 });
      if (entry.running === null) this.#giveUp(entry);
      else entry.running.abort();
    }
    this.#startNext();
  }

  /** Puts away what is settled. What failed half-way is an unfinished upload from then on. */
  clear(): void {
    let isLeft = false;
    for (const [id, entry] of this.#entries) {
      if (!isSettled(entry.item)) continue;
      this.#entries.delete(id);
      isLeft ||= entry.begun !== null;
      entry.begun?.release();
    }
    this.#changed();
    if (isLeft) this.findUnfinished().catch(() => {});
  }

  /** Looks for uploads that earlier visits of this browser have begun and that the service still keeps. */
  findUnfinished(): Promise<void> {
    return this.#begun.find();
  }

  /** Ends an unfinished upload and releases its quota; all of them without `id`. */
  discard(id?: string): Promise<void> {
    return this.#begun.discard(id);
  }

  #giveUp(entry: Entry): void {
    if (entry.begun !== null) this.#begun.giveUp(entry.begun);
    entry.begun = null;
  }

  #letGo(entry: Entry): void {
    if (entry.begun !== null) this.#begun.letGo(entry.begun);
    entry.begun = null;
  }

  #chosen(id: string | undefined): Entry[] {
    if (id === undefined) return [...this.#entries.values()];
    const entry = this.#entries.get(id);
    return entry === undefined ? [] : [entry];
  }

  #enqueue(source: Uploadable, { metadata = {}, targetUserId }: AddOptions): Entry {
    const { name, data } = partsOf(source);
    const item: UploadItem = {
      id: `upload-${this.#nextId++}`,
      name,
      size: data.size,
      mimeType: data.type,
      metadata,
      targetUserId: targetUserId ?? null,
      state: "queued",
      sent: 0,
      error: null,
      file: null,
    };
    const creationKey = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const entry: Entry = { item, source, admitted: false, begun: null, creationKey, running: null };
    this.#entries.set(item.id, entry);
    return entry;
  }

  async #takeUp(entry: Entry, { userId }: StorageInfo): Promise<void> {
    const { targetUserId, metadata } = entry.item;
    if (targetUserId !== null || isSettled(entry.item)) return;
    entry.begun = await this.#begun.takeUp(entry.source, userId);
    if (entry.begun !== null) this.#set(entry, { metadata: { ...entry.begun.earlier, ...metadata } });
  }

  async #openSession(): Promise<Session> {
    const known = await this.#session?.catch(() => null);
    const [storage, resumable] = await Promise.all([
      this.#service.getStorageUsage(),
      known?.resumable ?? resumableEngine(this.#service),
    ]);
    return { storage, resumable };
  }

  /** In the order of the additions: a file that does not fit leaves its room to a smaller one behind it. */
  #admit(added: Entry[], storage: StorageInfo | null): void {
    const promised = [...this.#entries.values()].filter(
      (entry) => entry.admitted && !isSettled(entry.item) && entry.begun === null,
    );
    for (const entry of added) entry.admitted = true;
    // Whether it fits another user's quota is for the service to say.
    if (storage === null) return;
    let room = storage.availableBytes - promised.reduce((sum, entry) => sum + entry.item.size, 0);
    for (const entry of added) {
      // Its room is reserved already.
      if (entry.begun !== null) continue;
      const refusal = refusalOf(entry.item.size, room, storage);
      if (refusal === null) room -= entry.item.size;
      else this.#fail(entry, refusal);
    }
  }

  #startNext(): void {
    const entries = [...this.#entries.values()];
    let free = this.#concurrency - entries.filter((entry) => entry.running !== null).length;
    for (const entry of entries) {
      if (free <= 0) break;
      if (entry.item.state !== "queued" || !entry.admitted || entry.running !== null) continue;
      free -= 1;
      void this.#run(entry);
    }
  }

  async #run(entry: Entry): Promise<void> {
    const running = new AbortController();
    entry.running = running;
    this.#set(entry, { state: "uploading" });
    try {
      await this.#sendUntilSettled(entry, running.signal);
    } catch (error) {
      if (!running.signal.aborted) this.#fail(entry, error);
    }
    entry.running = null;
    if (entry.item.state === "cancelled") this.#giveUp(entry);
    this.#startNext();
  }

  async #sendUntilSettled(entry: Entry, signal: AbortSignal): Promise<void> {
    let lastProgress = Date.now();
    let failures = 0;
    for (;;) {
      try {
        const file = await this.#send(entry, signal, () => {
          lastProgress = Date.now();
          failures = 0;
        });
        this.#letGo(entry);
        if (entry.item.state !== "cancelled") {
          this.#set(entry, { state: "done", sent: entry.item.size, file });
        } else {
          await this.#service.deleteFile(file, { permanent: true });
        }
        return;
      } catch (error) {
        if (signal.aborted || !worthWaiting(error, Date.now() - lastProgress)) throw error;
        this.#set(entry, { state: "waiting", error });
        await whenWorthTrying(failures, error, signal);
        failures += 1;
        this.#set(entry, { state: "uploading", error: null });
      }
    }
  }

  async #send(entry: Entry, signal: AbortSignal, progressed: () => void) {
    const { storage, resumable } = await (this.#session ?? this.#openSession());
    const { metadata, targetUserId } = entry.item;
    const engine = targetUserId === null && resumable !== null ? resumable : this.#form;
    return engine({
      source: entry.source,
      metadata,
      targetUserId,
      uploadUrl: entry.begun?.url ?? null,
      isTakenUp: (entry.begun?.earlier ?? null) !== null,
      creationKey: entry.creationKey,
      instant: this.#instant,
      maxAppendBytes: storage.limits.maxAppendBytes,
      signal,
      onUploadUrl: (url) => {
        if (url === entry.begun?.url) return;
        this.#letGo(entry);
        entry.begun = this.#begun.keep(url, entry.source, storage.userId, metadata);
      },
      onProgress: (sent) => {
        if (signal.aborted) return;
        if (sent > entry.item.sent) progressed();
        this.#set(entry, { sent });
      },
    });
  }

  #fail(entry: Entry, error: unknown): void {
    if (isAbort(error)) return;
    const known =
      error instanceof JamError
        ? error
        : new JamError("The file could not be read.", { code: "unreadable_file", cause: error });
    this.#set(entry, { state: "failed", error: known, sent: 0 });
  }

  #set(entry: Entry, change: Partial<UploadItem>): void {
    entry.item = { ...entry.item, ...change };
    this.#changed();
  }

  #changed(): void {
    this.#notice ??= setTimeout(() => {
      this.#notice = null;
      this.#snapshot = this.#summary();
      for (const listener of this.#listeners) listener();
    }, NOTICE_MS);
  }

  #summary(): UploadProgress {
    const items = [...this.#entries.values()].map((entry) => entry.item);
    const counted = items.filter((item) => item.state !== "cancelled" && item.state !== "failed");
    const total = counted.reduce((sum, item) => sum + item.size, 0);
    const sent = counted.reduce((sum, item) => sum + item.sent, 0);
    this.#rate.sample(sent, Date.now());
    const { bytesPerSecond } = this.#rate;
    return {
      total,
      sent,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? (total - sent) / bytesPerSecond : null,
      done: items.filter((item) => item.state === "done").length,
      failed: items.filter((item) => item.state === "failed").length,
      active: items.filter((item) => !isSettled(item) && item.state !== "paused").length,
      items,
      unfinished: this.#begun.unfinished,
    };
  }
}

/** The engine of resumable uploads, loaded when the first upload starts; null when the service has none. */
async function resumableEngine(service: UploadService): Promise<Engine | null> {
  const { speaksTus, tusEngine } = await import("./tus-engine.js").catch((cause: unknown) => {
    throw networkError(cause);
  });
  return (await speaksTus(service)) ? tusEngine(service) : null;
}

function empty(): UploadProgress {
  return {
    total: 0,
    sent: 0,
    bytesPerSecond: 0,
    secondsLeft: null,
    done: 0,
    failed: 0,
    active: 0,
    items: [],
    unfinished: [],
  };
}

/** Why a file of this size cannot be stored, if that is known beforehand. */
export function refusalOf(size: number, room: number, { limits, totalBytes, maxBytes }: StorageInfo) {
  if (size > limits.maxFileBytes) {
    const details = { maxFileBytes: limits.maxFileBytes };
    const limit = formatBytes(limits.maxFileBytes);
    return new JamError(`The file is larger than the limit of ${limit}.`, {
      code: "file_too_large",
      details,
    });
  }
  if (size > room) {
    const left = formatBytes(Math.max(0, room));
    return new JamError(`Not enough storage: ${formatBytes(size)} are needed and ${left} are left.`, {
      code: "quota_exceeded",
      details: { totalBytes, maxBytes },
    });
  }
  return null;
}
