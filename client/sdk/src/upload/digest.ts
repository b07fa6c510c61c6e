// SHA-256 of files of any size: in a worker where there is one, so that the page stays quick.

import { hashBlob } from "./hash.js";

/** Answer of the worker. */
export type HashAnswer = { digest: Uint8Array } | { error: string };

/** The SHA-256 of a file's bytes. */
export async function sha256(data: Blob, signal: AbortSignal): Promise<Uint8Array> {
  if (typeof Worker === "undefined") return hashBlob(data, signal);
  const worker = new Worker(new URL("./digest-worker.js", import.meta.url), { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      worker.onerror = () => reject(new Error("The worker that hashes files did not start."));
      worker.onmessage = ({ data: answer }: MessageEvent<HashAnswer>) =>
        "digest" in answer ? resolve(answer.digest) : reject(new Error(answer.error));
      worker.postMessage(data);
    });
  } finally {
    worker.terminate();
  }
}
