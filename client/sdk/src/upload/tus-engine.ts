// Resumable uploads (tus 1.0) by tus-js-client. Never repeats by itself: when to try again is the queue's decision, and
// which upload a file goes on with.

import { DetailedError, Upload, type UploadOptions } from "tus-js-client";
import { answeredError, JamError, networkError } from "../errors.js";
import { metadataTexts, partsOf } from "../form.js";
import { UPLOADS } from "../tus.js";
import { blobReader, PIECE_BYTES } from "./blob-reader.js";
import type { Engine, Sending } from "./engine.js";
import { begin, encodeMetadata } from "./instant.js";
import type { UploadService } from "./service.js";

/** A file up to this size travels in the request that creates its upload: hashing it first would take longer. */
const SMALL_BYTES = 1 << 20;

/** Longest `Upload-Metadata` that the service reads. */
const METADATA_BYTES_MAX = 4096;

/** Whether the service speaks tus. */
export async function speaksTus(service: UploadService, signal?: AbortSignal): Promise<boolean> {
  try {
    const response = await service.transport.fetch("OPTIONS", UPLOADS, { signal });
    return response.headers.has("Tus-Version");
  } catch (error) {
    if (error instanceof JamError && error.status >= 400 && error.status < 500) return false;
    throw error;
  }
}

/** Sends by `/api/uploads`, going on where an earlier attempt ended. */
export function tusEngine(service: UploadService): Engine {
  return async (sending) => {
    const { metadata, isTakenUp } = sending;
    const said = metadataOf(sending);
    const id = await store(service, sending, said.inHeader);
    const isSaid = said.isComplete && !(isTakenUp && Object.keys(metadata).length > 0);
    return isSaid ? service.getFile(id) : service.patchFile(id, metadata);
  };
}

/** Resolves with the stored file's id. */
async function store(
  service: UploadService,
  sending: Sending,
  metadata: Record<string, string>,
): Promise<string> {
  const { data } = partsOf(sending.source);
  let { uploadUrl } = sending;
  if (sending.instant && uploadUrl === null && data.size > SMALL_BYTES) {
    const onUploadUrl = (url: string) => {
      uploadUrl = url;
      sending.onUploadUrl(url);
    };
    const fileId = await begin(service.transport, data, metadata, { ...sending, onUploadUrl });
    if (fileId !== null) return fileId;
  }
  const transfer = (fresh: boolean) => send(service, { ...sending, uploadUrl }, metadata, fresh);
  return transfer(false).catch((error: unknown) => {
    if (error instanceof JamError && error.status === 401) return transfer(true);
    throw error;
  });
}

/** A header holds so much; what does not fit is said about the file when it is stored. */
function metadataOf({ source, metadata }: Sending) {
  const { name, data } = partsOf(source);
  const named = { filename: name, filetype: data.type };
  const all = { ...metadataTexts(metadata), ...named };
  if (encodeMetadata(all).length <= METADATA_BYTES_MAX) return { inHeader: all, isComplete: true };
  const typed = metadataTexts({ fileType: metadata.fileType ?? null });
  return { inHeader: { ...typed, ...named }, isComplete: false };
}

function send(
  service: UploadService,
  sending: Sending,
  metadata: Record<string, string>,
  fresh: boolean,
): Promise<string> {
  const { source, signal, creationKey } = sending;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    let fileId: string | undefined;
    const upload = new Upload(partsOf(source).data, {
      ...options(service, sending),
      metadata,
      onBeforeRequest: async (request) => {
        const token = await service.transport.token(fresh);
        if (token !== null) request.setHeader("Authorization", `Bearer ${token}`);
        if (request.getMethod() === "POST") request.setHeader("Idempotency-Key", creationKey);
      },
      onAfterResponse: (_request, response) => {
        fileId = response.getHeader("Upload-File-Id") ?? fileId;
      },
      onUploadUrlAvailable: () => {
        if (upload.url !== null) sending.onUploadUrl(upload.url);
        if (signal.aborted && fileId === undefined) stop();
      },
      onSuccess: () => {
        if (fileId !== undefined) resolve(fileId);
        else
          reject(new JamError("The service does not say which file it stored.", { code: "invalid_answer" }));
      },
      onError: (error) => reject(jamError(error, service.transport.baseUrl)),
    });
    const stop = () => {
      // A creation under way is waited for: ended now, what it reserved could not be found again.
      if (upload.url === null) return;
      void upload.abort();
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
    upload.start();
  });
}

function options(
  service: UploadService,
  { source, uploadUrl, maxAppendBytes, onProgress }: Sending,
): UploadOptions {
  const { data } = partsOf(source);
  const endpoint = `${service.transport.baseUrl}${UPLOADS}`;
  return {
    endpoint: globalThis.location === undefined ? endpoint : new URL(endpoint, location.href).href,
    uploadUrl,
    uploadSize: data.size,
    chunkSize: maxAppendBytes ?? Number.POSITIVE_INFINITY,
    ...(globalThis.document === undefined && {
      fileReader: blobReader,
      chunkSize: Math.min(maxAppendBytes ?? PIECE_BYTES, PIECE_BYTES),
    }),
    retryDelays: null,
    uploadDataDuringCreation: data.size <= Math.min(SMALL_BYTES, maxAppendBytes ?? SMALL_BYTES),
    // The queue remembers uploads, with what was said about their files.
    storeFingerprintForResuming: false,
    onProgress: (sent) => onProgress(sent),
  };
}

function jamError(error: Error, url: string): JamError {
  if (!(error instanceof DetailedError)) {
    return new JamError("The file could not be read.", { code: "unreadable_file", cause: error });
  }
  const response = error.originalResponse;
  if (response === null || response.getStatus() === 0) return networkError(error, url);
  return answeredError(response.getStatus(), response.getBody(), (name) => response.getHeader(name) ?? null);
}
