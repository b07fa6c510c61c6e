// Resumable uploads (tus 1.0) by tus-js-client. Never repeats by itself: when to try again is the queue's decision.

import { DetailedError, type HttpResponse, Upload, type UploadOptions } from "tus-js-client";
import type { JamClient } from "../client.js";
import { answeredError, JamError, networkError } from "../errors.js";
import { metadataTexts, partsOf } from "../form.js";
import type { Engine, Sending } from "./engine.js";

const PATH = "/api/uploads";

/** A file up to this size travels in the request that creates its upload. */
const SMALL_BYTES = 1 << 20;

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
    const id = await transfer(client, sending, false).catch((error: unknown) => {
      if (error instanceof JamError && error.status === 401) return transfer(client, sending, true);
      throw error;
    });
    return client.getFile(id, { signal: sending.signal });
  };
}

/** Removes an upload that will not be finished, so that its reservation ends. */
export async function terminate(client: JamClient, uploadUrl: string): Promise<void> {
  const token = await client.transport.token(false);
  await Upload.terminate(uploadUrl, {
    retryDelays: null,
    headers: token === null ? {} : { Authorization: `Bearer ${token}` },
  });
}

/** Resolves with the stored file's id. */
function transfer(client: JamClient, sending: Sending, fresh: boolean): Promise<string> {
  const { source, signal } = sending;
  const { data } = partsOf(source);
  return new Promise((resolve, reject) => {
    let fileId: string | undefined;
    const upload = new Upload(data, {
      ...options(client, sending),
      onBeforeRequest: async (request) => {
        const token = await client.transport.token(fresh);
        if (token !== null) request.setHeader("Authorization", `Bearer ${token}`);
      },
      onAfterResponse: (_request, response) => {
        fileId = response.getHeader("Upload-File-Id") ?? fileId;
      },
      onUploadUrlAvailable: () => {
        if (upload.url !== null) sending.onUploadUrl(upload.url);
      },
      onSuccess: () => {
        if (fileId !== undefined) resolve(fileId);
        else
          reject(new JamError("The service does not say which file it stored.", { code: "invalid_answer" }));
      },
      onError: (error) => reject(jamError(error)),
    });
    const abort = () => {
      void upload.abort();
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
  const { source, metadata, userId, uploadUrl, maxAppendBytes } = sending;
  const { name, data } = partsOf(source);
  const endpoint = `${client.transport.baseUrl}${PATH}`;
  const lastModified = data instanceof File ? data.lastModified : 0;
  return {
    endpoint: globalThis.location === undefined ? endpoint : new URL(endpoint, location.href).href,
    uploadUrl,
    uploadSize: data.size,
    chunkSize: maxAppendBytes ?? Number.POSITIVE_INFINITY,
    retryDelays: null,
    uploadDataDuringCreation: data.size <= Math.min(SMALL_BYTES, maxAppendBytes ?? SMALL_BYTES),
    metadata: { ...metadataTexts(metadata), filename: name, filetype: data.type },
    removeFingerprintOnSuccess: true,
    fingerprint: () => Promise.resolve(["jam", userId, name, data.type, data.size, lastModified].join(":")),
    onProgress: (sent) => sending.onProgress(sent),
  };
}

function jamError(error: Error): JamError {
  const response: HttpResponse | null = error instanceof DetailedError ? error.originalResponse : null;
  if (response === null || response.getStatus() === 0) return networkError(error);
  return answeredError(response.getStatus(), response.getBody(), (name) => response.getHeader(name) ?? null);
}
