// Resumable uploads (tus 1.0) by tus-js-client. Never repeats by itself: when to try again is the queue's decision.

import { DetailedError, Upload, type UploadOptions } from "tus-js-client";
import type { JamClient } from "../client.js";
import { answeredError, JamError, networkError } from "../errors.js";
import { metadataTexts, partsOf } from "../form.js";
import { blobReader, PIECE_BYTES } from "./blob-reader.js";
import type { Engine, Sending } from "./engine.js";
import { begin, encodeMetadata } from "./instant.js";

const PATH = "/api/uploads";

/** A file up to this size travels in the request that creates its upload. */
const SMALL_BYTES = 1 << 20;

/** Longest `Upload-Metadata` that the service reads. */
const METADATA_BYTES_MAX = 4096;

/** Whether the service speaks tus. */
export async function speaksTus(client: JamClient, signal?: AbortSignal): Promise<boolean> {
  try {
    const response = await client.transport.fetch("OPTIONS", PATH, { signal });
    return response.headers.has("Tus-Version");
  } catch (error) {
    if (error instanceof JamError && error.status >= 400 && error.status < 500) return false;
    throw error;
  }
}

/** Sends by `/api/uploads`, going on where an earlier attempt ended, even one before a reload of the page. */
export function tusEngine(client: JamClient): Engine {
  return async (sending) => {
    const { signal, metadata } = sending;
    const said = metadataOf(sending);
    const id = await store(client, sending, said.inHeader);
    return said.isComplete ? client.getFile(id, { signal }) : client.patchFile(id, metadata, { signal });
  };
}

/** Resolves with the stored file's id. */
async function store(client: JamClient, sending: Sending, metadata: Record<string, string>): Promise<string> {
  let { uploadUrl } = sending;
  if (sending.instant && uploadUrl === null) {
    const begun = await begin(client.transport, partsOf(sending.source).data, metadata, sending);
    if (begun.fileId !== null) return begun.fileId;
    uploadUrl = begun.uploadUrl;
    sending.onUploadUrl(uploadUrl);
  }
  const transfer = (fresh: boolean) => send(client, { ...sending, uploadUrl }, metadata, fresh);
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

/** Removes an upload that will not be finished, so that its reservation ends. */
export async function terminate(client: JamClient, uploadUrl: string): Promise<void> {
  const token = await client.transport.token(false);
  await Upload.terminate(uploadUrl, {
    retryDelays: null,
    headers: token === null ? {} : { Authorization: `Bearer ${token}` },
  });
}

function send(
  client: JamClient,
  sending: Sending,
  metadata: Record<string, string>,
  fresh: boolean,
): Promise<string> {
  const { source, signal } = sending;
  const { data } = partsOf(source);
  return new Promise((resolve, reject) => {
    let fileId: string | undefined;
    const upload = new Upload(data, {
      ...options(client, sending),
      metadata,
      onBeforeRequest: async (request) => {
        const token = await client.transport.token(fresh);
        if (token !== null) request.setHeader("Authorization", `Bearer ${token}`);
      },
      onAfterResponse: (_request, response) => {
        fileId = response.getHeader("Upload-File-Id") ?? fileId;
      },
      onUploadUrlAvailable: () => {
        if (upload.url !== null) sending.onUploadUrl(upload.url);
        if (signal.aborted) void upload.abort();
      },
      onSuccess: () => {
        if (fileId !== undefined) resolve(fileId);
        else
          reject(new JamError("The service does not say which file it stored.", { code: "invalid_answer" }));
      },
      onError: (error) => reject(jamError(error)),
    });
    const abort = () => {
      // A creation under way is waited for: ended now, its reservation could not be found again.
      if (upload.url !== null) void upload.abort();
      reject(signal.reason);
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    void start(upload, sending);
  });
}

async function start(upload: Upload, { uploadUrl, signal }: Sending): Promise<void> {
  if (uploadUrl === null) {
    const [previous] = await upload.findPreviousUploads();
    if (previous !== undefined) upload.resumeFromPreviousUpload(previous);
  }
  if (!signal.aborted) upload.start();
}

function options(client: JamClient, sending: Sending): UploadOptions {
  const { source, userId, uploadUrl, maxAppendBytes } = sending;
  const { name, data } = partsOf(source);
  const endpoint = `${client.transport.baseUrl}${PATH}`;
  const lastModified = data instanceof File ? data.lastModified : 0;
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
    removeFingerprintOnSuccess: true,
    fingerprint: () => Promise.resolve(["jam", userId, name, data.type, data.size, lastModified].join(":")),
    onProgress: (sent) => sending.onProgress(sent),
  };
}

function jamError(error: Error): JamError {
  if (!(error instanceof DetailedError)) {
    return new JamError("The file could not be read.", { code: "unreadable_file", cause: error });
  }
  const response = error.originalResponse;
  if (response === null || response.getStatus() === 0) return networkError(error);
  return answeredError(response.getStatus(), response.getBody(), (name) => response.getHeader(name) ?? null);
}
