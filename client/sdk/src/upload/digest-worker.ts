// The worker's side of `digest`: takes a blob, answers its SHA-256.

import type { HashAnswer } from "./digest.js";
import { hashBlob } from "./hash.js";

const answer = (value: HashAnswer) =>
  (self as unknown as { postMessage(value: HashAnswer): void }).postMessage(value);

self.onmessage = ({ data }: MessageEvent<Blob>) => {
  hashBlob(data, new AbortController().signal).then(
    (digest) => answer({ digest }),
    (error: unknown) => answer({ error: String(error) }),
  );
};
