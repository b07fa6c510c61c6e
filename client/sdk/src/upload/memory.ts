// Which uploads this browser has begun, so that they go on after a reload. Owns their entries in `localStorage` and the
// locks that keep two pages off one upload. Never knows whether the service still keeps them.

import { partsOf, type Uploadable } from "../form.js";
import type { UploadMetadata } from "../model.js";

/** Tells a file from others without reading it. */
export interface FileMark {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970; 0 for a blob. */
  readonly lastModified: number;
}

/** An upload that was begun in this browser. */
export interface Remembered extends FileMark {
  readonly url: string;
  /** Whose storage it is: several people may use one browser. */
  readonly userId: string;
  readonly metadata: UploadMetadata;
}

const PREFIX = "jam-upload:";

/** What tells a file from others. */
export function markOf(source: Uploadable): FileMark {
  const { name, data } = partsOf(source);
  return { name, size: data.size, lastModified: data instanceof File ? data.lastModified : 0 };
}

/** Whether two marks are of one file. */
export function isSameFile(a: FileMark, b: FileMark): boolean {
  return a.name === b.name && a.size === b.size && a.lastModified === b.lastModified;
}

/** The service's id of an upload, which its URL carries before a secret. */
export function uploadIdOf(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1).slice(0, 36);
}

/** Everything that is remembered, whoever it is of. */
export function remembered(): Remembered[] {
  const found: Remembered[] = [];
  withStorage((storage) => {
    for (const [key, text] of Object.entries(storage)) {
      if (key.startsWith(PREFIX)) found.push(JSON.parse(text) as Remembered);
    }
  });
  return found;
}

/** Remembers an upload until it is forgotten. */
export function remember(upload: Remembered): void {
  withStorage((storage) => storage.setItem(PREFIX + uploadIdOf(upload.url), JSON.stringify(upload)));
}

/** Forgets an upload, because it has ended. */
export function forget(url: string): void {
  withStorage((storage) => storage.removeItem(PREFIX + uploadIdOf(url)));
}

function withStorage(use: (storage: Storage) => void): void {
  if (globalThis.document === undefined) return;
  try {
    use(localStorage);
  } catch {
    // Full, or not allowed here: uploads work all the same, but a reload starts them from the beginning.
  }
}

/** Ends a claim. */
export type Release = () => void;

/** Takes an upload for one file of one page; null while another has it. */
export function claim(url: string): Promise<Release | null> {
  const locks = globalThis.document === undefined ? undefined : navigator.locks;
  // Without a secure context there are no locks; then the service refuses the second of two that send.
  if (locks === undefined) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const hold = (lock: Lock | null) => {
      if (lock !== null) return new Promise<void>((release) => resolve(release));
      return resolve(null);
    };
    locks.request(PREFIX + uploadIdOf(url), { ifAvailable: true }, hold).catch(reject);
  });
}
