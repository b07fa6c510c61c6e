// SHA-256 piece by piece: a file is never in memory as a whole. WebCrypto cannot do that.

import { createSHA256 } from "hash-wasm";

/** Hashes a blob as it is read. */
export async function hashBlob(data: Blob, signal: AbortSignal): Promise<Uint8Array> {
  const hash = await createSHA256();
  const reader = data.stream().getReader();
  for (;;) {
    signal.throwIfAborted();
    const { done, value } = await reader.read();
    if (done) return hash.digest("binary");
    hash.update(value);
  }
}

/** Hashes bytes that are in memory. */
export async function hashBytes(...parts: Uint8Array[]): Promise<Uint8Array> {
  const hash = await createSHA256();
  for (const part of parts) hash.update(part);
  return hash.digest("binary");
}
