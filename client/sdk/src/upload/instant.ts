// Instant uploads: content that the user has stored already is proven instead of sent.

import { JamError } from "../errors.js";
import type { Transport } from "../transport.js";
import { TUS, UPLOADS } from "../tus.js";
import { sha256 } from "./digest.js";
import type { Sending } from "./engine.js";
import { hashBytes } from "./hash.js";

/**
 * Creates an upload that names its content's digest, and proves the content if the service knows it.
 * Resolves with the stored file's id, or with null when the bytes have to be sent.
 */
export async function begin(
  transport: Transport,
  data: Blob,
  metadata: Record<string, string>,
  { signal, creationKey, onUploadUrl }: Sending,
): Promise<string | null> {
  const digest = await sha256(data, signal);
  signal.throwIfAborted();
  // The signal does not end these short requests: nobody would know what they reserved or stored.
  const response = await transport.fetch("POST", UPLOADS, {
    headers: {
      ...TUS,
      "Idempotency-Key": creationKey,
      "Upload-Length": String(data.size),
      "Upload-Metadata": encodeMetadata(metadata),
      "Repr-Digest": `sha-256=:${base64(digest)}:`,
    },
  });
  const location = response.headers.get("Location");
  if (location === null) throw new JamError("The service names no upload.", { code: "invalid_answer" });
  const path = location.slice(location.lastIndexOf(`${UPLOADS}/`));
  onUploadUrl(`${transport.baseUrl}${path}`);
  const stored = response.headers.get("Upload-File-Id");
  const challenge = response.headers.get("Upload-Known")?.match(/^nonce=:(.+):, range=(\d+)-(\d+)$/);
  if (stored !== null || !challenge) return stored;
  const [, nonce = "", from, to] = challenge;
  const bytes = new Uint8Array(await data.slice(Number(from), Number(to) + 1).arrayBuffer());
  const proof = await hashBytes(
    Uint8Array.from(atob(nonce), (letter) => letter.charCodeAt(0)),
    bytes,
  );
  const proven = await transport.fetch("PATCH", path, {
    headers: {
      ...TUS,
      "Upload-Offset": "0",
      "Content-Type": "application/offset+octet-stream",
      "Upload-Proof": `sha-256=:${base64(proof)}:`,
    },
  });
  return proven.headers.get("Upload-File-Id");
}

/** `Upload-Metadata`: names and values in base64. */
export function encodeMetadata(metadata: Record<string, string>): string {
  const pairs = Object.entries(metadata).map(
    ([name, value]) => `${name} ${base64(new TextEncoder().encode(value))}`,
  );
  return pairs.join(",");
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
