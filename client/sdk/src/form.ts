// Multipart uploads: the form's fields, and its way out with progress where the platform tells it (XMLHttpRequest).

import { answeredError, networkError } from "./errors.js";
import type { Uploaded, UploadMetadata } from "./model.js";
import { repeated } from "./retry.js";
import type { RequestOptions, Transport } from "./transport.js";

/** How files are uploaded. */
export interface FormOptions extends RequestOptions {
  /** Bytes that are on their way; of a form only in browsers. */
  onProgress?: ((sent: number, total: number) => void) | undefined;
}

/** How files are sent, and what is said about them. */
export interface UploadFilesOptions extends FormOptions {
  metadata?: UploadMetadata | undefined;
}

/** What can be uploaded. A `Blob` has no name of its own. */
export type Uploadable = File | { name: string; data: Blob };

/** An uploadable's name and bytes. */
export function partsOf(file: Uploadable): { name: string; data: Blob } {
  return file instanceof Blob ? { name: file.name, data: file } : file;
}

/** A form field's text: lists and objects are JSON. */
export function fieldText(value: string | number | boolean | object): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The metadata that says something, as the texts that forms and resumable uploads carry. */
export function metadataTexts(metadata: UploadMetadata): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (value !== undefined && value !== null) texts[name] = fieldText(value);
  }
  return texts;
}

/** Sends files in one form. */
export async function sendForm(
  transport: Transport,
  path: string,
  files: Iterable<Uploadable>,
  fields: Record<string, string>,
  options: FormOptions,
): Promise<Uploaded> {
  const form = new FormData();
  for (const [name, text] of Object.entries(fields)) form.append(name, text);
  for (const file of files) {
    const { name, data } = partsOf(file);
    form.append("files", data, name);
  }
  const send = typeof XMLHttpRequest === "undefined" ? sendByFetch : sendByXhr;
  const text = await repeated("POST", options.signal, async (fresh) =>
    send(`${transport.baseUrl}${path}`, form, await transport.token(fresh), options),
  );
  return JSON.parse(text) as Uploaded;
}

async function sendByFetch(url: string, body: FormData, token: string | null, { signal }: FormOptions) {
  const init: RequestInit = { method: "POST", body };
  if (token !== null) init.headers = { Authorization: `Bearer ${token}` };
  if (signal) init.signal = signal;
  const response = await fetch(url, init).catch((cause: unknown) => {
    throw signal?.aborted ? cause : networkError(cause, url);
  });
  const text = await response.text();
  if (response.ok) return text;
  throw answeredError(response.status, text, (name) => response.headers.get(name));
}

function sendByXhr(url: string, form: FormData, token: string | null, options: FormOptions): Promise<string> {
  const { signal, onProgress } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("POST", url);
    if (token !== null) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = (event) => onProgress?.(event.loaded, event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.responseText);
      else
        reject(
          answeredError(request.status, request.responseText, (name) => request.getResponseHeader(name)),
        );
    };
    request.onerror = () => reject(networkError(undefined, url));
    request.onabort = () => reject(signal?.reason ?? networkError());
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort, { once: true });
    request.send(form);
  });
}
