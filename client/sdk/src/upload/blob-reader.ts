// Blobs for tus-js-client outside of browsers, where it knows only Node's buffers and streams.

import type { FileReader } from "tus-js-client";

/** Bytes of a blob that are in memory at once. */
export const PIECE_BYTES = 8 << 20;

/** Reads a blob piece by piece. */
export const blobReader: FileReader = {
  openFile: async (input: Blob) => ({
    size: input.size,
    async slice(start: number, end: number) {
      const piece = input.slice(start, Math.min(end, input.size));
      const bytes = new Uint8Array(await piece.arrayBuffer());
      return { value: Object.assign(bytes, { size: bytes.length }), done: end >= input.size };
    },
    close() {},
  }),
};
